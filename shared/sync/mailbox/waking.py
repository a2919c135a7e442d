"""What waited for a consent is due once that works again: its tasks are moved, for a message may be lost (E-1)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Final

from shared.domain.errors import RowChanged, RowExists, RowMissing
from shared.domain.held import put_off
from shared.domain.leases import held_until
from shared.domain.model import FenceState, OutboxItem, Seen, Task, TaskKind
from shared.mailbox_context import MailboxContext
from shared.state.codec import Stored
from shared.state.ledger import new
from shared.sync.mailbox.grant import EVER, waiting_task
from shared.sync.mailbox.task_rows import end_task, move_task
from shared.sync.mailbox.unit_of_work import write
from shared.sync.queueing.jobs import enqueue

# Deliveries wait for the CRM, not for the mailbox.
WAITING: Final = (
    TaskKind.SEND,
    TaskKind.SWEEP,
    TaskKind.RENEW,
    TaskKind.RETRY_IMPORT,
    TaskKind.LOOK_AGAIN,
)


async def enqueue_waiting(ctx: MailboxContext, task: Task) -> None:
    """Make all that waited for the consent due now, and enqueue it; repeated as a whole where it came to no end."""
    listed = await ctx.services.ledger.tasks(ctx.ref, ctx.now() + EVER, limit=None)
    for waiting in [stored.value for stored in listed if stored.value.kind in WAITING]:
        if waiting.due_at <= ctx.now():
            await enqueue(ctx, waiting, at_once=True)
        else:
            await _make_due(ctx, waiting)
    await end_task(ctx, task)


async def wake_if_repaired(ctx: MailboxContext) -> None:
    """Wake what waits once more where a job found the consent dead and it works again by now.

    Whoever repaired it may have woken this job's work before the job put that off. Raises StoreUnavailable.
    """
    if ctx.mailbox is None or not ctx.mailbox.grant_dead:
        return
    mailbox = await ctx.read()
    if mailbox is not None and mailbox.state is FenceState.OPEN and not mailbox.grant_dead:
        with suppress(RowExists):
            await write(ctx, new(waiting_task(ctx)))


async def _make_due(ctx: MailboxContext, task: Task) -> None:
    """Move one task to now, wherever the row that names its time lies; the new one is enqueued by its write.

    Sweep and renewal were moved in the transaction that noted the consent.
    """
    now = ctx.now()
    match task.kind:
        case TaskKind.SEND:
            item = await ctx.find(OutboxItem, task.ref)
            if item is not None and item.value.due_at == task.due_at and held_until(item.value, now) is None:
                await _write(ctx, item.changed(replace(item.value, due_at=now)))
        case TaskKind.LOOK_AGAIN:
            seen = await ctx.find(Seen, task.ref)
            if seen is not None and seen.value.held is not None:
                await _write(ctx, seen.changed(replace(seen.value, held=put_off(seen.value.held, now))))
        case TaskKind.RETRY_IMPORT:
            await move_task(ctx, task, replace(task, due_at=now))
        case _:
            await enqueue(ctx, task, at_once=True)


async def _write(ctx: MailboxContext, row: Stored[OutboxItem] | Stored[Seen]) -> None:
    with suppress(RowChanged, RowMissing, RowExists):
        # Loses to a worker that is at it.
        await write(ctx, row)
