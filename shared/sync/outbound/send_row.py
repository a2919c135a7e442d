"""A send in the hands of one worker: its row as last written, and the ways it is put off and ended."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from shared.domain import leftovers, outbound
from shared.domain.errors import MessageRefused, RaceLost, RowChanged
from shared.domain.leases import LEASE, is_renewal_due, is_same_hold
from shared.domain.model import OutboxItem, Phase, Reason
from shared.domain.waiting import Waiting, wake_at
from shared.mailbox_context import MailboxContext
from shared.ports import Access
from shared.state.codec import Stored
from shared.state.ledger import Change, Written, new
from shared.sync.events.announce import failed_event
from shared.sync.mailbox.access import access_of
from shared.sync.mailbox.grant import note_nothing_waits
from shared.sync.mailbox.unit_of_work import write

MOST_MOVES: Final = 3


@dataclass(slots=True)
class Sending:
    """One worker's hold on one send: the row as it last wrote or read it."""

    ctx: MailboxContext
    stored: Stored[OutboxItem]

    @property
    def item(self) -> OutboxItem:
        """The send as last written."""
        return self.stored.value

    @property
    def access(self) -> Access:
        """What every call for this mailbox needs."""
        return access_of(self.ctx)


async def save(work: Sending, item: OutboxItem, *changes: Change) -> bool:
    """Write the row under its ETag and hold the new one; False when another worker was faster.

    Who met this worker's lease has only moved the time; that is written over.
    """
    for _ in range(MOST_MOVES):
        try:
            # Loses to whoever has taken the send over, or seen its copy.
            written = await write(work.ctx, work.stored.changed(item), *changes)
        except RowChanged:
            if not await is_still_held(work):
                return False
            continue
        return await hold(work, item, written)
    return False


async def hold(work: Sending, item: OutboxItem, written: Written) -> bool:
    """Go on with the row as the first change of a transaction wrote it; False when another worker has changed it."""
    if written.etags is not None:
        work.stored = work.stored.changed(item).written(written.etags[0])
        return True
    fresh = await work.ctx.find(OutboxItem, item.key)
    if fresh is None or not is_same_hold(item, fresh.value):
        return False
    work.stored = fresh
    return True


async def is_still_held(work: Sending) -> bool:
    """Whether the row is as this worker last wrote it; the time that another may have moved is taken over."""
    fresh = await work.ctx.find(OutboxItem, work.item.key)
    if fresh is None or work.stored.read is None or not is_same_hold(work.stored.read, fresh.value):
        return False
    work.stored = fresh.changed(replace(work.item, due_at=fresh.value.due_at))
    return True


async def keep_lease(work: Sending) -> None:
    """Renew the lease where a good part of it is used up. Raises RaceLost where another worker has taken the send."""
    now = work.ctx.now()
    if not is_renewal_due(work.item, now):
        return
    lease_until = now + LEASE
    if not await save(work, replace(work.item, lease_until=lease_until, updated_at=now)):
        raise RaceLost


async def postpone(work: Sending, until: datetime, waits: Waiting | None = None) -> None:
    """Come back at that time, or before where the send is to be told of or ended; no attempt is counted."""
    now = work.ctx.now()
    due_at = wake_at(work.item, waits, until, now, outbound.tell_unknown_at(work.item))
    await save(work, replace(work.item, due_at=due_at, lease_until=None, updated_at=now))


async def fail(work: Sending, reason: Reason, detail: str = "") -> None:
    """End a send that will never leave, and tell the CRM why (E-13)."""
    with suppress(RowChanged):  # it loses to whoever has seen the copy of this send
        await write(work.ctx, *plan_failure(work.ctx, work.stored, reason, detail))
    await note_nothing_waits(work.ctx)


def plan_failure(
    ctx: MailboxContext, stored: Stored[OutboxItem], reason: Reason, detail: str = ""
) -> list[Change]:
    """The end of a send that will never leave, and the event that tells why."""
    now = ctx.now()
    item = replace(
        stored.value,
        phase=Phase.FAILED,
        reason=reason,
        detail=detail,
        lease_until=None,
        attempts=0,
        updated_at=now,
    )
    event = failed_event(ctx, item)
    item = replace(item, event_ref=event.ref, due_at=leftovers.tidy_at(item, now))
    return [stored.changed(item), new(event)]


async def finish(work: Sending) -> None:
    """Nothing more is to be done about a send that is over."""
    await save(work, replace(work.item, due_at=None, updated_at=work.ctx.now()))


def refusal_reason(err: MessageRefused) -> Reason:
    """The reason people are shown for a refusal; one without a name of its own is a plain refusal."""
    return Reason(err.reason) if err.reason in set(Reason) else Reason.REFUSED_BY_PROVIDER
