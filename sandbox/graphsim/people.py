"""What people do in their own mail programs: a mailbox's user in Outlook, and persons outside."""

from __future__ import annotations

import base64
import html
from typing import TYPE_CHECKING, Any

from sandbox.graphsim import conversations, delivery, mail, replies
from sandbox.graphsim.bodies import inner, to_document, without_active_content
from sandbox.graphsim.render import when
from sandbox.graphsim.store import Address, Attachment, Mail

if TYPE_CHECKING:
    from datetime import datetime

    from sandbox.graphsim.store import Mailbox, Message
    from sandbox.graphsim.world import World

Json = dict[str, Any]


class NotPossible(ValueError):
    """There is no such mail, or it is of the wrong kind."""


def outsider_writes(world: World, address: str, wanted: Json, thread_index: bytes | None = None) -> str:
    """A new mail from outside; returns its Message-ID."""
    person = world.store.outsider(Address("", address))
    sent = _outside_mail(world, person.address, wanted, thread_index)
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
        attachments=tuple(_attachment(world, one) for one in wanted.get("attachments", ())),
        thread_index=thread_index,
    )


def outsider_replies(world: World, address: str, wanted: Json) -> str:
    """An answer from outside, with In-Reply-To and References; a Thread-Index (knob) is written by few programs."""
    person = world.store.outsider(Address("", address))
    known = [one for _, one in person.received] + person.written
    original = next((one for one in known if one.internet_message_id == wanted["internet_message_id"]), None)
    if original is None:
        raise NotPossible("this person never saw that mail")
    own = original in person.written
    to = list(original.to) if own else list(original.reply_to or (original.sender,))
    cc = [
        one
        for one in (*original.to, *original.cc)
        if one.key not in {person.address.key, *(p.key for p in to)}
    ]
    subject = wanted.get("subject") or (
        original.subject if original.subject.lower().startswith("re:") else f"Re: {original.subject}"
    )
    quoted = f"<blockquote>{inner(original.body)}</blockquote>"  # not a document within a document
    index = original.thread_index if world.knobs.text("contact_thread_index") == "present" else None
    return outsider_writes(
        world,
        address,
        {
            **wanted,
            "to": [one.address for one in to],
            "cc": [one.address for one in cc] if wanted.get("reply_all", True) else [],
            "subject": subject,
            "html": f"{wanted.get('html') or html.escape(wanted.get('text', ''))}{quoted}",
            "in_reply_to": original.internet_message_id,
            "references": [*original.references, original.internet_message_id],
        },
        conversations.child_index(world, index) if index else None,
    )


def user_writes(world: World, mailbox: Mailbox, wanted: Json) -> Json:
    """The mailbox's user: action new, reply, reply_all or forward; sent at once unless `draft_only`."""
    action = wanted.get("action", "new")
    if action == "new":
        draft = mail.new_draft(world, mailbox, subject=wanted.get("subject", ""))
        draft.body_type, draft.body = "html", to_document(wanted.get("html", ""))
        mail.place(world, mailbox, draft)
    else:
        original = _message(mailbox, wanted["graph_message_id"])
        draft = replies.create(world, mailbox, original, action, {})
        draft.body = _above(wanted.get("html", ""), draft.body)
        if wanted.get("subject"):
            mail.set_subject(world, mailbox, draft, wanted["subject"])
    if wanted.get("to"):
        draft.to = _people(world, wanted["to"])
    if wanted.get("cc"):
        draft.cc = _people(world, wanted["cc"])
    files = (_attachment(world, one) for one in wanted.get("attachments", ()))
    draft.attachments += [mail.renewed(world, mailbox, one) for one in files]
    mail.touch(world, mailbox, draft)
    if not wanted.get("draft_only"):
        delivery.submit(world, mailbox, draft)
    return {"id": draft.immutable_id, "internet_message_id": draft.internet_message_id}


def user_acts(world: World, mailbox: Mailbox, reference: str, action: str, wanted: Json) -> Json:
    """Send a draft, move, delete or mark as read."""
    message = _message(mailbox, reference)
    match action:
        case "send":
            if wanted.get("html"):
                message.body = _above(wanted["html"], message.body)
            delivery.submit(world, mailbox, message)
        case "move":
            folder = mailbox.folder(wanted["folder"])
            if folder is None:
                raise NotPossible("there is no such folder")
            mail.move(world, mailbox, message, folder)
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


def _message(mailbox: Mailbox, reference: str) -> Message:
    found = mailbox.message(reference)
    if found is None:
        raise NotPossible("there is no such message")
    return found


def _above(own: str, document: str) -> str:
    head, body, rest = document.partition("<body>")
    return f"{head}{body}{own}{rest}" if body else f"{own}{document}"


def _people(world: World, addresses: Any) -> tuple[Address, ...]:
    return tuple(_person(world, one) for one in addresses)


def _person(world: World, one: str | Json) -> Address:
    if isinstance(one, dict):
        return Address(one.get("name", ""), one["address"])
    user = world.store.user(one)
    if user:
        return Address(user.display_name, user.address)
    known = world.store.outsiders.get(one.strip().lower())
    return known.address if known else Address("", one)


def _attachment(world: World, wanted: Json) -> Attachment:
    content = base64.b64decode(wanted.get("content_base64", ""))
    return Attachment(
        attachment_id=world.ids.opaque("att", 20),
        kind=wanted.get("kind", "file"),
        name=wanted["name"],
        content_type=wanted.get("content_type"),
        content=content,
        modified_at=world.now(),
        inline=bool(wanted.get("inline")),
        content_id=wanted.get("content_id"),
    )


def shown_mail(at: datetime, one: Mail) -> Json:
    """A mail as it reached somebody outside."""
    return {
        "internet_message_id": one.internet_message_id,
        "at": when(at),
        "from": one.sender.address,
        "from_name": one.sender.name,
        "to": [person.address for person in one.to],
        "cc": [person.address for person in one.cc],
        "subject": one.subject,
        "html": one.body if one.body_type == "html" else f"<pre>{html.escape(one.body)}</pre>",
        "in_reply_to": one.in_reply_to,
        "references": list(one.references),
        "headers": dict(one.headers),
        "attachments": [_shown_file(file) for file in one.attachments],
    }


def shown_message(mailbox: Mailbox, one: Message) -> Json:
    """A message of a mailbox with everything the service knows of it."""
    folder = mailbox.folders[one.folder_id]
    return {
        "id": one.immutable_id,
        "ordinary_id": one.ordinary_id,
        "folder": folder.well_known or folder.display_name,
        "internet_message_id": one.internet_message_id,
        "conversation_id": one.conversation_id,
        "subject": one.subject,
        "from": one.from_.address if one.from_ else None,
        "to": [person.address for person in one.to],
        "cc": [person.address for person in one.cc],
        "bcc": [person.address for person in one.bcc],
        "html": without_active_content(one.body),
        "is_draft": one.is_draft,
        "is_read": one.is_read,
        "in_reply_to": one.in_reply_to,
        "references": list(one.references),
        "received_at": when(one.received_at),
        "extended": dict(one.extended),
        "attachments": [_shown_file(file) for file in one.attachments],
    }


def _shown_file(file: Attachment) -> Json:
    return {
        "name": file.name,
        "content_type": file.content_type,
        "size_bytes": len(file.content),
        "inline": file.inline,
    }


__all__ = [
    "NotPossible", "outsider_replies", "outsider_writes", "shown_mail", "shown_message", "user_acts", "user_writes",
]  # fmt: skip
