"""Closing a mailbox: the fence first, everything else as work of its own that a crash does not lose (R5, R6)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Final

from shared.domain.connection import is_open_for, with_closed_fence
from shared.domain.errors import RowExists
from shared.domain.model import (
    Connection,
    ConnectionStatus,
    FenceState,
    Reason,
    Task,
    TaskKind,
)
from shared.mailbox_context import MailboxContext
from shared.state.ledger import Change, new
from shared.sync.events.announce_standing import connection_event
from shared.sync.mailbox.unit_of_work import races, switch, write

INTENT_FOR: Final = timedelta(minutes=2)
STATUS_OF: Final = {
    Reason.DISCONNECTED: ConnectionStatus.DISCONNECTED,
    Reason.MAILBOX_CHANGED: ConnectionStatus.REPLACED,
}


def closing_task(ctx: MailboxContext, connection: Connection, wait: timedelta = timedelta()) -> Task:
    """The task of everything that follows once the mailbox of this connection is closed."""
    return Task(ctx.now() + wait, TaskKind.CLOSE, f"{connection.connection_id}|{connection.user.user_id}")


async def plan_closing(ctx: MailboxContext, connection: Connection, wait: timedelta = INTENT_FOR) -> Task:
    """Before something is begun that this worker may die in: a task that looks what came of it, and finishes it.

    That is before another mailbox takes this one's place, and before tokens are kept for a new connection.
    """
    task = closing_task(ctx, connection, wait)
    with suppress(RowExists):
        await write(ctx, new(task), enqueues=not wait)
    return task


async def close_mailbox(ctx: MailboxContext, connection: Connection, reason: Reason) -> bool:
    """Close the fence for this connection; False where it is closed, or another connection's, already.

    In the same transaction: what the CRM is told of a disconnect, and the task of what follows. It loses to every
    other write of the mailbox, and is repeated at once: those who lose to it wait longer each time.
    """
    changing = switch(ctx, urgent=True)
    async for tx in changing:
        if tx.before is None or not is_open_for(tx.before, connection):
            tx.abandon()
            continue
        tx.mailbox = with_closed_fence(tx.before, reason, ctx.now())
        rows: list[Change] = [new(closing_task(ctx, connection))]
        if reason is Reason.DISCONNECTED:
            rows.append(new(connection_event(ctx, connection, tx.mailbox)))
        tx.add(*rows)
    return changing.committed


async def tell_disconnected(ctx: MailboxContext, connection: Connection) -> None:
    """Another mailbox was to take its place, and never opened: that it closed was a disconnect, told once (R6)."""
    # Loses to whoever connects the mailbox again, and to whoever tells the same.
    async for tx in switch(ctx):
        before = tx.before
        if (
            before is None
            or (before.connection_id, before.state) != (connection.connection_id, FenceState.CLOSED)
            or before.closed_because is not Reason.MAILBOX_CHANGED
        ):
            tx.abandon()
            continue
        tx.mailbox = replace(before, closed_because=Reason.DISCONNECTED)
        tx.add(new(connection_event(ctx, connection, tx.mailbox)))


async def end_connection(ctx: MailboxContext, connection: Connection, reason: Reason) -> None:
    """Write on the connection's own row that it is over, and let others claim the mailbox; again is fine."""
    s = ctx.services
    await release_claim(ctx, connection)
    # Loses to a repair of the same connection.
    async for race in races(s):
        with race:
            stored = await s.connections.get(
                ctx.ref.tenant_id, connection.user.user_id, connection.connection_id
            )
            if stored is not None and stored.value.ended_at is None:
                ended = replace(stored.value, status=STATUS_OF[reason], ended_at=ctx.now())
                await s.connections.save(ctx.ref.tenant_id, stored.changed(ended))


async def release_claim(ctx: MailboxContext, connection: Connection) -> None:
    """Nobody holds the mailbox any more, unless its user is about to connect it again."""
    s = ctx.services
    held = await s.claims.mailbox_claim(connection.tid, connection.oid)
    if held is None or held.value.mailbox_id != connection.mailbox_id:
        return
    if held.value.user_id == connection.user.user_id and held.value.at <= connection.connected_at:
        # Loses to the same user, who claims the mailbox again.
        await s.claims.release_mailbox(connection.tid, connection.oid, held)
