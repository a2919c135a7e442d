"""Giving up a connection whose mailbox never opened for it: nothing of it stays, and the former one counts again."""

from __future__ import annotations

from shared.domain.model import Connection, ConnectionStatus, FenceState, Reason
from shared.domain.unopened import given_up, is_undecided, restored, was_never_opened
from shared.mailbox_context import MailboxContext
from shared.services import Services
from shared.state.codec import Stored
from shared.state.connections import mailbox_ref
from shared.sync.mailbox.closing import close_mailbox, release_claim
from shared.sync.mailbox.unit_of_work import races


async def give_up(ctx: MailboxContext, connection: Connection) -> None:
    """End its row, put the former connection back in its place, let others claim the mailbox; again is fine.

    Whoever opens the mailbox now finds the row ended: before its transaction, or after it, and closes it again.
    """
    s, whose = ctx.services, (ctx.ref.tenant_id, connection.user.user_id)
    # Loses to another window that connects, and to whoever gives it up as well.
    async for race in races(s):
        with race:
            stored = await s.connections.get(*whose, connection.connection_id)
            if stored is None or stored.value.ended_at is not None:
                continue
            ended = stored.changed(given_up(stored.value, ctx.now()))
            former = await _former_of(s, *whose, stored.value)
            await s.connections.step_back(
                ctx.ref.tenant_id, ended, former.changed(restored(former.value)) if former else None
            )
    mailbox = await ctx.read()
    if mailbox is None or mailbox.state is FenceState.CLOSED:
        await release_claim(ctx, connection)


async def undo_connection(ctx: MailboxContext, connection: Connection) -> None:
    """Nothing stays of a connection that came to nothing: no tokens, no open mailbox; the one before counts again."""
    s, tenant_id, user_id = ctx.services, ctx.ref.tenant_id, connection.user.user_id
    if await is_never_opened(s, tenant_id, connection):
        await give_up(ctx, connection)
        return
    stored = await s.connections.get(tenant_id, user_id, connection.connection_id)
    if stored is not None and stored.value.ended_at is not None:
        replaced = stored.value.status is ConnectionStatus.REPLACED
        await close_mailbox(ctx, connection, Reason.MAILBOX_CHANGED if replaced else Reason.DISCONNECTED)


async def is_never_opened(s: Services, tenant_id: str, connection: Connection) -> bool:
    """Whether its mailbox never let it through, as the mailbox's rows say now."""
    mailbox = await s.ledger.mailbox(mailbox_ref(tenant_id, connection))
    return was_never_opened(connection, mailbox.value if mailbox else None)


async def awaits_successor(ctx: MailboxContext, former: Connection) -> bool:
    """Whether the connection that is to take this one's place may still be about to open its mailbox."""
    s = ctx.services
    current = await s.connections.current(ctx.ref.tenant_id, former.user.user_id)
    if current is None:
        return False
    mailbox = await s.ledger.mailbox(mailbox_ref(ctx.ref.tenant_id, current.value))
    return is_undecided(former, current.value, mailbox.value if mailbox else None)


async def _former_of(
    s: Services, tenant_id: str, user_id: str, connection: Connection
) -> Stored[Connection] | None:
    if connection.replaces is None:
        return None
    return await s.connections.get(tenant_id, user_id, connection.replaces)
