"""Disconnect: the person, or the CRM's server, ends the sync of a mailbox (R5)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from shared.domain.connection import is_open_for
from shared.domain.errors import ConnectionChanged, LinkUnusable, NoActiveConnection
from shared.domain.model import Connection, CrmUser, Reason, Tenant
from shared.mailbox_context import MailboxContext
from shared.services import Services
from shared.state.connections import mailbox_ref
from shared.state.sessions import DISCONNECT, PendingDisconnect, StartTicket
from shared.sync.connect.confirm_connection import confirm_csrf, is_same
from shared.sync.connect.results import begin_result
from shared.sync.mailbox.closing import close_mailbox, end_connection, plan_closing
from shared.sync.mailbox.unopened import give_up, is_never_opened

ASK_FOR: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the page asks, and the secret that binds the browser to the question."""

    user: CrmUser
    tenant: Tenant
    address: str
    secret: str
    csrf_token: str


async def ask_to_disconnect(s: Services, ticket: str) -> Asked:
    """Redeem a ticket for the question. Raises LinkUnusable, NoActiveConnection."""
    start = await s.sessions.take(StartTicket, ticket)
    if start.purpose != DISCONNECT:
        raise LinkUnusable
    connection = await _find_open(s, start.tenant_id, start.user.user_id)
    if connection is None:
        raise NoActiveConnection
    secret, now = s.random.token(32), s.clock.now()
    pending = PendingDisconnect(
        start.tenant_id,
        start.user,
        connection.connection_id,
        connection.address,
        now + ASK_FOR,
        start.created_at,
    )
    await s.sessions.keep(secret, pending)
    tenant = await s.tenants.remembered(start.tenant_id)
    return Asked(start.user, tenant, connection.address, secret, confirm_csrf(secret))


async def confirm_disconnect(s: Services, secret: str | None, csrf_token: str | None) -> str:
    """The person said yes; returns the address that was disconnected.

    Raises LinkUnusable, and ConnectionChanged where another mailbox was connected since the question.
    """
    if not secret or not is_same(csrf_token or "", confirm_csrf(secret)):
        raise LinkUnusable
    asked = (await s.sessions.look(PendingDisconnect, secret)).value
    await begin_result(s, secret, asked.tenant_id, asked.user, DISCONNECT)
    pending = await s.sessions.take(PendingDisconnect, secret)
    connection = await _find_open(s, pending.tenant_id, pending.user.user_id)
    if connection is not None and connection.connection_id != pending.connection_id:
        raise ConnectionChanged
    await disconnect(
        s, pending.tenant_id, pending.user.user_id, keeps_sessions=True, expected=pending.connection_id
    )
    return pending.address


async def disconnect(
    s: Services, tenant_id: str, user_id: str, *, keeps_sessions: bool = False, expected: str | None = None
) -> None:
    """Close the user's mailbox; again is fine, and so is a user who has none.

    A connection that is on its way to open its mailbox is given up, with it the change of mailbox that it was for.
    `expected`: only this connection is ended (raises ConnectionChanged).

    Sign-ins of the user that began before end with it, and sessions and links as well, unless the person did it
    himself and stays on his page. What follows (sends, subscription, tokens) is a task of the mailbox.
    Raises RaceLost, StoreUnavailable.
    """
    await s.sessions.end_of_user(tenant_id, user_id, keeps_sessions=keeps_sessions)
    current = await s.connections.current(tenant_id, user_id)
    if current is not None and await _is_on_its_way(s, tenant_id, current.value):
        ctx = MailboxContext(s, mailbox_ref(tenant_id, current.value))
        await plan_closing(ctx, current.value)
        await give_up(ctx, current.value)
        current = await s.connections.current(tenant_id, user_id)
    if expected is not None and (current is None or current.value.connection_id != expected):
        raise ConnectionChanged
    if current is None or await _is_on_its_way(s, tenant_id, current.value):
        return
    ctx = MailboxContext(s, mailbox_ref(tenant_id, current.value))
    await close_mailbox(ctx, current.value, Reason.DISCONNECTED)
    await end_connection(ctx, current.value, Reason.DISCONNECTED)


async def _find_open(s: Services, tenant_id: str, user_id: str) -> Connection | None:
    """The user's connection, if its mailbox is open for it."""
    current = await s.connections.current(tenant_id, user_id)
    if current is None:
        return None
    stored = await s.ledger.mailbox(mailbox_ref(tenant_id, current.value))
    return current.value if is_open_for(stored.value if stored else None, current.value) else None


async def _is_on_its_way(s: Services, tenant_id: str, connection: Connection) -> bool:
    """Whether it was confirmed, and its mailbox is not open for it yet."""
    return connection.ended_at is None and await is_never_opened(s, tenant_id, connection)
