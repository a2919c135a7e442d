"""A send in the hands of one worker: its row as last written, and the ways it is moved, put off and ended."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from shared.domain import outbound
from shared.domain.errors import (
    MessageRefused,
    RowChanged,
)
from shared.domain.model import Mailbox, MailboxRef, OutboxItem, Phase, Reason, Task, TaskKind
from shared.ports import Access
from shared.services import Services
from shared.state.codec import Stored
from shared.state.ledger import Change
from shared.sync.events.announce import failed_event
from shared.sync.events.deliver_event import deliver_now
from shared.sync.mailbox.access import access_for
from shared.sync.queueing.jobs import enqueue, moved


@dataclass(slots=True)
class Sending:
    """One worker's hold on one send: the row as it last wrote it."""

    s: Services
    mailbox: MailboxRef
    stored: Stored[OutboxItem]
    gate: Mailbox

    @property
    def item(self) -> OutboxItem:
        """The row as this worker last wrote or read it."""
        return self.stored.value

    def access(self) -> Access:
        """What every call for this mailbox needs."""
        return access_for(self.s, self.mailbox, self.gate)


async def save(work: Sending, item: OutboxItem, *changes: Change) -> bool:
    """Write the row under its ETag and hold the new one; False when another worker was faster."""
    try:
        etags = await work.s.ledger.write(work.mailbox, work.stored.changed(item), *changes)
    except RowChanged:
        return False
    work.stored = replace(work.stored, value=item, etag=etags[0])
    return True


def moved_send(old: OutboxItem, due_at: datetime | None) -> list[Change]:
    """The task of a send moves with the row that names its time, and takes its failures along."""
    return moved(TaskKind.SEND, old.key, old.due_at, due_at, old.attempts)


async def postpone(s: Services, mailbox: MailboxRef, stored: Stored[OutboxItem], until: datetime) -> None:
    """Move the send's task; no attempt is counted."""
    item = replace(stored.value, due_at=until, lease_until=None, updated_at=s.clock.now())
    try:
        await s.ledger.write(mailbox, stored.changed(item), *moved_send(stored.value, until))
    except RowChanged:
        return
    await enqueue(s, mailbox, Task(until, TaskKind.SEND, item.key, item.attempts))


async def fail(
    s: Services, mailbox: MailboxRef, stored: Stored[OutboxItem], reason: Reason, detail: str = ""
) -> None:
    """End a send that will never leave, and tell the CRM why (E-13)."""
    now = s.clock.now()
    item = replace(
        stored.value,
        phase=Phase.FAILED,
        reason=reason,
        detail=detail,
        lease_until=None,
        attempts=0,
        updated_at=now,
    )
    recorded = failed_event(s, mailbox, item)
    item = replace(item, event_ref=recorded.ref, due_at=outbound.tidy_at(item, now))
    ended = moved_send(replace(stored.value, attempts=0), item.due_at)
    try:
        await s.ledger.write(mailbox, stored.changed(item), *ended, *recorded.changes)
    except RowChanged:
        return
    await deliver_now(s, mailbox, recorded)


async def tidied(s: Services, mailbox: MailboxRef, stored: Stored[OutboxItem]) -> None:
    """Nothing more is to be done about a send that is over."""
    item = replace(stored.value, due_at=None, updated_at=s.clock.now())
    with suppress(RowChanged):
        await s.ledger.write(mailbox, stored.changed(item), *moved_send(stored.value, None))


def refusal_reason(err: MessageRefused) -> Reason:
    """The reason people are shown for a refusal; one without a name of its own is a plain refusal."""
    return Reason(err.reason) if err.reason in set(Reason) else Reason.REFUSED_BY_PROVIDER
