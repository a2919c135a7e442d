"""Test data in one breath: everything has a plausible value, and a test names only what matters to it."""

from __future__ import annotations

import builtins
import random
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.domain import ids
from shared.domain.model import (
    Address,
    Connection,
    ConnectionStatus,
    CrmUser,
    Event,
    FenceState,
    Located,
    Mailbox,
    MailboxRef,
    MessageIndex,
    OutboxItem,
    Outline,
    People,
    Seen,
    Task,
    TaskKind,
    Thread,
    Whereabouts,
)
from shared.state import keys
from shared.storage.testing import MemoryTables
from shared.turns import Turn, Turns

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
TENANT = "ten_northwind"
MAILBOX = MailboxRef(TENANT, ids.mailbox_id(TENANT, "tid-1", "oid-ann"))
KEY = ids.crm_key(TENANT, "m-1")
THREAD = ids.thread_id(MAILBOX.mailbox_id, KEY)
ANN, BEA, CAL = "ann@northwind.example", "bea@fabrikam.example", "cal@contoso.example"


def later(**span: float) -> datetime:
    """A time after NOW: `later(minutes=5)`."""
    return NOW + timedelta(**span)


def bucket_end(bucket: int) -> datetime:
    """When a bucket of the table Due is over."""
    return datetime.fromtimestamp((bucket + 1) * keys.BUCKET.total_seconds(), UTC)


@dataclass(slots=True)
class StillClock:
    """Time passes only when a test says so."""

    at: datetime = NOW

    def now(self) -> datetime:
        return self.at

    def forward(self, **span: float) -> datetime:
        self.at += timedelta(**span)
        return self.at


@dataclass(slots=True)
class SeededRandom:
    """Randomness that repeats."""

    source: random.Random = field(default_factory=lambda: random.Random(7))

    def token(self, size_bytes: int = 32) -> str:
        return urlsafe_b64encode(self.bytes(size_bytes)).rstrip(b"=").decode()

    def bytes(self, size_bytes: int) -> builtins.bytes:
        return self.source.randbytes(size_bytes)

    def jitter(self) -> float:
        return self.source.random()


class NamedSealer:
    """Seals by writing the place beside the value: opens only where it was sealed for."""

    async def seal(self, tenant_id: str, place: Any, plain: bytes) -> str:
        return "|".join((tenant_id, *place, plain.hex()))

    async def unseal(self, tenant_id: str, place: Any, sealed: str) -> bytes:
        *where, plain = sealed.split("|")
        assert where == "|".join((tenant_id, *place)).split("|"), "opened in another place"
        return bytes.fromhex(plain)


async def ready_tables() -> MemoryTables:
    """A table store with all our tables."""
    tables = MemoryTables()
    await tables.ensure(keys.TABLES)
    return tables


def a_mailbox(**changes: Any) -> Mailbox:
    """An open mailbox of generation 1."""
    return replace(Mailbox("con_1", "u_ann", ANN, 1, FenceState.OPEN), **changes)


def thread(**changes: Any) -> Thread:
    """A thread of the mailbox that `a_mailbox` makes, with Bea on it."""
    return replace(Thread(THREAD, "con_1", 1, NOW, participants=(BEA,)), **changes)


def outline(**changes: Any) -> Outline:
    """A mail without any threading tag."""
    return replace(
        Outline("AAMk-1", "<b7@fabrikam.example>", "conv-1", is_draft=False, received_at=NOW), **changes
    )


def people(sender: str | None = BEA, to: tuple[str, ...] = (ANN,), cc: tuple[str, ...] = ()) -> People:
    """Who is on a mail."""
    return People(Address(sender) if sender else None, _addresses(to), _addresses(cc))


def index(**changes: Any) -> MessageIndex:
    """A known Message-ID of the thread."""
    return replace(MessageIndex("<a1@northwind.example>", THREAD, "msg_1", at=NOW), **changes)


def seen(**changes: Any) -> Seen:
    """A mail that was decided on."""
    return replace(Seen("AAMk-1", "msg_1", THREAD, None, NOW), **changes)


def outbox_item(**changes: Any) -> OutboxItem:
    """A send that was just accepted."""
    item = OutboxItem(
        key=KEY,
        crm_message_id="m-1",
        message_id=ids.outbound_message_id(MAILBOX.mailbox_id, KEY),
        thread_id=THREAD,
        reply=False,
        crm_thread_id=None,
        generation=1,
        user_id="u_ann",
        to=(Address(BEA),),
        cc=(),
        bcc=(),
        subject="Your offer",
        body_blob="ten_northwind/body",
        files=(),
        crm_context="{}",
        contact_ids=(),
        created_at=NOW,
        updated_at=NOW,
        due_at=NOW,
    )
    return replace(item, **changes)


def located(whereabouts: Whereabouts, **changes: Any) -> Located:
    """A message found in that place."""
    return Located(outline(**changes), whereabouts)


def event(**changes: Any) -> Event:
    """A recorded event that waits for its delivery."""
    return replace(Event("evt_1", "message.received", NOW, "msg_1", "{}", None, NOW), **changes)


def task(due_at: datetime = NOW, kind: TaskKind = TaskKind.SEND, ref: str = KEY, attempts: int = 0) -> Task:
    """Work that is due now."""
    return Task(due_at, kind, ref, attempts)


def connection(**changes: Any) -> Connection:
    """Ann's connection."""
    user = CrmUser("u_ann", "Ann Archer", (ANN,))
    made = Connection(
        "con_1", user, MAILBOX.mailbox_id, "tid-1", "oid-ann", ANN, "Ann", 1, ConnectionStatus.CONNECTED, NOW
    )
    return replace(made, **changes)


def _addresses(texts: tuple[str, ...]) -> tuple[Address, ...]:
    return tuple(Address(text) for text in texts)


class TurnsApart(Turns):
    """Every job is a process of its own: none waits for another, so that their races are met."""

    def of(self, mailbox: MailboxRef) -> Turn:
        """A turn that nobody else has."""
        return Turn()
