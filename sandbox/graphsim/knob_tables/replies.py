"""Drafts and reply drafts."""

from __future__ import annotations

from sandbox.graphsim.knob_tables.knob import Knob, choice
from sandbox.graphsim.knob_tables.pages import REPLY

REPLIES: tuple[Knob, ...] = (
    choice(
        "create_reply_status", "200 201", "stated", REPLY, "The page's text says 201, its samples print 200."
    ),
    choice(
        "reply_comment",
        "ignored shown",
        "stated",
        "Known issues with Microsoft Graph",
        "Whether `comment` gets into the draft's body.",
    ),
    choice(
        "reply_message_body",
        "replaces above",
        "(?)",
        REPLY,
        "Whether `message.body` replaces the quoted original or stands above it.",
    ),
    choice(
        "reply_recipients",
        "added replace",
        "(?)",
        REPLY,
        "Whether recipients given in `message` are added to those of the reply or replace them.",
    ),
    choice(
        "reply_all_marks_read",
        "yes no",
        "(f)",
        "inbox-zero source",
        "createReplyAll marks the original as read, which notifies.",
    ),
    choice(
        "reply_draft_pictures",
        "copied none",
        "(k)",
        "msgraph-sdk-dotnet issue 2937; office-js issue 5457",
        "Whether a reply draft brings the pictures that the quoted mail shows, every other one not marked inline.",
    ),
    choice(
        "text_reply_draft",
        "text html",
        "(k)",
        REPLY,
        "What the body of a reply draft to a plain-text mail is.",
    ),
    choice(
        "reply_prefix",
        "aw antw sv external re",
        "(k)",
        "field reports",
        "What a reply puts before the subject: `AW:`, `Antw:`, `SV:`, `RE: [EXTERNAL]` in those of contacts, whose "
        "gateways mark mail from outside, or `RE:`.",
    ),
    choice("draft_sender", "null self", "(k)", "message resource type", "`from` and `sender` of a draft."),
)
