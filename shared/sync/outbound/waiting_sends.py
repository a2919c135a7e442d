"""Sends that cannot leave now: what they wait for is derived when it is asked for, and told once (see `waiting`)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from shared.domain import waiting
from shared.domain.model import Mailbox, MessageStatus, OutboxItem, Thread
from shared.domain.outbound import status_of
from shared.domain.waiting import Waiting
from shared.mailbox_context import MailboxContext
from shared.state.ledger import new
from shared.sync.events.announce import waiting_event
from shared.sync.outbound.known_sends import find_wait_for_original
from shared.sync.outbound.send_row import Sending, save


async def find_waiting(
    ctx: MailboxContext, mailbox: Mailbox | None, item: OutboxItem, thread: Thread | None = None
) -> Waiting | None:
    """What a send waits for now, if it does; `thread` is its thread where that was read."""
    found = waiting.find_waiting(item, mailbox, ctx.now())
    answers = thread is not None and thread.newest_graph_message_id is not None
    if found is not None or mailbox is None or not item.reply or answers:
        return found
    if item.phase not in waiting.BEFORE_SENDING:
        return None
    on_its_way = await find_wait_for_original(ctx, mailbox, item) is not None
    return waiting.find_waiting(item, mailbox, ctx.now(), original_is_on_its_way=on_its_way)


async def look_up_waiting(ctx: MailboxContext, item: OutboxItem) -> Waiting | None:
    """The same for a send as it was read; one that has left costs no look at its mailbox."""
    return await find_waiting(ctx, await ctx.read(), item) if waiting.can_wait(item) else None


def shown_status(item: OutboxItem, waits: Waiting | None) -> MessageStatus:
    """How a send stands, as the CRM reads it."""
    return MessageStatus.WAITING if waits is not None else status_of(item)


async def tell_waiting(work: Sending, waits: Waiting, until: datetime | None = None) -> bool:
    """Tell the CRM once that a send waits; `until`: nothing more is tried before.

    False where another worker was faster.
    """
    now = work.ctx.now()
    item = replace(work.item, waiting_told=True, updated_at=now)
    if until is not None:
        due_at = waiting.wake_at(item, waits, until, now)
        item = replace(item, due_at=due_at, lease_until=None)
    return await save(work, item, new(waiting_event(work.ctx, item, waits)))
