"""Mail that is no plain mail: bounces, automatic answers, receipts, meetings, recalls."""

from __future__ import annotations

from sandbox.graphsim.knob_tables.knob import Knob, choice

KINDS: tuple[Knob, ...] = (
    choice(
        "bounce_in_reply_to",
        "absent present",
        "(k)",
        "field reports",
        "Whether a non-delivery report names the original in In-Reply-To.",
    ),
    choice(
        "bounce_conversation",
        "original new",
        "(k)",
        "Exchange's own reports carry the original's Thread-Index and Thread-Topic",
        "The conversation of Exchange's non-delivery report. Default original: with `new` and no In-Reply-To, nothing "
        "that may be read beforehand names the original.",
    ),
    choice(
        "bounce_writer",
        "exchange remote",
        "(k)",
        "RFC 3464, 2; Exchange non-delivery reports",
        "Who reports: Exchange with a conversation, or the other side's mail system without one. Default exchange: see "
        "`bounce_conversation`.",
    ),
    choice(
        "report_parts",
        "item files none",
        "(?)",
        "RFC 3464, 2; itemAttachment resource type",
        "What Graph lists as attachments of a report: the original as an item, its own parts as files, or nothing.",
    ),
    choice(
        "message_class_tag",
        "present absent",
        "(k)",
        "PidTagMessageClass (MS-OXCMSG)",
        "Whether 0x001A can be expanded. Default present: in a conversation a report is known by its class alone.",
    ),
    choice(
        "outside_message_class",
        "plain kept",
        "(k)",
        "PidTagMessageClass (MS-OXOMSG)",
        "Class of reports, automatic answers and recalls from outside: IPM.Note, or as inside an organisation.",
    ),
    choice(
        "automatic_reply_mark",
        "return_path auto_submitted",
        "stated",
        "RFC 3834, 3.3 and 5",
        "What marks an automatic answer from outside: an empty return path alone, or Auto-Submitted too.",
    ),
)
