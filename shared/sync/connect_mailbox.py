"""Connect a mailbox: link, page, ticket, Microsoft, callback, the person's yes (O-1 to O-12, R1)."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import msgspec

from shared.domain.addresses import comparable_address
from shared.domain.errors import (
    LinkUnusable,
    MailboxTaken,
    NotAuthenticated,
    RowChanged,
    RowExists,
    SignInFailed,
)
from shared.domain.ids import mailbox_id as mailbox_id_of
from shared.domain.model import (
    Connection,
    ConnectionStatus,
    CrmUser,
    Gate,
    GateState,
    Grant,
    MailboxRef,
    Profile,
    Todo,
    Work,
)
from shared.services import Services
from shared.state import keys
from shared.state.claims import MailboxClaim
from shared.state.codec import Stored
from shared.state.ledger import Change, Erase, new
from shared.state.sessions import (
    PendingConnection,
    Session,
    SessionLink,
    SignInState,
    StartTicket,
    secret_hash,
)
from shared.sync.announce import Recorded, connection_event
from shared.sync.deliver_event import deliver_soon
from shared.sync.doorbells import ring

LINK_FOR: Final = timedelta(seconds=120)
TICKET_FOR: Final = timedelta(seconds=60)
SIGN_IN_FOR: Final = timedelta(minutes=10)
IDLE_FOR: Final = timedelta(minutes=30)
OPEN_FOR: Final = timedelta(hours=8)
USABLE: Final = (ConnectionStatus.CONNECTED, ConnectionStatus.DEGRADED, ConnectionStatus.RECONNECT_REQUIRED)


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """What a settings page gets. `secret` is sent back as a bearer token, so no other site can act with it (W-5)."""

    secret: str
    session: Session
    tenant_name: str


@dataclass(frozen=True, slots=True)
class Departure:
    """Where the browser goes to sign in, and the cookie that binds it to this sign-in."""

    authorize_url: str
    cookie: str


@dataclass(frozen=True, slots=True)
class Question:
    """What the confirm page asks (O-7). `known` is whether the CRM knows the mailbox as the user's address."""

    user: CrmUser
    tenant_name: str
    address: str
    known: bool
    csrf_token: str


async def create_session_link(s: Services, tenant_id: str, user: CrmUser) -> tuple[str, datetime]:
    """A link to the settings page for one user: (address, end of its life). Works once (W-1, W-2)."""
    token, expires_at = s.chance.token(32), s.clock.now() + LINK_FOR
    await s.sessions.keep(token, SessionLink(tenant_id, user, expires_at))
    return f"{s.addresses.api}/settings?tenant={tenant_id}#{token}", expires_at


async def open_session(s: Services, token: str) -> OpenedSession:
    """Exchange a link's token for a session. Raises LinkUnusable."""
    link = await s.sessions.take(SessionLink, token)
    now, secret = s.clock.now(), s.chance.token(32)
    session = Session(link.tenant_id, link.user, now + IDLE_FOR, now + OPEN_FOR)
    await s.sessions.keep(secret, session)
    tenant = (await s.tenants.get(link.tenant_id)).value
    return OpenedSession(secret, session, tenant.name)


async def session_of(s: Services, token: str | None) -> Session:
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


async def create_start_ticket(s: Services, session: Session) -> str:
    """The right to start one sign-in within a minute (O-2)."""
    ticket = s.chance.token(32)
    await s.sessions.keep(ticket, StartTicket(session.tenant_id, session.user, s.clock.now() + TICKET_FOR))
    return ticket


async def start_sign_in(s: Services, ticket: str) -> Departure:
    """Redeem a ticket: keep the sign-in's record, bind the browser. Raises LinkUnusable, ProviderUnavailable."""
    start = await s.sessions.take(StartTicket, ticket)
    state, cookie = s.chance.token(32), s.chance.token(32)
    hint = start.user.addresses[0] if start.user.addresses else None
    url, flow = await s.sign_in.begin(state=state, login_hint=hint)
    sealed = await s.sealer.seal(start.tenant_id, _flow_place(state), msgspec.json.encode(flow))
    record = SignInState(
        start.tenant_id, start.user, secret_hash(cookie), sealed, s.clock.now() + SIGN_IN_FOR
    )
    await s.sessions.keep(state, record)
    return Departure(url, cookie)


