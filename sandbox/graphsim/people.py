"""What people do in their mail programs: a mailbox's user in Outlook, and outsiders elsewhere."""

from __future__ import annotations

import base64
import html
from typing import TYPE_CHECKING, Any

from sandbox.graphsim import conversations, delivery, mail, replies
from sandbox.graphsim.bodies import inner, to_document, to_text, without_active_content
from sandbox.graphsim.kinds import KINDS, of_kind
from sandbox.graphsim.render import when
from sandbox.graphsim.store import PLAIN_CLASS, Address, Attachment, Mail
from sandbox.graphsim.unreadable import planned

if TYPE_CHECKING:
    from datetime import datetime

    from sandbox.graphsim.store import Mailbox, Message
    from sandbox.graphsim.world import World

Json = dict[str, Any]


class NotPossible(ValueError):
    """There is no such mail or folder, or the action is unknown."""


def write_as_outsider(world: World, address: str, wanted: Json, thread_index: bytes | None = None) -> str:
    """Send a new mail as an outsider; return its Message-ID.

    `kind` makes it one of another kind (see `kinds`), `message_class` gives it any class, `unreadable` is a plan of
    what Graph does not give of it; raises NotPossible for a kind that is not known, UnknownPart for such a plan.
    """
    if wanted.get("kind") and wanted["kind"] not in KINDS:
        raise NotPossible(f"kind is one of {', '.join(KINDS)}")
    person = world.store.ensure_outsider(Address("", address))
    sent = _outside_mail(world, person.address, wanted, thread_index)
    if wanted.get("kind"):
        sent = of_kind(world, sent, wanted["kind"])
    person.written.append(sent)
    delivery.transport(world, sent, world.now())
    return sent.internet_message_id


def _outside_mail(world: World, sender: Address, wanted: Json, thread_index: bytes | None) -> Mail:
    body_type = "html" if "html" in wanted else "text"
    domain = sender.address.rpartition("@")[2]
    return Mail(
        internet_message_id=wanted.get("message_id") or world.ids.internet_message_id(domain),
        sender=sender,
        to=_people(world, wanted.get("to", ())),
        cc=_people(world, wanted.get("cc", ())),
        bcc=(),
        subject=wanted.get("subject", ""),
        body_type=body_type,  # type: ignore[arg-type]  # one of both words
        body=wanted.get(body_type, ""),
        sent_at=world.now(),
        in_reply_to=wanted.get("in_reply_to"),
        references=tuple(wanted.get("references", ())),
        headers=tuple((wanted.get("headers") or {}).items()),
        attachments=tuple(_attachment(world, file) for file in wanted.get("attachments", ())),
        thread_index=thread_index,
        message_class=wanted.get("message_class", PLAIN_CLASS),
        unreadable=planned(world, wanted["unreadable"]) if wanted.get("unreadable") else None,
    )


def reply_as_outsider(world: World, address: str, wanted: Json) -> str:
    """Answer a mail as an outsider, with In-Reply-To and References, and with Thread-Index by the knob.

    Return the answer's Message-ID; raises NotPossible when the outsider does not have the mail.
    """
    person = world.store.ensure_outsider(Address("", address))
    mails = [received for _, received in person.received] + person.written
    original = next(
        (known for known in mails if known.internet_message_id == wanted["internet_message_id"]), None
    )
    if original is None:
        raise NotPossible("this person never saw that mail")
    own = original in person.written
    is_marked = own or world.knobs.text("reply_prefix") != "external" or "[EXTERNAL]" in original.subject
    marked = original.subject if is_marked else f"[EXTERNAL] {original.subject}"
    to = list(original.to) if own else list(original.reply_to or (original.sender,))
    cc = [
        other
        for other in (*original.to, *original.cc)
        if other.key not in {person.address.key, *(p.key for p in to)}
    ]
    subject = wanted.get("subject") or replies.with_prefix(replies.reply_prefix(world), marked)
    index = original.thread_index if world.knobs.text("contact_thread_index") == "present" else None
    answer = _answer_body(wanted, original)
    return write_as_outsider(
        world,
        address,
        {
            **wanted,
            "attachments": [*wanted.get("attachments", ()), *_quoted_pictures(answer, original)],
            "to": [recipient.address for recipient in to],
            "cc": [recipient.address for recipient in cc] if wanted.get("reply_all", True) else [],
            "subject": subject,
            **answer,
            "in_reply_to": original.internet_message_id,
            "references": [*original.references, original.internet_message_id],
        },
        conversations.child_index(world, index) if index else None,
    )


