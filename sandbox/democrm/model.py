"""What the CRM keeps. Mutable on purpose: a message changes its status as events arrive."""

from __future__ import annotations

import re
from datetime import datetime
from html import unescape
from typing import Any, Literal
from zlib import crc32

import msgspec

_TAG = re.compile(r"<[^>]*>")

Status = Literal["sending", "sent", "failed", "unconfirmed", "received", "not_synced"]


class Person(msgspec.Struct, frozen=True):
    """A name and an address, as they stand in a mail."""

    address: str
    name: str | None = None

    @property
    def label(self) -> str:
        """The name, or the address of somebody without one."""
        return self.name or self.address


class User(msgspec.Struct, frozen=True):
    """Somebody who works with the CRM."""

    id: str
    name: str
    address: str


class Contact(msgspec.Struct, frozen=True):
    """Somebody outside, whom the users write to."""

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


class File(msgspec.Struct, frozen=True):
    """One attachment. Without `url` there is nothing to fetch (yet)."""

    name: str
    content_type: str = "application/octet-stream"
    size_bytes: int = 0
    id: str | None = None
    inline: bool = False
    content_id: str | None = None
    url: str | None = None
    omitted: str | None = None


class Message(msgspec.Struct, kw_only=True):
    """One mail in a conversation; `id` is ours, `product_id` is Postbraid's."""

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
    attachments: list[File] = []
    automatic: bool = False
    request: dict[str, Any] | None = None
    """What was handed over, kept to hand it over again unchanged."""

    @property
    def preview(self) -> str:
        """The first words, for lists."""
        return " ".join((self.text or unescape(_TAG.sub(" ", self.html or ""))).split())[:140]

    @property
    def fingerprint(self) -> str:
        """Another text when the body is another: pages load a message's frame again only then."""
        return f"{crc32(f'{self.html}{self.text}'.encode()):08x}"

    @property
    def can_retry(self) -> bool:
        """True when nobody knows whether Postbraid got it, so that the same request may go again."""
        return self.status == "failed" and self.product_id is None and self.request is not None


class Conversation(msgspec.Struct, kw_only=True):
    """What one contact and the users wrote about one subject; may span several threads (one per mailbox)."""

    id: str
    contact_id: str
    subject: str
    created_at: datetime
    threads: dict[str, str] = {}
    """thread_id -> user_id."""


class Connection(msgspec.Struct, frozen=True):
    """What the last `connection.*` event of a user said."""

    user_id: str
    status: str
    address: str | None
    changed_at: datetime


class Event(msgspec.Struct, kw_only=True):
    """One event accepted, by whichever way it came first."""

    id: str
    number: int
    type: str
    timestamp: datetime
    received_at: datetime
    source: Literal["webhook", "catch_up"]
    data: dict[str, Any]
    deliveries: int = 1
