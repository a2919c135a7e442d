"""Tasks that are rows of their own: moved or ended, by whoever of those called for one comes first."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from shared.domain.errors import RowExists, RowMissing
from shared.domain.model import Task
from shared.mailbox_context import MailboxContext
from shared.state.ledger import Change, Erase
from shared.sync.mailbox.unit_of_work import write


async def move_task(ctx: MailboxContext, task: Task, fresh: Task) -> None:
    """Put `fresh` in the task's place; nothing is written where its time stays, for the time is its row's name.

    What a newer version keeps in the row goes with it. Raises UnknownForm.
    """
    if fresh.due_at == task.due_at:
        return
    kept = await ctx.services.ledger.task(ctx.ref, task)
    if kept is not None:
        await end_task(ctx, task, replace(kept, etag=None).changed(fresh))


async def end_task(ctx: MailboxContext, task: Task, *with_it: Change) -> None:
    """Remove the task, together with what it comes to; another worker that ended or moved it first is as good."""
    with suppress(RowMissing, RowExists):
        # Loses to whoever was called for the same task and has ended or moved it.
        await write(ctx, Erase(task), *with_it)
