"""Which settings of the simulator's knobs the story is played under."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from sandbox.graphsim.knobs import KNOBS, Value

Settings = Mapping[str, Value]

# Numbers have no list of values: these are the ends that mean something.
NUMBERS: Final[dict[str, tuple[float, ...]]] = {
    "sent_copy_delay_seconds": (0, 240),
    "delivery_delay_seconds": (0, 90),
    "transport_per_minute": (0, 1),
    "upload_session_minimum_bytes": (0,),
    "attachment_overhead_bytes": (0, 40_000),
    "expanded_attachments_page": (0, 1),
    "attachment_scan_minutes": (1, 10),
    "unreadable_minutes": (2, 10),
    "notification_delay_seconds": (0, 180),
    "notification_batch_items": (1,),
    "notification_retry_first_seconds": (0, 600),
    "access_token_seconds": (600, 86_400),
    "refresh_token_days": (1,),
    "mailbox_concurrency": (1, 2),
    "mailbox_requests": (20,),
    "silent_move_items": (0,),
}
# Real seconds, which a clock that stands still cannot spend.
LEFT_OUT: Final = {"service_seconds"}
# What would leave nobody anything to go by stands beside the next best evidence (test_limits.py plays it alone), and
# what says something of another knob beside that.
BESIDE: Final[dict[tuple[str, Value], tuple[dict[str, Value], ...]]] = {
    ("sent_copy_extended_properties", "lost"): ({"sent_copy_id": "kept"}, {"sent_message_id": "kept"}),
    # The last is left with the thread, the people, the words and the time.
    ("named_property_quota", "spent"): ({"sent_message_id": "kept"}, {"sent_copy_id": "kept"}, {}),
    # A file that fits no request cannot leave then; test_knobs.py sends one that does.
    ("upload_host", "failing"): ({"upload_session_minimum_bytes": 0},),
    # A gateway's mark in the subject begins another conversation, whatever the Thread-Index says.
    ("relay_message_id", "rewritten"): ({"contact_thread_index": "present", "reply_prefix": "re"},),
    ("attachment_scan_minutes", 1): ({"attachment_scan": "placeholder"},),
    ("attachment_scan_minutes", 10): ({"attachment_scan": "stub"},),
    ("received_reply_tags", "none"): (
        {"contact_thread_index": "present", "reply_prefix": "re"},
        {"external_reply_conversation": "matched", "reply_prefix": "re"},
    ),
    ("bounce_conversation", "new"): ({"bounce_in_reply_to": "present"},),
    ("bounce_writer", "remote"): ({"bounce_in_reply_to": "present"},),
    ("message_class_tag", "absent"): ({"bounce_in_reply_to": "present"},),
}
# What also moves when time passes: renewals and re-authorisation are played too.
OF_SUBSCRIPTIONS: Final = {
    "duplicate_subscription",
    "expiration_over_maximum",
    "reauthorization_events",
    "revalidate_on_renew",
    "subscription_is_draft_filter",
    "subscription_pauses_with_token",
}
# The side of each choice that is kindest to a client, where it is not simply the one that is not the default.
KIND: Final[dict[str, Value]] = {
    "sent_copy_extended_properties": "kept",
    "relay_message_id": "kept",
    "received_reply_tags": "both",
    "bounce_conversation": "original",
    "bounce_writer": "exchange",
    "message_class_tag": "present",
    "report_parts": "files",
    "notification_duplicates": "never",
    "notification_path_style": "pascal",
    "move_notifications": "deleted_first",
    "reauthorization_events": "formula",
    "retry_after": "integer",
    "access_token_seconds": 86_400,
    "sent_copy_delay_seconds": 0,
    "delivery_delay_seconds": 0,
    "notification_delay_seconds": 0,
    "attachment_overhead_bytes": 0,
    "inline_flag": "right",
    "renamed_attachments": "kept",
    "content_id_cast": "accepted",
    "expand_attachments": "accepted",
    "expanded_attachments_page": 0,
    "attachment_scan": "none",
    "unreadable_minutes": 0,
    "upload_session_minimum_bytes": 0,
    "named_property_quota": "free",
    "upload_host": "works",
}
# The worst of everything that still leaves something to go by, beyond the defaults, which are the worse side already.
WORST: Final[dict[str, Value]] = {
    "notification_duplicates": "always",
    "reauthorization_events": "none",
    "retry_after": "absent",
    "sent_copy_delay_seconds": 240,
    "delivery_delay_seconds": 0,
    "notification_delay_seconds": 180,
    "notification_batch_items": 1,
    "transport_per_minute": 1,
    "mailbox_concurrency": 1,
    "access_token_seconds": 3_600,
    "attachment_overhead_bytes": 40_000,
    "content_id_cast": "refused",
    "expand_attachments": "refused",
    "expanded_attachments_page": 1,
}


def kindest() -> Settings:
    """Every knob at its kindest."""
    chosen: dict[str, Value] = {}
    for knob in KNOBS:
        if knob.name in KIND:
            chosen[knob.name] = KIND[knob.name]
        elif knob.values is not None:
            chosen[knob.name] = next(value for value in knob.values if value != knob.default)
    return chosen


def each_value() -> Iterator[Settings]:
    """Every knob at every value it can take, the others at their defaults."""
    for knob in KNOBS:
        if knob.name in LEFT_OUT:
            continue
        values: tuple[Value, ...] = knob.values if knob.values is not None else NUMBERS[knob.name]
        for value in values:
            if value != knob.default:
                for beside in BESIDE.get((knob.name, value), ({},)):
                    yield {knob.name: value, **beside}


def named(settings: Settings) -> str:
    """The name of a case."""
    return ",".join(f"{name}={value}" for name, value in settings.items())
