"""What follows once a mailbox is closed: its sends end, its subscription goes, its tokens are erased (R5, R6).

Each step may be repeated, and a death between two of them leaves the task that goes on.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

from shared.domain.connection import ASKED_FOR, is_open_for, may_be_asked
from shared.domain.errors import OutcomeUnknown, PostbraidError, StoreUnavailable
from shared.domain.model import Connection, ConnectionStatus, Mailbox, OutboxItem, Phase, Reason, Task
from shared.domain.unopened import was_never_opened
from shared.domain.waiting import BEFORE_SENDING
from shared.mailbox_context import MailboxContext
from shared.sync.mailbox.closing import (
    close_mailbox,
    closing_task,
    end_connection,
    tell_disconnected,
)
from shared.sync.mailbox.ended_subscriptions import (
    forget_subscription,
    remove_former_subscription,
    remove_subscription,
)
from shared.sync.mailbox.task_rows import end_task, move_task
from shared.sync.mailbox.unopened import awaits_successor, give_up
from shared.sync.outbound.known_sends import find_unfinished_sends
from shared.sync.outbound.send_message import send_message
from shared.telemetry import log

LOOK_AGAIN: Final = timedelta(minutes=2)
MOST_LOOKS: Final = 5  # with the first one more than the ten minutes after which the host ends a function
LEAVING: Final = frozenset({Phase.SENDING, Phase.SUBMITTED})


async def finish_closing(ctx: MailboxContext, task: Task) -> None:
    """Carry the closing of a connection's mailbox through, or find that it was never closed."""
    connection_id, _, user_id = task.ref.partition("|")
    stored = await ctx.services.connections.get(ctx.ref.tenant_id, user_id, connection_id)
    mailbox = await ctx.read()
    if stored is None:
        await _look_again(ctx, task)  # its row may be about to be written
        return
    connection = stored.value
    if mailbox is None or was_never_opened(connection, mailbox):
        await _finish_unopened(ctx, task, connection)
        return
    waits = connection.status is ConnectionStatus.REPLACED and await awaits_successor(ctx, connection)
    if connection.status is ConnectionStatus.REPLACED and not waits:
        # Whoever gave its successor up since it was read has put it back in its place in the same transaction.
        again = await ctx.services.connections.get(ctx.ref.tenant_id, user_id, connection_id)
        connection = again.value if again is not None else connection
    if is_open_for(mailbox, connection):
        if connection.ended_at is None or waits:
            await _look_again(ctx, task)  # another mailbox is to take its place, and has not yet
            return
        await close_mailbox(ctx, connection, _reason(None, connection))
        mailbox = ctx.mailbox or mailbox
    own = _own(mailbox, connection)
    if not waits:
        await _end(ctx, connection, own)
    phases = await _end_sends(ctx, connection.generation)
    own = _own(await ctx.read(), connection)  # its consent may have been found dead
    if own is not None:
        await _remove_subscription(ctx, own)
    else:
        await remove_former_subscription(ctx, connection)
    own = _own(await ctx.read(), connection)
    asked = own is not None and may_be_asked(own, connection.generation, ctx.now())
    if waits or phases & BEFORE_SENDING or (asked and phases & LEAVING):
        await move_task(ctx, task, closing_task(ctx, connection, LOOK_AGAIN))
        return
    await ctx.services.connections.forget_tokens(ctx.ref.tenant_id, user_id, connection_id)
    await end_task(ctx, task)


async def _look_again(ctx: MailboxContext, task: Task) -> None:
    """Whoever planned this may still be at work, as long as one call of a function may take; then nothing is to do."""
    if task.looks >= MOST_LOOKS:
        await end_task(ctx, task)
        return
    await move_task(ctx, task, replace(task, due_at=ctx.now() + LOOK_AGAIN, looks=task.looks + 1))


async def _finish_unopened(ctx: MailboxContext, task: Task, connection: Connection) -> None:
    """Whoever confirmed it has died, or was refused: give it up. Looked at once more, for he may only be slow."""
    await give_up(ctx, connection)
    await ctx.services.connections.forget_tokens(
        ctx.ref.tenant_id, connection.user.user_id, connection.connection_id
    )
    if connection.ended_at is None:
        await move_task(ctx, task, closing_task(ctx, connection, LOOK_AGAIN))
    else:
        await end_task(ctx, task)


async def _end(ctx: MailboxContext, connection: Connection, own: Mailbox | None) -> None:
    """The connection is over; one whose successor never opened was disconnected, and the CRM is told."""
    if own is not None and connection.status is not ConnectionStatus.REPLACED:
        await tell_disconnected(ctx, connection)
    await end_connection(ctx, connection, _reason(ctx.mailbox if own is not None else None, connection))


def _own(mailbox: Mailbox | None, connection: Connection) -> Mailbox | None:
    """The mailbox while nobody has connected it since."""
    is_its_own = mailbox is not None and mailbox.connection_id == connection.connection_id
    return mailbox if is_its_own else None


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
    """At Graph while it may be asked, then only here: it ends by itself, and what it brings is dropped."""
    closed_at = mailbox.closed_at
    if closed_at is not None and ctx.now() >= closed_at + ASKED_FOR:
        await forget_subscription(ctx, mailbox)
        return
    await remove_subscription(ctx, mailbox)
