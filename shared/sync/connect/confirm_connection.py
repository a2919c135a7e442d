"""The person's yes: claim the mailbox, keep the tokens, open the gate, tell the CRM (O-7, O-11, R1)."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from shared.domain.addresses import comparable_address
from shared.domain.connection import MAY_SEND, current_status, goes_on, is_open_for
from shared.domain.errors import LinkUnusable, MailboxTaken, RowChanged, RowExists, RowMissing
from shared.domain.ids import mailbox_id as mailbox_id_of
from shared.domain.model import (
    Connection,
    ConnectionStatus,
    CrmUser,
    FenceState,
    Grant,
    Mailbox,
    MailboxRef,
    Task,
    TaskKind,
)
from shared.services import Services
from shared.state.claims import MailboxClaim
from shared.state.codec import Stored
from shared.state.connections import mailbox_ref
from shared.state.ledger import Change, Erase, new
from shared.state.sessions import PendingConnection, secret_hash
from shared.sync.connect.sign_in import SIGN_IN_FOR, pending_place
from shared.sync.events.announce import connection_event
from shared.sync.events.deliver_event import deliver_now
from shared.sync.mailbox.grant import revived
from shared.sync.mailbox.unit_of_work import MAX_TRIES
from shared.sync.queueing.jobs import enqueue
from shared.sync.tasks.erase_content import first_look

OTHER_WINDOW: Final = "The connection was changed from another window."


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
    """The person said yes: claim the mailbox, keep the tokens, bring the gate to this connection, tell the CRM.

    Each step may find the work of an earlier try that went no further, and goes on from there.
    Raises LinkUnusable, MailboxTaken (without naming anybody).
    """
    if not secret or not _same(csrf_token or "", confirm_csrf(secret)):
        raise LinkUnusable
    pending = await s.sessions.take(PendingConnection, secret)
    opened = await s.sealer.unseal(pending.tenant_id, pending_place(secret), pending.grant)
    grant = msgspec.json.decode(opened, type=Grant)
    mailbox = MailboxRef(pending.tenant_id, mailbox_id_of(pending.tenant_id, pending.tid, pending.oid))
    await _refuse_second_mailbox(s, mailbox, pending)
    await _claim(s, mailbox, pending)
    connection = await _keep_consent(s, mailbox, pending, grant)
    await s.tenants.note_mailbox(mailbox.tenant_id, mailbox.mailbox_id)
    await _open_gate(s, mailbox, connection, pending)
    return connection


def _same(given: str, expected: str) -> bool:
    """In constant time, whatever characters were given (X-8)."""
    return hmac.compare_digest(given.encode(), expected.encode())


async def _refuse_second_mailbox(s: Services, mailbox: MailboxRef, pending: PendingConnection) -> None:
    """One mailbox per CRM user; judged before the claim, so that nothing is claimed in vain."""
    current = await s.connections.current(pending.tenant_id, pending.user.user_id)
    if current is None or current.value.mailbox_id == mailbox.mailbox_id:
        return
    gate = await s.ledger.gate(mailbox_ref(pending.tenant_id, current.value))
    if current_status(current.value, gate.value if gate else None) in MAY_SEND:
        raise MailboxTaken("Another mailbox is connected for this user; disconnect it first.")


async def _claim(s: Services, mailbox: MailboxRef, pending: PendingConnection) -> None:
    """One CRM user per mailbox. A claim is held by an open gate, and for ten minutes by whoever is about to open it."""
    claim = MailboxClaim(mailbox.tenant_id, pending.user.user_id, mailbox.mailbox_id, s.clock.now())
    held = await s.claims.claim_mailbox(pending.tid, pending.oid, claim)
    gate = await s.ledger.gate(MailboxRef(held.value.tenant_id, held.value.mailbox_id))
    in_use = gate is not None and gate.value.state is FenceState.OPEN
    if _is_mine(held.value, pending):
        if in_use or held.value == claim:
            return
    elif in_use or held.value.at + SIGN_IN_FOR > claim.at:
        raise MailboxTaken
    try:
        await s.claims.move_mailbox(pending.tid, pending.oid, held.changed(claim))
    except RowChanged as err:
        raise MailboxTaken from err


def _is_mine(claim: MailboxClaim, pending: PendingConnection) -> bool:
    return (claim.tenant_id, claim.user_id) == (pending.tenant_id, pending.user.user_id)


async def _keep_consent(
    s: Services, mailbox: MailboxRef, pending: PendingConnection, grant: Grant
) -> Connection:
    """The connection's row and tokens: of the one that is there where this consent completes or repairs it (R9, O-11).

    The row comes first, the gate second: until the gate is open nothing passes. Workers refresh tokens and other
    windows connect at the same time, so it is tried again on what they left.
    """
    for _ in range(MAX_TRIES):
        current = await s.connections.current(pending.tenant_id, pending.user.user_id)
        stored = await s.ledger.gate(mailbox)
        gate = stored.value if stored else None
        try:
            if current is not None and _is_of(current.value, pending) and goes_on(current.value, gate):
                kept = _renewed(current.value, pending)
                await s.connections.repair(mailbox.tenant_id, current.changed(kept), grant.cache)
            else:
                kept = _begun(s, mailbox, pending, gate)
                await s.connections.connect(mailbox.tenant_id, kept, grant.cache, None)
        except (RowChanged, RowExists, RowMissing):
            await s.sleep(0.02 + 0.18 * s.random.jitter())
            continue
        return kept
    raise MailboxTaken(OTHER_WINDOW)


def _is_of(connection: Connection, pending: PendingConnection) -> bool:
    return (connection.tid, connection.oid) == (pending.tid, pending.oid)


def _renewed(connection: Connection, pending: PendingConnection) -> Connection:
    return replace(connection, status=ConnectionStatus.CONNECTED, address=pending.address, user=pending.user)


def _begun(s: Services, mailbox: MailboxRef, pending: PendingConnection, gate: Mailbox | None) -> Connection:
    return Connection(
        connection_id=f"con_{s.random.token(15)}",
        user=pending.user,
        mailbox_id=mailbox.mailbox_id,
        tid=pending.tid,
        oid=pending.oid,
        address=pending.address,
        display_name=pending.display_name,
        generation=gate.generation + 1 if gate else 1,
        status=ConnectionStatus.CONNECTED,
        connected_at=s.clock.now(),
    )


async def _open_gate(
    s: Services, mailbox: MailboxRef, connection: Connection, pending: PendingConnection
) -> None:
    """Bring the gate to this connection: opened where it was not, revived where it was (R9), whoever else writes it."""
    for _ in range(MAX_TRIES):
        await _check_still_ours(s, connection, pending)
        stored = await s.ledger.gate(mailbox)
        old = stored.value if stored else None
        value, changes, wake = _gate_for(s, old, connection, pending)
        if old is not None and old.generation != value.generation:
            changes += await _forget_care(s, mailbox, old)
        recorded = connection_event(s, mailbox, connection, value)
        try:
            opened = stored.changed(value) if stored else Stored(value)
            await s.ledger.open_gate(mailbox, opened, *recorded.changes, *changes)
        except (RowChanged, RowExists, RowMissing):
            await s.sleep(0.02 + 0.18 * s.random.jitter())
            continue
        if wake is not None:
            await enqueue(s, mailbox, wake)
        await deliver_now(s, mailbox, recorded)
        return
    raise RowChanged


async def _forget_care(s: Services, mailbox: MailboxRef, gate: Mailbox) -> list[Change]:
    """What the connection of before planned; some of its rows may be gone already."""
    planned = [(gate.sweep_at, TaskKind.SWEEP), (gate.renew_at, TaskKind.RENEW)]
    tasks = [Task(at, work, "") for at, work in planned if at is not None]
    return [Erase(one) for one in tasks if await s.ledger.has(mailbox, one)]


async def _check_still_ours(s: Services, connection: Connection, pending: PendingConnection) -> None:
    """Between the claim and the gate somebody else may have come: then this connection is none (R1)."""
    claim = await s.claims.mailbox_claim(pending.tid, pending.oid)
    current = await s.connections.current(pending.tenant_id, pending.user.user_id)
    if claim is None or not _is_mine(claim.value, pending):
        raise MailboxTaken
    if current is None or current.value.connection_id != connection.connection_id:
        raise MailboxTaken(OTHER_WINDOW)


def _gate_for(
    s: Services, gate: Mailbox | None, connection: Connection, pending: PendingConnection
) -> tuple[Mailbox, list[Change], Task | None]:
    """The gate to write, what belongs to it, and the task to ring for afterwards. Raises MailboxTaken."""
    if gate is not None and is_open_for(gate, connection):
        value, changes, wake = revived(s, gate)
        return replace(value, address=connection.address, aliases=pending.aliases), changes, wake
    if gate is not None and gate.generation >= connection.generation:
        raise MailboxTaken
    value = Mailbox(
        connection.connection_id,
        connection.user.user_id,
        connection.address,
        connection.generation,
        FenceState.OPEN,
        pending.aliases,
        paused_until=gate.paused_until if gate is not None else None,
        revived_at=s.clock.now(),
    )
    return value, [new(first_look(s.clock.now()))] if gate is None else [], None