async def finish_sign_in(s: Services, cookie: str | None, response: Mapping[str, str]) -> str:
    """Microsoft's answer came back: check the browser, redeem the code, keep the outcome for the confirm page.

    Returns the confirm page's CSRF-less secret, which goes into the same cookie. Raises LinkUnusable, SignInFailed,
    ProviderUnavailable.
    """
    state = response.get("state", "")
    record = await s.sessions.look(SignInState, state)
    if cookie is None or not hmac.compare_digest(secret_hash(cookie), record.value.cookie_hash):
        raise LinkUnusable
    taken = await s.sessions.take(SignInState, state)
    flow = msgspec.json.decode(await s.sealer.unseal(taken.tenant_id, _flow_place(state), taken.flow))
    grant = await s.sign_in.redeem(flow, response)
    tenant = (await s.tenants.get(taken.tenant_id)).value
    if tenant.allowed_tids and grant.tid not in tenant.allowed_tids:
        raise SignInFailed("organisation_not_allowed")
    profile = await s.mail.profile(_GrantAccess(grant))
    return await _keep_pending(s, taken, grant, profile)


async def _keep_pending(s: Services, taken: SignInState, grant: Grant, profile: Profile) -> str:
    secret = s.chance.token(32)
    sealed = await s.sealer.seal(taken.tenant_id, _pending_place(secret), msgspec.json.encode(grant))
    pending = PendingConnection(
        tenant_id=taken.tenant_id,
        user=taken.user,
        tid=grant.tid,
        oid=grant.oid,
        address=profile.address,
        display_name=profile.display_name,
        aliases=profile.aliases,
        grant=sealed,
        expires_at=s.clock.now() + SIGN_IN_FOR,
    )
    await s.sessions.keep(secret, pending)
    return secret


async def question_for(s: Services, secret: str | None) -> Question:
    """What to ask the person. The CSRF token is derived from the cookie's secret. Raises LinkUnusable."""
    pending = (await s.sessions.look(PendingConnection, secret or "")).value
    tenant = (await s.tenants.get(pending.tenant_id)).value
    known = {comparable_address(one) for one in pending.user.addresses}
    mine = {comparable_address(one) for one in (pending.address, *pending.aliases)}
    return Question(
        pending.user, tenant.name, pending.address, bool(known & mine), confirm_csrf(secret or "")
    )


def confirm_csrf(secret: str) -> str:
    """A token that only a page which could read the cookie's row can know."""
    return secret_hash(f"confirm|{secret}")


async def confirm_connection(s: Services, secret: str | None, csrf_token: str | None) -> Connection:
    """The person said yes: claim the mailbox, keep the tokens, open the gate, tell the CRM.

    Raises LinkUnusable, MailboxTaken (without naming anybody).
    """
    if not secret or csrf_token is None or not hmac.compare_digest(csrf_token, confirm_csrf(secret)):
        raise LinkUnusable
    pending = await s.sessions.take(PendingConnection, secret)
    opened = await s.sealer.unseal(pending.tenant_id, _pending_place(secret), pending.grant)
    grant = msgspec.json.decode(opened, type=Grant)
    mailbox = MailboxRef(pending.tenant_id, mailbox_id_of(pending.tenant_id, pending.tid, pending.oid))
    await _claim(s, mailbox, pending)
    current = await s.connections.current(pending.tenant_id, pending.user.user_id)
    if current is not None and _repairs(current.value, pending):
        return await _repair(s, mailbox, current, pending, grant)
    if current is not None and current.value.status in USABLE:
        raise MailboxTaken("Another mailbox is connected for this user; disconnect it first.")
    return await _connect(s, mailbox, pending, grant)


async def _claim(s: Services, mailbox: MailboxRef, pending: PendingConnection) -> None:
    """One mailbox per CRM user, one CRM user per mailbox. A claim that nobody uses any more passes on."""
    claim = MailboxClaim(mailbox.tenant_id, pending.user.user_id, mailbox.mailbox_id, s.clock.now())
    held = await s.claims.claim_mailbox(pending.tid, pending.oid, claim)
    mine = (held.value.tenant_id, held.value.user_id) == (mailbox.tenant_id, pending.user.user_id)
    if mine:
        return
    gate = await s.ledger.gate(MailboxRef(held.value.tenant_id, held.value.mailbox_id))
    if gate is not None and gate.value.state is GateState.OPEN:
        raise MailboxTaken
    try:
        await s.claims.move_mailbox(pending.tid, pending.oid, held.changed(claim))
    except RowChanged as err:
        raise MailboxTaken from err


