"""The settings page: a link works once, a session lives a while, a ticket starts one sign-in (W-1 to W-3, W-5)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from shared.domain.errors import LinkUnusable, NotAuthenticated
from shared.domain.model import CrmUser, Tenant
from shared.services import Services
from shared.state.sessions import Session, SessionLink, StartTicket

LINK_FOR: Final = timedelta(seconds=120)
TICKET_FOR: Final = timedelta(seconds=60)
IDLE_FOR: Final = timedelta(minutes=30)
OPEN_FOR: Final = timedelta(hours=8)


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """What a settings page gets. `secret` is sent back as a bearer token, so no other site can act with it (W-5)."""

    secret: str
    session: Session
    tenant: Tenant


async def create_session_link(s: Services, tenant_id: str, user: CrmUser) -> tuple[str, datetime]:
    """A link to the settings page for one user: (address, end of its life). Works once (W-1, W-2)."""
    token, expires_at = s.random.token(32), s.clock.now() + LINK_FOR
    await s.sessions.keep(token, SessionLink(tenant_id, user, expires_at, s.clock.now()))
    return f"{s.addresses.api}/settings?tenant={tenant_id}#{token}", expires_at


async def open_session(s: Services, token: str, tenant_id: str | None) -> OpenedSession:
    """Exchange a link's token for a session. Raises LinkUnusable.

    `tenant_id`: for which tenant the page was loaded, which decided who may frame it (W-4); a link of another tenant
    opens nothing there, and is used up.
    """
    link = await s.sessions.take(SessionLink, token)
    if tenant_id is not None and tenant_id != link.tenant_id:
        raise LinkUnusable
    now, secret = s.clock.now(), s.random.token(32)
    session = Session(link.tenant_id, link.user, now + IDLE_FOR, now + OPEN_FOR, now)
    await s.sessions.keep(secret, session)
    tenant = (await s.tenants.get(link.tenant_id)).value
    return OpenedSession(secret, session, tenant)


async def find_session(s: Services, token: str | None) -> Session:
    """The session behind a page's token, its idle end moved. Raises NotAuthenticated."""
    if not token:
        raise NotAuthenticated
    try:
        stored = await s.sessions.look(Session, token)
    except LinkUnusable as err:
        raise NotAuthenticated from err
    fresh = min(s.clock.now() + IDLE_FOR, stored.value.absolute_until)
    if fresh - stored.value.expires_at > timedelta(minutes=1):
        await s.sessions.prolong(token, stored.changed(replace(stored.value, expires_at=fresh)))
    return stored.value


async def end_session(s: Services, token: str) -> None:
    """The page gives its session up, because it is to show another user's; again is fine."""
    await s.sessions.drop(Session, token)


async def create_start_ticket(s: Services, session: Session, purpose: str) -> str:
    """The right to do one thing in a top-level window within a minute: sign in, or disconnect (O-2, W-6)."""
    ticket, now = s.random.token(32), s.clock.now()
    await s.sessions.keep(
        ticket, StartTicket(session.tenant_id, session.user, now + TICKET_FOR, now, purpose)
    )
    return ticket
