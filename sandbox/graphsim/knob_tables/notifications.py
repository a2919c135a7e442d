"""Notifications."""

from __future__ import annotations

from sandbox.graphsim.knob_tables.knob import Knob, choice, number
from sandbox.graphsim.knob_tables.pages import OUTLOOK, WEBHOOKS

NOTIFICATIONS: tuple[Knob, ...] = (
    number(
        "notification_delay_seconds",
        1.0,
        "stated",
        "Change notifications overview",
        "Change to first attempt; on average under a minute, at most three.",
    ),
    number("notification_batch_items", 20, "(?)", WEBHOOKS, "Most items in one POST."),
    number(
        "notification_retry_first_seconds",
        10,
        "(?)",
        WEBHOOKS,
        "First step of the exponential backoff; up to 4 hours in all.",
    ),
    choice(
        "notification_duplicates",
        "sometimes never always",
        "(f)",
        "nodejs-webhooks-sample issue 512",
        "An item is delivered twice (one in five, or each).",
    ),
    choice(
        "notification_order",
        "shuffled in_order",
        "stated",
        WEBHOOKS,
        "Order within one POST; nothing is promised.",
    ),
    choice(
        "notification_path_style",
        "mixed pascal lower parenthesised",
        "stated",
        WEBHOOKS + "; " + OUTLOOK,
        "Spelling of `resource` and `@odata.id`.",
    ),
    choice(
        "notification_times",
        "mixed utc",
        "stated",
        OUTLOOK,
        "Whether subscriptionExpirationDateTime may carry another offset.",
    ),
    choice(
        "move_notifications",
        "shuffled deleted_first created_first",
        "(f)",
        "emailengine source",
        "Order of the two notifications of a move.",
    ),
    choice(
        "received_updated", "yes no", "(f)", "docs issue 11710", "An `updated` follows each received mail."
    ),
    choice(
        "missed_event",
        "silent sent",
        "(f)",
        "Microsoft Q&A 5825832",
        "Whether a `missed` event reports notifications given up after 4 hours.",
    ),
)
