"""The person's yes: claim the mailbox, keep the tokens, open the gate, tell the CRM (O-7, O-11, R1)."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

import msgspec

from shared.domain.addresses import comparable_address
from shared.domain.errors import LinkUnusable, MailboxTaken, RowChanged, RowExists
from shared.domain.ids import mailbox_id as mailbox_id_of
from shared.domain.model import (
    Connection,
    ConnectionStatus,
    CrmUser,
    Gate,
    GateState,
    Grant,
    MailboxRef,
    Todo,
    Work,
)
from shared.services import Services
from shared.state.claims import MailboxClaim
from shared.state.codec import Stored
from shared.state.ledger import Change, Erase, new
from shared.state.sessions import PendingConnection, secret_hash
from shared.sync.announce import Recorded, connection_event
from shared.sync.deliver_event import deliver_soon
from shared.sync.doorbells import ring
from shared.sync.sign_in import pending_place

USABLE: Final = (ConnectionStatus.CONNECTED, ConnectionStatus.DEGRADED, ConnectionStatus.RECONNECT_REQUIRED)


@dataclass(frozen=True, slots=True)
class Question:
    """What the confirm page asks (O-7). `known` is whether the CRM knows the mailbox as the user's address."""

    user: CrmUser
    tenant_name: str
    address: str
    known: bool
    csrf_token: str


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
    opened = await s.sealer.unseal(pending.tenant_id, pending_place(secret), pending.grant)
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
