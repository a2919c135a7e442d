"""Send a message as a user: store it, upload its files, send it to Postbraid, store the answer."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from sandbox.democrm.events import ensure_contact, note_thread_state
from sandbox.democrm.model import (
    Conversation,
    File,
    Message,
    OffendingFile,
    Person,
    Reason,
    Status,
    ThreadState,
    User,
    Waiting,
)
from sandbox.democrm.product import Product, Refused
from sandbox.democrm.store import Store

TOO_LARGE = 413
STATUS_OF: dict[str, Status] = {
    "accepted": "sending",
    "sending": "sending",
    "waiting": "waiting",
    "sent": "sent",
    "failed": "failed",
    "unconfirmed": "unconfirmed",
}
"""The CRM's status by Postbraid's; a status that is not known yet counts as sending, never as sent."""


class Unusable(Exception):
    """The order has no recipient, or names a user or conversation that does not exist."""


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file that a user attaches; with `content_id` a picture that the HTML shows by it (RFC 2392)."""

    name: str
    content_type: str
    content: bytes
    content_id: str | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """A message to send. Without `to` it goes to the people of the conversation's newest message."""

    user_id: str
    subject: str
    html: str
    text: str
    to: tuple[Person, ...] = ()
    cc: tuple[Person, ...] = ()
    bcc: tuple[Person, ...] = ()
    conversation_id: str | None = None
    thread_id: str | None = None
    crm_message_id: str | None = None
    again_of: str | None = None
    """The failed message that this one was made from."""
    files: tuple[NewFile, ...] = field(default=(), repr=False)


async def send(store: Store, product: Product, order: Order, now: datetime) -> tuple[Message, Refused | None]:
    """Store and send a message; return it, with the refusal if there was one. Raises Unusable."""
    user = store.users.get(order.user_id)
    if user is None:
        raise Unusable("There is no such user.")
    message = _record_message(store, user, order, now)
    ids: list[str] = []
    for file in order.files:
        try:
            ids.append(await product.upload(file.name, file.content_type, file.content))
        except Refused as refused:
            _record_failure(store, message, refused)
            if refused.status == TOO_LARGE:  # the body is the file
                offending = OffendingFile(file.name, len(file.content), "attachment_too_large")
                message.reason = Reason("attachment_too_large", "Nothing was sent.", (offending,))
                store.put("messages", message.id, message)
            return message, refused
    message.request = _request(store, message, order, ids)
    store.put("messages", message.id, message)
    return message, await hand_over(store, product, message)


async def hand_over(store: Store, product: Product, message: Message) -> Refused | None:
    """Send a message's stored request, for the first time or again; return the refusal if there was one."""
    try:
        answer = await product.send(message.request or {})
    except Refused as refused:
        _record_failure(store, message, refused)
        return refused
    message.product_id, message.thread_id = answer["id"], answer["thread_id"]
    message.warnings = [str(warning) for warning in answer.get("warnings") or []]
    if message.status in {"sending", "waiting", "failed"}:  # else an event has already told the outcome
        _take_status(message, answer)
    conversation = store.conversations[message.conversation_id]
    conversation.threads[answer["thread_id"]] = message.user_id
    store.put("conversations", conversation.id, conversation)
    store.put("messages", message.id, message)
    return None


def _take_status(message: Message, answer: Mapping[str, Any]) -> None:
    """Set the status that Postbraid answers, which for a repeat is that of the first time."""
    message.status = STATUS_OF.get(str(answer.get("status")), "sending")
    reason = answer.get("reason")
    message.reason = msgspec.convert(reason, Reason) if reason and message.status != "waiting" else None
    message.waiting = None
    if message.status == "waiting":
        since = answer.get("waiting_since")
        message.waiting = Waiting(
            str(answer.get("waiting_for") or "unknown"), msgspec.convert(since, datetime | None)
        )


def recipients_of_reply(store: Store, conversation: Conversation) -> tuple[Person, ...]:
    """The people of the newest message that a person wrote, without the users and their mailboxes; else the contact."""
    own = {user.address.casefold() for user in store.users.values()}
    own |= {connection.address.casefold() for connection in store.connections.values() if connection.address}
    for message in reversed(store.messages_of(conversation.id)):
        if message.automatic:
            continue
        people = {person.address.casefold(): person for person in (message.sender, *message.to, *message.cc)}
        others = tuple(person for address, person in people.items() if address not in own)
        if others:
            return others
    contact = store.contacts[conversation.contact_id]
    return (Person(contact.address, contact.name),)


