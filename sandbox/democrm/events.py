"""Apply Postbraid's events to the CRM's data. The result is the same when events come late, twice or out of order."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal

import msgspec

from sandbox.democrm.model import (
    Bounce,
    Connection,
    Contact,
    Conversation,
    Event,
    File,
    Message,
    Person,
    Reason,
    ThreadState,
    Waiting,
)
from sandbox.democrm.store import Store


class Envelope(msgspec.Struct):
    """The body of every webhook."""

    type: str
    timestamp: datetime
    data: dict[str, Any]


class Mailbox(msgspec.Struct):
    """A mailbox in an event."""

    id: str
    address: str


class ConnectionData(msgspec.Struct):
    """`data` of `connection.*`."""

    user_id: str
    status: str
    mailbox: Mailbox | None = None
    previous_mailbox: Mailbox | None = None
    reason: str | Reason | None = None


class OutcomeData(msgspec.Struct):
    """`data` of `message.failed` and `message.unconfirmed`."""

    id: str
    reason: Reason
    crm_message_id: str | None = None


class WaitingData(msgspec.Struct):
    """`data` of `message.waiting`, the fields that the CRM uses."""

    id: str
    waiting_for: str
    waiting_since: datetime | None = None
    crm_message_id: str | None = None


class ThreadData(msgspec.Struct):
    """`data` of `thread.stopped` and `thread.resumed`, the fields that the CRM uses."""

    thread_id: str
    user_id: str
    crm_thread_id: str | None = None
    stopped_at: datetime | None = None
    stopped_by: str | None = None
    resumed_at: datetime | None = None


class Body(msgspec.Struct):
    """A mail's body as HTML and text."""

    html: str | None = None
    text: str | None = None
    truncated: bool = False


class BouncedData(msgspec.Struct):
    """`bounced` of `message.bounced`: of one recipient, of others, and of which message."""

    recipient: str | None = None
    status: str | None = None
    diagnostic_code: str | None = None
    action: str | None = None
    message_id: str | None = None
    crm_message_id: str | None = None
    others: list[Bounce] = []

    @property
    def bounces(self) -> list[Bounce]:
        """One entry for each recipient."""
        return [Bounce(self.recipient, self.status, self.diagnostic_code, self.action), *self.others]


class MessageData(msgspec.Struct, kw_only=True):
    """`data` of message.sent, .received, .bounced and .not_synced, the fields that the CRM uses."""

    id: str
    thread_id: str
    user_id: str
    direction: Literal["outbound", "inbound"]
    origin: Literal["crm", "mailbox"] = "mailbox"
    subject: str = ""
    author: Person | None = msgspec.field(name="from")
    to: list[Person] = []
    cc: list[Person] = []
    crm_thread_id: str | None = None
    crm_message_id: str | None = None
    internet_message_id: str | None = None
    sequence: int | None = None
    sent_at: datetime | None = None
    received_at: datetime | None = None
    snippet: str = ""
    body: Body = msgspec.field(default_factory=Body)
    attachments: list[File] = []
    automatic: bool = False
    kind: str = "mail"
    bounced: BouncedData | None = None
    reason: Reason | None = None

    @property
    def sender(self) -> Person:
        """The author; some mail has none."""
        return self.author or Person("", "(no sender)")


def apply_event(store: Store, event: Event) -> None:
    """Apply `event` and store it; raises msgspec.ValidationError when its data violates the contract."""
    handler = HANDLERS.get(event.type)
    if handler is None and event.type.startswith("connection."):
        handler = _apply_connection
    if handler is not None:
        handler(store, event)
    store.put("events", event.id, event)


def _apply_connection(store: Store, event: Event) -> None:
    data = msgspec.convert(event.data, ConnectionData)
    before = store.connections.get(data.user_id)
    if before is None or before.changed_at <= event.timestamp:
        reason = data.reason.code if isinstance(data.reason, Reason) else data.reason
        fresh = Connection(
            data.user_id,
            data.status,
            data.mailbox.address if data.mailbox else None,
            event.timestamp,
            reason,
            data.previous_mailbox.address if data.previous_mailbox else None,
        )
        store.put("connections", data.user_id, fresh)


def _apply_message(store: Store, event: Event) -> None:
    data = msgspec.convert(event.data, MessageData)
    known = _known(store, data.id, data.crm_message_id)
    if known is not None and (data.sequence or 0) < (known.sequence or 0):
        return  # it was told again meanwhile, when it became readable; this event is late
    message = known or _make_message(store, data, event)
    _fill(message, data, event)
    message.sender = _with_name(store, message.sender)
    message.to, message.cc = (
        [_with_name(store, person) for person in people] for people in (message.to, message.cc)
    )
    conversation = store.conversations[message.conversation_id]
    if conversation.threads.get(data.thread_id) != data.user_id:
        conversation.threads[data.thread_id] = data.user_id
        store.put("conversations", conversation.id, conversation)
    store.put("messages", message.id, message)
    _note_bounces(store, message, data.bounced)


def _note_bounces(store: Store, message: Message, bounced: BouncedData | None) -> None:
    """Show a bounce at its original, whichever of the two was told first."""
    original = (
        _known(store, bounced.message_id or "", bounced.crm_message_id) if bounced is not None else message
    )
    if original is None:
        return
    for report in sorted(store.messages.values(), key=lambda each: each.happened_at):
        if report.bounce_of is not None and report.bounce_of == original.product_id:
            for bounce in report.bounces:
                kept = [known for known in original.bounces if known.recipient != bounce.recipient]
                final = [
                    known for known in original.bounces if known not in kept and known.action == "failed"
                ]
                original.bounces = [*kept, *(final or [bounce])]
    store.put("messages", original.id, original)


