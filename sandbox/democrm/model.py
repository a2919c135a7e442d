"""The CRM's data. Messages are mutable, because events change their status."""

from __future__ import annotations

import re
from datetime import datetime
from html import unescape
from typing import Any, Literal
from zlib import crc32

import msgspec

_TAG = re.compile(r"<[^>]*>")

Status = Literal["sending", "waiting", "sent", "failed", "unconfirmed", "received", "not_synced"]


class Person(msgspec.Struct, frozen=True):
    """A name and an address, as written in a mail."""

    address: str
    name: str | None = None

    @property
    def label(self) -> str:
        """The name, or the address when there is no name."""
        return self.name or self.address


class User(msgspec.Struct, frozen=True):
    """A user of the CRM."""

    id: str
    name: str
    address: str


class Contact(msgspec.Struct, frozen=True):
    """A person outside the company, whom the users write to."""

    id: str
    name: str
    address: str


class OffendingFile(msgspec.Struct, frozen=True):
    """A file that kept a message from syncing."""

    name: str | None = None
    size_bytes: int | None = None
    problem: str | None = None


class Reason(msgspec.Struct, frozen=True):
    """Why a message was not sent or not synced."""

    code: str
    detail: str = ""
    files: tuple[OffendingFile, ...] = ()


class Waiting(msgspec.Struct, frozen=True):
    """What a send waits for at Postbraid, such as `sign_in`, and since when."""

    cause: str
    since: datetime | None = None


class Bounce(msgspec.Struct, frozen=True):
    """What a mail system reported of one recipient of a mail; `action` is `failed` or `delayed`, or not certain."""

    recipient: str | None = None
    status: str | None = None
    diagnostic_code: str | None = None
    action: str | None = None


class File(msgspec.Struct, frozen=True):
    """An attachment. Without `url` it cannot be fetched (yet)."""

    name: str
    content_type: str = "application/octet-stream"
    size_bytes: int = 0
    id: str | None = None
    inline: bool = False
    content_id: str | None = None
    url: str | None = None
    omitted: str | None = None


class Message(msgspec.Struct, kw_only=True):
    """A mail in a conversation; `id` is the CRM's, `product_id` is Postbraid's."""

    id: str
    conversation_id: str
    user_id: str
    direction: Literal["outbound", "inbound"]
    origin: Literal["crm", "mailbox"]
    status: Status
    created_at: datetime
    happened_at: datetime
    subject: str
    sender: Person
    to: list[Person] = []
    cc: list[Person] = []
    html: str | None = None
    text: str | None = None
    product_id: str | None = None
    thread_id: str | None = None
    internet_message_id: str | None = None
    sequence: int | None = None
    reason: Reason | None = None
    waiting: Waiting | None = None
    warnings: list[str] = []
    """What Postbraid took out of the HTML of a send."""
    attachments: list[File] = []
    automatic: bool = False
    kind: str = "mail"
    bounces: list[Bounce] = []
    """What came back of this message, one entry for each recipient."""
    bounce_of: str | None = None
    """The product id of the message that this one is a bounce of."""
    sent_again_as: str | None = None
    """The id of the message that was made from this one after it failed."""
    request: dict[str, Any] | None = None
    """The request to Postbraid, kept to send it again unchanged."""

    @property
    def preview(self) -> str:
        """The first 140 characters as text, for lists."""
        return " ".join((self.text or unescape(_TAG.sub(" ", self.html or ""))).split())[:140]

    @property
    def fingerprint(self) -> str:
        """A checksum of the body: pages reload a message's frame only when it has changed."""
        return f"{crc32(f'{self.html}{self.text}'.encode()):08x}"

    @property
    def can_retry(self) -> bool:
        """Whether the same request may be sent again: it failed, and Postbraid may or may not have received it."""
        return self.status == "failed" and self.product_id is None and self.request is not None

    @property
    def can_edit(self) -> bool:
        """Whether a new message may be made of this one: it was not sent, and that was not done yet."""
        return self.status == "failed" and self.origin == "crm" and self.sent_again_as is None


class ThreadState(msgspec.Struct, frozen=True):
    """Whether a thread was stopped, by whom (`user` or `crm`), and when that changed."""

    stopped: bool
    changed_at: datetime
    stopped_by: str | None = None


class Conversation(msgspec.Struct, kw_only=True):
    """The messages with a contact about a subject; may span several threads (one per mailbox)."""

    id: str
    contact_id: str
    subject: str
    created_at: datetime
    threads: dict[str, str] = {}
    """thread_id -> user_id."""
    thread_states: dict[str, ThreadState] = {}
    """By thread_id; a thread without an entry was never stopped."""

    def thread_of(self, user_id: str) -> str | None:
        """The user's newest thread; None for a user who has none yet: a first reply begins one."""
        own = (thread for thread, owner in reversed(self.threads.items()) if owner == user_id)
        return next(own, None)

    def stop_of(self, user_id: str) -> ThreadState | None:
        """How the user's newest thread was stopped; None when it syncs."""
        state = self.thread_states.get(self.thread_of(user_id) or "")
        return state if state and state.stopped else None


class Connection(msgspec.Struct, frozen=True):
    """A user's connection by the latest `connection.*` event."""

    user_id: str
    status: str
    address: str | None
    changed_at: datetime
    reason: str | None = None
    previous_address: str | None = None

    @property
    def sends(self) -> bool:
        """Whether Postbraid takes sends; with a sign-in that is needed it keeps them until then."""
        return self.status in {"connected", "degraded", "reconnect_required"}


class Event(msgspec.Struct, kw_only=True):
    """An accepted event; `source` is the way by which it came first."""

    id: str
    number: int
    type: str
    timestamp: datetime
    received_at: datetime
    source: Literal["webhook", "catch_up"]
    data: dict[str, Any]
    deliveries: int = 1
