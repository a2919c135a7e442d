"""A send over which workers die, or that is held by one: left alone, rested, given up where operators see it (E-28)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from shared.domain.errors import OutcomeUnknown, RowChanged, StoreUnavailable, WorkersDied
from shared.domain.leases import rest_after
from shared.domain.model import OutboxItem, Phase, Reason, Task, TaskKind
from shared.mailbox_context import MailboxContext
from shared.sync.mailbox.unit_of_work import write
from shared.sync.outbound.send_row import Sending, fail, postpone, save
from shared.sync.queueing.given_up import add_dead_letter


async def leave_to_holder(work: Sending, until: datetime) -> None:
    """Another worker is at it: come back when its lease ends, so that nobody comes each minute meanwhile."""
    item = work.item
    if item.due_at is not None and item.due_at < until:
        await save(work, replace(item, due_at=until))


async def rest(work: Sending, deaths: int) -> None:
    """Note that one more worker died over it, and come back after a while."""
    work.stored = work.stored.changed(replace(work.item, deaths=deaths))
    await postpone(work, work.ctx.now() + rest_after(deaths, work.ctx.services.random.jitter()))


async def give_up_lost(work: Sending) -> None:
    """End a send whose draft kills the workers that build it: nothing of it can have left."""
    item = work.item
    await add_dead_letter(
        work.ctx, Task(item.due_at or work.ctx.now(), TaskKind.SEND, item.key), WorkersDied()
    )
    await fail(work, Reason.GAVE_UP)


async def give_back(ctx: MailboxContext, key: str) -> None:
    """The store failed this worker, which lives: as far as the store lets it, its lease does not count as a death."""
    with suppress(StoreUnavailable, OutcomeUnknown, RowChanged):
        stored = await ctx.find(OutboxItem, key)
        if stored is None or stored.value.phase is not Phase.BUILDING:
            return
        if stored.value.build == ctx.claimed_build and stored.value.lease_until is not None:
            await write(ctx, stored.changed(replace(stored.value, lease_until=None)))
