"""Sending a mail, and what comes of it."""

from __future__ import annotations

from sandbox.graphsim.knob_tables.knob import Knob, choice, number
from sandbox.graphsim.knob_tables.pages import IMMUTABLE, SEND_MAIL

SENDING: tuple[Knob, ...] = (
    number(
        "sent_copy_delay_seconds",
        2.0,
        "stated",
        SEND_MAIL,
        "Time from the 202 of send to the copy in Sent Items; in reality there is no upper limit.",
    ),
    number(
        "delivery_delay_seconds",
        1.0,
        "stated",
        SEND_MAIL,
        "Time from send to the recipient's inbox; by default before the own sent copy.",
    ),
    number(
        "transport_per_minute",
        30,
        "stated",
        "Exchange Online limits, quoted in Microsoft Q&A",
        "Mails of one mailbox that transport takes a minute; more wait.",
    ),
    choice(
        "sent_copy_id",
        "changed kept",
        "(f)",
        IMMUTABLE + "; docs issues 11969, 1533",
        "Whether the draft's immutable id names the sent copy.",
    ),
    choice(
        "sent_message_id",
        "changed kept",
        "(f)",
        "office-js issue 6066",
        "Whether the draft's Message-ID survives sending.",
    ),
    choice(
        "sent_copy_gap",
        "missing draft",
        "stated",
        SEND_MAIL,
        "What GET by id finds between send and filing: 404, or still the draft.",
    ),
    choice(
        "sent_copy_extended_properties",
        "kept lost",
        "(f)",
        "docs issue 4006",
        "Whether single-value properties survive sending. Default kept: with both ids changed, "
        "nothing else would identify the copy.",
    ),
    choice(
        "relay_message_id",
        "kept rewritten",
        "(f)",
        "docs-contrib issue 7700",
        "Whether a relay gives the recipients another Message-ID. Default kept: rewritten leaves a "
        "reply no evidence but the conversation.",
    ),
    choice(
        "named_property_quota",
        "free spent",
        "(f)",
        "msgraph-sdk-java issue 764; O365ServiceDescriptions issue 527",
        "What a create or update with an extended property by name meets: room, or 403 ErrorQuotaExceeded. "
        "Default free: spent, nothing of all that is told by a key could be tried.",
    ),
)