def _apply_outcome(store: Store, event: Event) -> None:
    data = msgspec.convert(event.data, OutcomeData)
    message = _known(store, data.id, data.crm_message_id)
    if message is None or message.status == "sent":  # proof that it was sent outweighs an older event
        return
    message.product_id = data.id
    message.status = "failed" if event.type == "message.failed" else "unconfirmed"
    message.reason, message.waiting = data.reason, None
    store.put("messages", message.id, message)


def _apply_waiting(store: Store, event: Event) -> None:
    data = msgspec.convert(event.data, WaitingData)
    message = _known(store, data.id, data.crm_message_id)
    if message is None or message.status not in {"sending", "waiting"}:  # it has ended; this event is late
        return
    message.product_id = data.id
    message.status, message.waiting = "waiting", Waiting(data.waiting_for, data.waiting_since)
    store.put("messages", message.id, message)


def _apply_thread(store: Store, event: Event) -> None:
    data = msgspec.convert(event.data, ThreadData)
    conversation = store.conversation_by_thread(data.thread_id)
    conversation = conversation or store.conversations.get(data.crm_thread_id or "")
    if conversation is None:
        return
    stopped = event.type == "thread.stopped"
    at = (data.stopped_at if stopped else data.resumed_at) or event.timestamp
    conversation.threads.setdefault(data.thread_id, data.user_id)
    note_thread_state(store, conversation, data.thread_id, ThreadState(stopped, at, data.stopped_by))


def note_thread_state(store: Store, conversation: Conversation, thread_id: str, state: ThreadState) -> None:
    """Keep that a thread was stopped or resumed, unless something newer is known."""
    known = conversation.thread_states.get(thread_id)
    if known is None or known.changed_at <= state.changed_at:
        conversation.thread_states[thread_id] = state
        store.put("conversations", conversation.id, conversation)


def _known(store: Store, product_id: str, crm_message_id: str | None) -> Message | None:
    return store.messages.get(crm_message_id or "") or store.message_by_product_id(product_id)


def _make_message(store: Store, data: MessageData, event: Event) -> Message:
    return Message(
        id=f"m-{secrets.token_hex(6)}",
        conversation_id=_ensure_conversation(store, data, event).id,
        user_id=data.user_id,
        direction=data.direction,
        origin=data.origin,
        status="received",
        created_at=event.received_at,
        happened_at=event.timestamp,
        subject=data.subject,
        sender=data.sender,
    )


def _fill(message: Message, data: MessageData, event: Event) -> None:
    message.product_id, message.thread_id = data.id, data.thread_id
    message.internet_message_id, message.sequence = data.internet_message_id, data.sequence
    message.happened_at = data.sent_at or data.received_at or event.timestamp
    message.subject, message.sender, message.to, message.cc = data.subject, data.sender, data.to, data.cc
    message.automatic, message.kind, message.reason = data.automatic, data.kind, data.reason
    if data.bounced is not None:
        message.bounces, message.bounce_of = data.bounced.bounces, data.bounced.message_id
    message.status, message.waiting = STATUS_AFTER[event.type], None
    if event.type != "message.not_synced":
        message.html = data.body.html or message.html
        message.text = data.body.text or message.text or data.snippet
        message.attachments = data.attachments


def _ensure_conversation(store: Store, data: MessageData, event: Event) -> Conversation:
    known = store.conversations.get(data.crm_thread_id or "") or store.conversation_by_thread(data.thread_id)
    if known is not None:
        return known
    people = [data.sender] if data.direction == "inbound" else [*data.to, data.sender]
    contact = ensure_contact(store, people[0])
    fresh = Conversation(
        id=f"c-{secrets.token_hex(6)}",
        contact_id=contact.id,
        subject=data.subject,
        created_at=event.received_at,
    )
    store.put("conversations", fresh.id, fresh)
    return fresh


def _with_name(store: Store, person: Person) -> Person:
    """The person with the name that the CRM knows, when the mail gives none."""
    if person.name and person.name != person.address:
        return person
    return Person(person.address, store.name_of(person.address))


def ensure_contact(store: Store, person: Person) -> Contact:
    """The contact with this address; added when there is none yet."""
    known = store.contact_by_address(person.address)
    if known is None:
        known = Contact(f"k-{secrets.token_hex(6)}", person.label, person.address)
        store.put("contacts", known.id, known)
    return known


STATUS_AFTER: dict[str, Literal["sent", "received", "not_synced"]] = {
    "message.sent": "sent",
    "message.received": "received",
    "message.bounced": "received",
    "message.not_synced": "not_synced",
}
HANDLERS: dict[str, Callable[[Store, Event], None]] = {
    "message.sent": _apply_message,
    "message.received": _apply_message,
    "message.bounced": _apply_message,
    "message.not_synced": _apply_message,
    "message.failed": _apply_outcome,
    "message.unconfirmed": _apply_outcome,
    "message.waiting": _apply_waiting,
    "thread.stopped": _apply_thread,
    "thread.resumed": _apply_thread,
}
"""Events of other types are stored and shown, and change nothing: the API may add types."""
