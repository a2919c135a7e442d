"""Drafts that answer or forward a message, with the quoted original and the threading headers.

Sources: Microsoft Graph, "message: createReply", "createReplyAll", "createForward" (`comment` or `message.body`, not
both; a reply goes to `replyTo` if there is one); RFC 5322, 3.6.4 for In-Reply-To and References.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any, Literal

from sandbox.graphsim import mail, writing
from sandbox.graphsim.bodies import inner, to_document
from sandbox.graphsim.errors import bad_request

if TYPE_CHECKING:
    from sandbox.graphsim.store import Address, Attachment, Mailbox, Message
    from sandbox.graphsim.world import World

Action = Literal["reply", "reply_all", "forward"]
_REPLY_PREFIXES = {"aw": "AW:", "antw": "Antw:", "sv": "SV:", "external": "RE:", "re": "RE:"}


def create(
    world: World, mailbox: Mailbox, original: Message, action: Action, parameters: dict[str, Any]
) -> Message:
    """Make the draft and put it into Drafts. `parameters`: comment, message, toRecipients; raises Graph's 400."""
    given = parameters.get("message") or {}
    comment = parameters.get("comment")
    if comment and given.get("body"):
        raise bad_request(
            "Specify either a comment or the body of the message, not both.", "ErrorInvalidRequest"
        )
    draft = mail.new_draft(
        world, mailbox, subject=_subject(world, original, action), parent_index=original.conversation_index
    )
    _set_threading(world, draft, original)
    _set_recipients(mailbox, draft, original, action)
    as_text = original.body_type == "text" and world.knobs.text("text_reply_draft") == "text"
    shown = comment if comment and world.knobs.text("reply_comment") == "shown" else ""
    if as_text:
        draft.body_type, draft.body = "text", shown + _quoted_as_text(original)
    else:
        draft.body_type, draft.body = "html", to_document(html.escape(shown) + _quoted(original))
    if world.knobs.text("reply_draft_pictures") == "copied" and action != "forward":
        draft.attachments = _shown_pictures(world, mailbox, original)
    if action == "forward":
        draft.attachments = [mail.with_new_id(world, mailbox, a) for a in original.attachments]
        draft.to = writing.recipients(parameters.get("toRecipients") or [])
    writing.fill(world, mailbox, draft, given, adding=world.knobs.text("reply_recipients") == "added")
    if given.get("body") and world.knobs.text("reply_message_body") == "above":
        _quote_below(draft, original)
    mail.place(world, mailbox, draft)
    if action == "reply_all" and not original.is_read and world.knobs.text("reply_all_marks_read") == "yes":
        original.is_read = True
        mail.touch(world, mailbox, original)
    return draft


def _quote_below(draft: Message, original: Message) -> None:
    """The quoted original below a body that was given, in the form of that body."""
    if draft.body_type == "text":
        draft.body += _quoted_as_text(original)
    else:
        draft.body = to_document(inner(draft.body) + _quoted(original))


def _shown_pictures(world: World, mailbox: Mailbox, original: Message) -> list[Attachment]:
    """Copies of the pictures that the original shows; every other one is no longer marked inline."""
    body = original.body.lower()
    copies = [
        mail.with_new_id(world, mailbox, file)
        for file in original.attachments
        if file.kind == "file" and file.content_id and f"cid:{file.content_id.strip('<>').lower()}" in body
    ]
    for copy in copies[::2]:
        copy.inline = False
    return copies


def _subject(world: World, original: Message, action: Action) -> str:
    return with_prefix("FW:" if action == "forward" else reply_prefix(world), original.subject)


def reply_prefix(world: World) -> str:
    """What a mail program puts before the subject of a reply (knob)."""
    return _REPLY_PREFIXES[world.knobs.text("reply_prefix")]


def with_prefix(prefix: str, subject: str) -> str:
    """The subject behind that prefix, which is put there once; those of other languages stay behind it."""
    return subject if subject.lower().startswith(prefix.lower()) else f"{prefix} {subject}"


def _set_threading(world: World, draft: Message, original: Message) -> None:
    draft.in_reply_to = original.internet_message_id
    earlier = original.references or ((original.in_reply_to,) if original.in_reply_to else ())
    draft.references = (
        *(r for r in earlier if r != original.internet_message_id),
        original.internet_message_id,
    )
    if world.knobs.text("sent_items_reply_tags") == "present":
        draft.reply_tags = frozenset({"in_reply_to", "references"})


def _set_recipients(mailbox: Mailbox, draft: Message, original: Message, action: Action) -> None:
    if action == "forward":
        return
    own = set(mailbox.user.keys)
    author = original.reply_to or ((original.from_,) if original.from_ else ())
    if original.from_ and original.from_.key in own:
        author = original.to
    draft.to = tuple(author)
    if action == "reply_all":
        draft.to = _without((*author, *original.to), own) or tuple(author)
        draft.cc = _without(original.cc, own | {a.key for a in draft.to})


def _without(people: tuple[Address, ...], excluded: set[str]) -> tuple[Address, ...]:
    return tuple({a.key: a for a in people if a.key not in excluded}.values())


def _quoted_as_text(original: Message) -> str:
    """The original below a line and its header, as Outlook quotes it in plain text."""
    sender = f"{original.from_.name} <{original.from_.address}>" if original.from_ else ""
    to = "; ".join(f"{a.name} <{a.address}>" for a in original.to)
    return (
        f"\r\n\r\n________________________________\r\nFrom: {sender}\r\nSent: {original.sent_at:%A, %B %d, %Y %H:%M}"
        f"\r\nTo: {to}\r\nSubject: {original.subject}\r\n\r\n{original.body}"
    )


def _quoted(original: Message) -> str:
    """The original below a line and its header, as Outlook quotes it."""
    sender = html.escape(f"{original.from_.name} <{original.from_.address}>") if original.from_ else ""
    to = html.escape("; ".join(f"{a.name} <{a.address}>" for a in original.to))
    content = (
        inner(original.body) if original.body_type == "html" else f"<pre>{html.escape(original.body)}</pre>"
    )
    return (
        '<hr tabindex="-1" style="display:inline-block; width:98%"><div id="divRplyFwdMsg" dir="ltr">'
        f"<b>From:</b> {sender}<br><b>Sent:</b> {original.sent_at:%A, %B %d, %Y %H:%M}<br><b>To:</b> {to}<br>"
        f"<b>Subject:</b> {html.escape(original.subject)}</div><div>&nbsp;</div>{content}"
    )
