"""What follows once a mailbox is closed: its sends end, its subscription goes, its tokens are erased (R5, R6).

Each step may be repeated, and a death between two of them leaves the task that goes on.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from shared.domain.connection import ASKED_FOR, is_open_for, may_be_asked
from shared.domain.errors import OutcomeUnknown, PostbraidError, StoreUnavailable
from shared.domain.model import Connection, ConnectionStatus, Mailbox, OutboxItem, Phase, Reason, Task
from shared.mailbox_context import MailboxContext
from shared.sync.mailbox.closing import (
    close_mailbox,
    closing_task,
    end_connection,
    forget_subscription,
    remove_subscription,
)
from shared.sync.mailbox.task_rows import end_task, move_task
from shared.sync.outbound.known_sends import find_unfinished_sends
from shared.sync.outbound.send_message import send_message
from shared.telemetry import log

LOOK_AGAIN: Final = timedelta(minutes=2)
BEFORE_SENDING: Final = frozenset({Phase.NEW, Phase.BUILDING})
LEAVING: Final = frozenset({Phase.SENDING, Phase.SUBMITTED})


async def finish_closing(ctx: MailboxContext, task: Task) -> None:
    """Carry the closing of a connection's mailbox through, or find that it was never closed."""
    connection_id, _, user_id = task.ref.partition("|")
    stored = await ctx.services.connections.get(ctx.ref.tenant_id, user_id, connection_id)
    mailbox = await ctx.read()
    if stored is None or mailbox is None:
        await end_task(ctx, task)
        return
    connection = stored.value
    if is_open_for(mailbox, connection):
        if connection.status is not ConnectionStatus.REPLACED:
            await end_task(ctx, task)  # another mailbox was to take its place, and did not
            return
        await close_mailbox(ctx, connection, Reason.MAILBOX_CHANGED)
        mailbox = ctx.mailbox or mailbox
    own = mailbox if mailbox.connection_id == connection_id else None
    await end_connection(ctx, connection, _reason(own, connection))
    phases = await _end_sends(ctx, connection.generation)
    if own is not None:
        await _remove_subscription(ctx, own)
    asked = own is not None and may_be_asked(own, connection.generation, ctx.now())
    if phases & BEFORE_SENDING or (asked and phases & LEAVING):
        await move_task(ctx, task, closing_task(ctx, connection, LOOK_AGAIN))
        return
    await ctx.services.connections.forget_tokens(ctx.ref.tenant_id, user_id, connection_id)
    await end_task(ctx, task)


def _reason(mailbox: Mailbox | None, connection: Connection) -> Reason:
    if connection.status is ConnectionStatus.REPLACED:
        return Reason.MAILBOX_CHANGED
    return (mailbox.closed_because if mailbox is not None else None) or Reason.DISCONNECTED


async def _end_sends(ctx: MailboxContext, generation: int) -> set[Phase]:
    """Take up every unfinished send of the connection, so that it ends now. Returns the phases of those that did not.

    One that a worker holds ends when its lease is over. Trouble of one send is left to its own task.
    """
    for item in await find_unfinished_sends(ctx):
        stored = await ctx.find(OutboxItem, item.key) if item.generation == generation else None
        if stored is None:
            continue
        try:
            await send_message(ctx, stored)
        except (StoreUnavailable, OutcomeUnknown):
            raise
        except PostbraidError as err:
            log.info("work.failed", error=type(err).__name__, mailbox=ctx.ref.mailbox_id)
    return {item.phase for item in await find_unfinished_sends(ctx) if item.generation == generation}


async def _remove_subscription(ctx: MailboxContext, mailbox: Mailbox) -> None:
    """At Graph for an hour, then only here: it ends by itself, and what it brings is dropped."""
    closed_at = mailbox.closed_at
    if closed_at is not None and ctx.now() >= closed_at + ASKED_FOR:
        await forget_subscription(ctx, mailbox)
        return
    await remove_subscription(ctx, mailbox)