def _quoted_pictures(answer: Json, original: Mail) -> list[Json]:
    """The pictures that the quoted text shows: mail programs send them along, under the same Content-ID (?)."""
    shown = [
        file
        for file in original.attachments
        if file.content_id and f"cid:{file.content_id}" in answer.get("html", "")
    ]
    return [
        {
            "name": file.name,
            "content_type": file.content_type,
            "content_base64": base64.b64encode(file.content).decode(),
            "inline": True,
            "content_id": file.content_id,
        }
        for file in shown
    ]


def _answer_body(wanted: Json, original: Mail) -> Json:
    """What was written above what it answers: plain text where only text was given."""
    if "html" not in wanted and "text" in wanted:
        words = original.body if original.body_type == "text" else to_text(original.body)
        return {"text": "\n".join([wanted["text"], "", *(f"> {line}" for line in words.splitlines())])}
    quoted = inner(_as_html(original))  # without <html> and <body>
    return {"html": f"{wanted.get('html', '')}<blockquote>{quoted}</blockquote>"}


def write_as_user(world: World, mailbox: Mailbox, wanted: Json) -> Json:
    """Write as the mailbox's user (action new, reply, reply_all or forward) and send, unless `draft_only`."""
    action = wanted.get("action", "new")
    if action == "new":
        draft = mail.new_draft(world, mailbox, subject=wanted.get("subject", ""))
        draft.body_type, draft.body = "html", to_document(wanted.get("html", ""))
        mail.place(world, mailbox, draft)
    else:
        original = _message(mailbox, wanted["graph_message_id"])
        draft = replies.create(world, mailbox, original, action, {})
        _write_above(draft, wanted.get("html", ""))
        if wanted.get("subject"):
            mail.set_subject(world, mailbox, draft, wanted["subject"])
    if (chosen := mail.address_in_outlook(world, mailbox)) is not None:
        draft.from_ = draft.sender = chosen
    if wanted.get("to"):
        draft.to = _people(world, wanted["to"])
    if wanted.get("cc"):
        draft.cc = _people(world, wanted["cc"])
    files = (_attachment(world, file) for file in wanted.get("attachments", ()))
    draft.attachments += [mail.with_new_id(world, mailbox, file) for file in files]
    mail.touch(world, mailbox, draft)
    if not wanted.get("draft_only"):
        delivery.submit(world, mailbox, draft)
    return {"id": draft.immutable_id, "internet_message_id": draft.internet_message_id}


def act_as_user(world: World, mailbox: Mailbox, reference: str, action: str, wanted: Json) -> Json:
    """Send a draft, or move, delete, copy or mark a message as read, as the mailbox's user; raises NotPossible."""
    message = _message(mailbox, reference)
    match action:
        case "send":
            if wanted.get("html"):
                _write_above(message, wanted["html"])
            delivery.submit(world, mailbox, message)
        case "move":
            folder = mailbox.folder(wanted["folder"])
            if folder is None:
                raise NotPossible("there is no such folder")
            mail.move_by_person(world, mailbox, message, folder)
        case "delete":
            mail.delete(world, mailbox, message)
        case "copy":
            mail.duplicate(
                world, mailbox, message, mailbox.folder(wanted["folder"]) or mailbox.well_known("archive")
            )
        case "read":
            message.is_read = wanted.get("is_read", True)
            mail.touch(world, mailbox, message)
        case _:
            raise NotPossible("action is send, move, delete, copy or read")
    return {"id": message.immutable_id}