def _repairs(current: Connection, pending: PendingConnection) -> bool:
    """The same (tid, oid) again is no new connection: generation, threads and parked work go on (R9, O-11)."""
    return current.status in USABLE and (current.tid, current.oid) == (pending.tid, pending.oid)


async def _repair(
    s: Services, mailbox: MailboxRef, current: Stored[Connection], pending: PendingConnection, grant: Grant
) -> Connection:
    value = replace(
        current.value, status=ConnectionStatus.CONNECTED, address=pending.address, user=pending.user
    )
    await s.connections.repair(mailbox.tenant_id, current.changed(value), grant.cache)
    stored = await s.ledger.gate(mailbox)
    if stored is None or stored.value.generation < value.generation:
        # A crash came between connection and gate: what it left undone is done now.
        await deliver_soon(s, mailbox, await _open_gate(s, mailbox, stored, value, pending.aliases))
    else:
        now = s.clock.now()
        recorded = connection_event(s, mailbox, value, stored.value)
        old = stored.value.sweep_at
        gate = replace(stored.value, grant_dead=False, sweep_at=now if old else None)
        sweep: list[Change] = (
            [Erase(Todo(old, Work.SWEEP, "")), new(Todo(now, Work.SWEEP, ""))] if old else []
        )
        await s.ledger.open_gate(mailbox, stored.changed(gate), *recorded.changes, *sweep)
        await _wake(s, mailbox)
        await deliver_soon(s, mailbox, recorded)
    return value


async def _wake(s: Services, mailbox: MailboxRef) -> None:
    """Parked work goes on at once; what is rung twice is done once."""
    for parked in await s.ledger.todos(mailbox, s.clock.now() + timedelta(days=400)):
        if parked.value.work is not Work.RENEW:
            await ring(s, mailbox, parked.value, at_once=True)


async def _connect(
    s: Services,
    mailbox: MailboxRef,
    pending: PendingConnection,
    grant: Grant,
) -> Connection:
    """Row first, gate second: until the gate is open nothing passes, and a repeat of the steps is harmless."""
    stored = await s.ledger.gate(mailbox)
    generation = stored.value.generation + 1 if stored else 1
    connection = Connection(
        connection_id=f"con_{s.chance.token(15)}",
        user=pending.user,
        mailbox_id=mailbox.mailbox_id,
        tid=pending.tid,
        oid=pending.oid,
        address=pending.address,
        display_name=pending.display_name,
        generation=generation,
        status=ConnectionStatus.CONNECTED,
        connected_at=s.clock.now(),
    )
    try:
        await s.connections.connect(mailbox.tenant_id, connection, grant.cache, None)
    except (RowChanged, RowExists) as err:
        raise MailboxTaken("The connection was changed from another window.") from err
    await s.tenants.note_mailbox(mailbox.tenant_id, mailbox.mailbox_id)
    recorded = await _open_gate(s, mailbox, stored, connection, pending.aliases)
    await deliver_soon(s, mailbox, recorded)
    return connection


async def _open_gate(
    s: Services,
    mailbox: MailboxRef,
    stored: Stored[Gate] | None,
    connection: Connection,
    aliases: Sequence[str],
) -> Recorded:
    gate = Gate(
        connection.connection_id,
        connection.user.user_id,
        connection.address,
        connection.generation,
        GateState.OPEN,
        tuple(aliases),
    )
    recorded = connection_event(s, mailbox, connection, gate)
    await s.ledger.open_gate(mailbox, stored.changed(gate) if stored else Stored(gate), *recorded.changes)
    return recorded


@dataclass(frozen=True, slots=True)
class _GrantAccess:
    """Access with the token of a sign-in that is not yet a connection: only to read whose mailbox it is."""

    grant: Grant

    @property
    def mailbox_id(self) -> str:
        return f"pending:{self.grant.oid}"

    async def token(self, *, rejected: str | None = None, claims: str | None = None) -> str:
        if rejected is not None or claims is not None:
            raise SignInFailed("token_rejected")
        return self.grant.access_token


def _flow_place(state: str) -> tuple[str, str, str, str]:
    return (keys.SESSIONS, "state", secret_hash(state), "flow")


def _pending_place(secret: str) -> tuple[str, str, str, str]:
    return (keys.SESSIONS, "pending", secret_hash(secret), "grant")