def reply_subject(subject: str) -> str:
    """The subject with a `Re:` before it, unless it has one."""
    return subject if subject[:3].casefold() == "re:" else f"Re: {subject}"


def _record_message(store: Store, user: User, order: Order, now: datetime) -> Message:
    conversation = _find_conversation(store, order)
    to = order.to or (recipients_of_reply(store, conversation) if conversation else ())
    if not to:
        raise Unusable("A message needs a recipient.")
    if conversation is None:
        conversation = _open_conversation(store, order, to[0], now)
    connection = store.connections.get(user.id)
    sender = Person((connection.address if connection else None) or user.address, user.name)
    message = Message(
        id=order.crm_message_id or f"m-{secrets.token_hex(6)}",
        conversation_id=conversation.id,
        user_id=user.id,
        direction="outbound",
        origin="crm",
        status="sending",
        created_at=now,
        happened_at=now,
        subject=order.subject or reply_subject(conversation.subject),
        sender=sender,
        to=list(to),
        cc=list(order.cc),
        html=order.html,
        text=order.text or None,
        attachments=[_as_shown(file) for file in order.files],
    )
    store.put("messages", message.id, message)
    failed = store.messages.get(order.again_of or "")
    if failed and failed.can_edit:
        failed.sent_again_as = message.id
        store.put("messages", failed.id, failed)
    return message


def _find_conversation(store: Store, order: Order) -> Conversation | None:
    if order.conversation_id:
        found = store.conversations.get(order.conversation_id)
    elif order.thread_id:
        found = store.conversation_by_thread(order.thread_id)
    else:
        return None
    if found is None:
        raise Unusable("There is no such conversation.")
    return found


def _open_conversation(store: Store, order: Order, first: Person, now: datetime) -> Conversation:
    contact = ensure_contact(store, first)
    conversation = Conversation(
        id=f"c-{secrets.token_hex(6)}",
        contact_id=contact.id,
        subject=order.subject,
        created_at=now,
    )
    store.put("conversations", conversation.id, conversation)
    return conversation


def _request(store: Store, message: Message, order: Order, file_ids: list[str]) -> dict[str, Any]:
    conversation = store.conversations[message.conversation_id]
    thread_id = order.thread_id or conversation.thread_of(message.user_id)
    request: dict[str, Any] = {
        "crm_message_id": message.id,
        "user_id": message.user_id,
        "crm_thread_id": conversation.id,
        "to": _people(message.to),
        "cc": _people(message.cc),
        "bcc": _people(order.bcc),
        "subject": message.subject,
        "body": {"html": order.html} | ({"text": order.text} if order.text else {}),
        "attachments": [
            {"file_id": file_id}
            | ({"inline": True, "content_id": file.content_id} if file.content_id else {})
            for file_id, file in zip(file_ids, order.files, strict=True)
        ],
        "crm_context": {"conversation": conversation.id},
        "contact_ids": [conversation.contact_id],
    }
    return request | ({"thread_id": thread_id} if thread_id else {})


def _as_shown(file: NewFile) -> File:
    """The file until the event tells more of it."""
    return File(
        file.name,
        file.content_type,
        len(file.content),
        inline=file.content_id is not None,
        content_id=file.content_id,
    )


def _people(people: Iterable[Person]) -> list[dict[str, str]]:
    return [{"address": person.address} | ({"name": person.name} if person.name else {}) for person in people]


def _record_failure(store: Store, message: Message, refused: Refused) -> None:
    if message.status == "sending":  # else an event has already set the status
        message.status = "failed"
        message.reason = Reason(refused.code if refused.status else "unreachable", refused.detail)
    thread_id = (message.request or {}).get("thread_id")
    if refused.is_thread_stopped and thread_id:  # the event that told it has not come, or was missed
        conversation = store.conversations[message.conversation_id]
        if not conversation.stop_of(message.user_id):
            note_thread_state(store, conversation, thread_id, ThreadState(True, message.created_at))
    if refused.is_final:
        message.request = None
    store.put("messages", message.id, message)