def move_all(world: World, mailbox: Mailbox, wanted: Json) -> Json:
    """Move all mails of one folder into another, as a desktop client does; raises NotPossible."""
    source, folder = mailbox.folder(wanted["from"]), mailbox.folder(wanted["folder"])
    if source is None or folder is None:
        raise NotPossible("there is no such folder")
    return {"moved": mail.move_many(world, mailbox, source, folder)}


def _message(mailbox: Mailbox, reference: str) -> Message:
    found = mailbox.message(reference)
    if found is None:
        raise NotPossible("there is no such message")
    return found


def _write_above(draft: Message, own: str) -> None:
    """Write above what a draft holds; into a plain-text draft, the words alone."""
    if draft.body_type == "text":
        draft.body = f"{to_text(own)}{draft.body}"
    else:
        draft.body = _above(own, draft.body)


def _above(own: str, document: str) -> str:
    head, body, rest = document.partition("<body>")
    return f"{head}{body}{own}{rest}" if body else f"{own}{document}"


def _people(world: World, addresses: Any) -> tuple[Address, ...]:
    return tuple(_person(world, address) for address in addresses)


def _person(world: World, given: str | Json) -> Address:
    if isinstance(given, dict):
        return Address(given.get("name", ""), given["address"])
    user = world.store.user(given)
    if user:
        return Address(user.display_name, given)
    known = world.store.outsiders.get(given.strip().lower())
    return known.address if known else Address("", given)


def _attachment(world: World, wanted: Json) -> Attachment:
    content = base64.b64decode(wanted.get("content_base64", ""))
    return Attachment(
        attachment_id=world.ids.opaque("att", 20),
        kind=wanted.get("kind", "file"),
        name=wanted.get("name"),
        content_type=wanted.get("content_type"),
        content=content,
        modified_at=world.now(),
        inline=bool(wanted.get("inline")),
        content_id=wanted.get("content_id"),
    )


def shown_mail(at: datetime, received: Mail) -> Json:
    """A mail that an outsider received, as JSON."""
    return {
        "internet_message_id": received.internet_message_id,
        "at": when(at),
        "from": received.sender.address,
        "from_name": received.sender.name,
        "to": [person.address for person in received.to],
        "cc": [person.address for person in received.cc],
        "subject": received.subject,
        "html": _as_html(received),
        "in_reply_to": received.in_reply_to,
        "references": list(received.references),
        "headers": dict(received.headers),
        "attachments": [_shown_file(file) for file in received.attachments],
    }


def shown_message(mailbox: Mailbox, message: Message) -> Json:
    """A message of a mailbox with all its properties, as JSON."""
    folder = mailbox.folders[message.folder_id]
    return {
        "id": message.immutable_id,
        "ordinary_id": message.ordinary_id,
        "folder": folder.well_known or folder.display_name,
        "internet_message_id": message.internet_message_id,
        "conversation_id": message.conversation_id,
        "subject": message.subject,
        "from": message.from_.address if message.from_ else None,
        "to": [person.address for person in message.to],
        "cc": [person.address for person in message.cc],
        "bcc": [person.address for person in message.bcc],
        "html": without_active_content(_as_html(message)),
        "is_draft": message.is_draft,
        "is_read": message.is_read,
        "in_reply_to": message.in_reply_to,
        "references": list(message.references),
        "received_at": when(message.received_at),
        "message_class": message.message_class,
        "extended": dict(message.extended),
        "attachments": [_shown_file(file) for file in message.attachments],
    }


def _as_html(item: Mail | Message) -> str:
    """A body as HTML, whatever form it has."""
    return item.body if item.body_type == "html" else f"<pre>{html.escape(item.body)}</pre>"


def _shown_file(file: Attachment) -> Json:
    return {
        "name": file.name,
        "content_type": file.content_type,
        "size_bytes": len(file.content),
        "inline": file.inline,
        "content_id": file.content_id,
    }


__all__ = [
    "NotPossible", "act_as_user", "move_all", "reply_as_outsider", "shown_mail", "shown_message", "write_as_outsider",
    "write_as_user",
]  # fmt: skip
