"""Sends of which nobody knows whether they left: told once, looked for, held where looking kills the workers."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from shared.domain import outbound
from shared.domain.errors import WorkersDied
from shared.domain.keyless import unknown_reason
from shared.domain.model import Phase, Task, TaskKind
from shared.state.ledger import new
from shared.sync.events.announce import unconfirmed_event
from shared.sync.outbound.send_row import Sending, save
from shared.sync.queueing.given_up import add_dead_letter


async def tell_unknown(work: Sending, look_after: timedelta | None = outbound.LOOK_UP_EVERY) -> None:
    """Tell the CRM once that nobody knows; the search goes on, and a copy that turns up is still announced as sent.

    `look_after`: None where nobody is to look for it.
    """
    now = work.ctx.now()
    item = replace(
        work.item,
        phase=Phase.NEEDS_ATTENTION,
        reason=unknown_reason(work.item),
        unconfirmed_told=True,
        due_at=now + look_after if look_after is not None else None,
        deaths=0,
        updated_at=now,
    )
    await save(work, item, new(unconfirmed_event(work.ctx, item)))


async def stop_looking(work: Sending) -> None:
    """It stays unknown; a copy that is seen by chance still turns it into sent."""
    await save(work, replace(work.item, due_at=None, updated_at=work.ctx.now()))


async def hold_lost(work: Sending) -> None:
    """Workers die over a send that may have left: nobody tries or looks any more until operators replay it (E-28)."""
    item = work.item
    task = Task(item.due_at or work.ctx.now(), TaskKind.SEND, item.key)
    await add_dead_letter(work.ctx, task, WorkersDied())
    if item.unconfirmed_told:
        await stop_looking(work)
    else:
        await tell_unknown(work, look_after=None)
