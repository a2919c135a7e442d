"""Stop one thread, and let it go on (R12)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Final

from shared.domain.errors import NotFound, RowChanged
from shared.domain.held import DAILY, put_off
from shared.domain.model import Mailbox, OutboxItem, Reason, Seen, StoppedBy, TaskKind, Thread
from shared.domain.threads import begun_by, resumed, stopped
from shared.domain.waiting import BEFORE_SENDING
from shared.mailbox_context import MailboxContext
from shared.state.codec import Stored
from shared.state.ledger import Change, new
from shared.sync.events.announce import activity
from shared.sync.events.announce_standing import resumed_event, stopped_event
from shared.sync.mailbox.unit_of_work import switch, write
from shared.sync.outbound.known_sends import find_opening_send, find_unfinished_sends
from shared.sync.outbound.send_row import plan_failure

MOST_ENDED_AT_ONCE: Final = 15  # a transaction holds 100 rows
MOST_LOOKS_AT_ONCE: Final = 20  # the others have their daily look


async def stop_thread(ctx: MailboxContext, thread_id: str, by: StoppedBy) -> None:
    """Stop a thread; again is fine, and so is one whose first mail has not left yet.

    One transaction with the fence, so that imports and sends under way lose to it. Sends that wait in the thread end
    with it, or right after it where they are many. Raises NotFound, RaceLost, StoreUnavailable.
    """
    async for tx in switch(ctx):
        if tx.before is None:
            raise NotFound
        stored, thread = await _find_or_begin(ctx, tx.before, thread_id)
        halted = stopped(thread, by, ctx.now(), ctx.graph_now())
        if halted == thread:
            tx.abandon()
            continue
        tx.add(stored.changed(halted) if stored is not None else new(halted))
        if thread.stopped_at is None:
            tx.add(new(stopped_event(ctx, tx.mailbox, halted)))
            tx.add(activity(ctx, "stopped", thread_id, None), *await _plan_ends(ctx, thread_id))
    while rows := await _plan_ends(ctx, thread_id):
        with suppress(RowChanged):  # it loses to a worker that takes the send one step further; that ends it
            await write(ctx, *rows)


async def resume_thread(ctx: MailboxContext, thread_id: str, by: StoppedBy) -> None:
    """Let a stopped thread go on; again is fine. Mail received in between stays out.

    What was held when it was stopped is looked at at once.

    Raises NotFound, ThreadStopped (the user's stop is the user's to end), RaceLost, StoreUnavailable.
    """
    async for tx in switch(ctx):
        stored = await ctx.find(Thread, thread_id)
        if tx.before is None or (stored is None and await find_opening_send(ctx, thread_id) is None):
            raise NotFound
        if stored is None or stored.value.stopped_at is None:
            tx.abandon()
            continue
        thread = resumed(stored.value, by, ctx.graph_now())
        tx.add(stored.changed(thread), new(resumed_event(ctx, tx.mailbox, thread)))
        tx.add(activity(ctx, "resumed", thread_id, None), *await _plan_looks(ctx, thread_id))


async def _plan_looks(ctx: MailboxContext, thread_id: str) -> list[Change]:
    """What was held when the thread was stopped is looked at now, as far as a transaction has room (R14)."""
    due = await ctx.services.ledger.tasks(ctx.ref, ctx.now() + 2 * DAILY, None)
    held = [await ctx.find(Seen, task.value.ref) for task in due if task.value.kind is TaskKind.LOOK_AGAIN]
    changes: list[Change] = [
        stored.changed(replace(stored.value, held=put_off(stored.value.held, ctx.now())))
        for stored in held
        if stored is not None and stored.value.held is not None and stored.value.thread_id == thread_id
    ]
    return changes[:MOST_LOOKS_AT_ONCE]


async def _find_or_begin(
    ctx: MailboxContext, mailbox: Mailbox, thread_id: str
) -> tuple[Stored[Thread] | None, Thread]:
    """The thread; where its first mail has not left, as that mail would begin it. Raises NotFound."""
    stored = await ctx.find(Thread, thread_id)
    if stored is not None:
        return stored, stored.value
    opening = await find_opening_send(ctx, thread_id)
    if opening is None:
        raise NotFound
    return None, begun_by(mailbox, opening, ctx.graph_now())


async def _plan_ends(ctx: MailboxContext, thread_id: str) -> list[Change]:
    """The ends of the thread's sends that have not come to `sending`."""
    unfinished = [item for item in await find_unfinished_sends(ctx) if item.thread_id == thread_id]
    waiting = [item for item in unfinished if item.phase in BEFORE_SENDING]
    found = [await ctx.find(OutboxItem, item.key) for item in waiting[:MOST_ENDED_AT_ONCE]]
    return [
        row
        for stored in found
        if stored is not None and stored.value.phase in BEFORE_SENDING
        for row in plan_failure(ctx, stored, Reason.THREAD_STOPPED)
    ]
