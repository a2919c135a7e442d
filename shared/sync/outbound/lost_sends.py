"""A send over which workers die, or that is held by one: left alone, rested, given up where operators see it (E-28)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from shared.domain.errors import OutcomeUnknown, RowChanged, StoreUnavailable, WorkersDied
from shared.domain.leases import MOST_DEATHS, rest_after
from shared.domain.model import OutboxItem, Phase, Reason, Task, TaskKind
from shared.mailbox_context import MailboxContext
from shared.sync.mailbox.unit_of_work import write
from shared.sync.outbound.send_row import Sending, fail, postpone, save
from shared.sync.outbound.unknown_sends import hold_lost
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


async def count_death(work: Sending) -> bool:
    """A queue message came again, so a worker died while it looked for the send: whether to look now.

    Costs a write, from the second try on. After the second death in a row it rests, after the fifth it is held.
    """
    deaths = work.item.deaths + 1
    if deaths >= MOST_DEATHS:
        await hold_lost(work)
        return False
    if deaths > 1:
        await rest(work, deaths)
        return False
    return await save(work, replace(work.item, deaths=deaths))


async def give_back(ctx: MailboxContext, key: str, *, counted: bool) -> None:
    """The store failed this worker, which lives: as far as the store lets it, nothing counts as a death.

    `counted`: this job has counted one of a worker before it, which the store may have failed as well.
    """
    with suppress(StoreUnavailable, OutcomeUnknown, RowChanged):
        stored = await ctx.find(OutboxItem, key)
        if stored is None:
            return
        item = stored.value
        if item.phase is Phase.BUILDING and item.build == ctx.claimed_build and item.lease_until is not None:
            await write(ctx, stored.changed(replace(item, lease_until=None)))
        elif counted and item.deaths:
            await write(ctx, stored.changed(replace(item, deaths=item.deaths - 1)))
