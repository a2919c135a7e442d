"""The person's yes: claim the mailbox, keep the tokens, open the mailbox, tell the CRM (O-7, O-11, R1)."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import msgspec

from shared.domain.addresses import comparable_address
from shared.domain.connection import goes_on, is_open_for, with_living_grant
from shared.domain.errors import (
    ConnectionChanged,
    LinkUnusable,
    MailboxTaken,
    PostbraidError,
)
from shared.domain.ids import mailbox_id as mailbox_id_of
from shared.domain.model import (
    Connection,
    ConnectionStatus,
    CrmUser,
    FenceState,
    Grant,
    Mailbox,
    MailboxRef,
    Reason,
    SignInOutcome,
    Task,
    Tenant,
)
from shared.domain.retention import first_erasure
from shared.domain.sign_ins import outcome_of
from shared.mailbox_context import MailboxContext
from shared.services import Services
from shared.state.codec import Stored
from shared.state.connections import mailbox_ref
from shared.state.ledger import new
from shared.state.sessions import CONNECT, PendingConnection, secret_hash
from shared.sync.connect.claim_mailbox import claim_mailbox, is_mine
from shared.sync.connect.results import begin_result
from shared.sync.connect.sign_in import Departure, begin_sign_in, pending_place
from shared.sync.events.announce_standing import connection_event, updated_event
from shared.sync.mailbox.closing import close_mailbox, plan_closing
from shared.sync.mailbox.grant import waiting_task
from shared.sync.mailbox.task_rows import end_task
from shared.sync.mailbox.unit_of_work import races, switch
from shared.sync.mailbox.unopened import is_never_opened, undo_connection

OVER: Final = "A disconnect came in between, so nothing was connected."


@dataclass(frozen=True, slots=True)
class Question:
    """What the confirm page asks (O-7). `known` is whether the CRM knows the mailbox as the user's address."""

    user: CrmUser
    tenant: Tenant
    address: str
    known: bool
    csrf_token: str


async def read_question(s: Services, secret: str | None) -> Question:
    """What to ask the person. The CSRF token is derived from the cookie's secret. Raises LinkUnusable."""
    pending = (await s.sessions.look(PendingConnection, secret or "")).value
    tenant = (await s.tenants.get(pending.tenant_id)).value
    known = {comparable_address(address) for address in pending.user.addresses}
    mine = {comparable_address(address) for address in (pending.address, *pending.aliases)}
    return Question(pending.user, tenant, pending.address, bool(known & mine), confirm_csrf(secret or ""))


def confirm_csrf(secret: str) -> str:
    """A token that only a page which could read the cookie's row can know."""
    return secret_hash(f"confirm|{secret}")


async def confirm_connection(s: Services, secret: str | None, csrf_token: str | None) -> Connection:
    """The person said yes: claim the mailbox, keep the tokens, open the mailbox for this connection, tell the CRM.

    Where another mailbox of the user is connected, this one takes its place (R6): one transaction switches, then the
    former one closes; until that transaction it goes on untouched.

    Each step may find the work of an earlier try that went no further, and goes on from there.
    Raises LinkUnusable, MailboxTaken (without naming anybody), ConnectionChanged, RaceLost.
    """
    if not secret or not is_same(csrf_token or "", confirm_csrf(secret)):
        raise LinkUnusable
    pending = await _take_question(s, secret)
    try:
        connection = await _connect(s, secret, pending)
    except PostbraidError as err:
        await s.sessions.note_attempt(pending.tenant_id, pending.user.user_id, outcome_of(err))
        raise
    await s.sessions.note_attempt(pending.tenant_id, pending.user.user_id, SignInOutcome.CONFIRMED)
    return connection


async def cancel_connection(s: Services, secret: str | None, csrf_token: str | None) -> None:
    """The person said no: the tokens of the sign-in are gone, and nothing else changes. Raises LinkUnusable."""
    if not secret or not is_same(csrf_token or "", confirm_csrf(secret)):
        raise LinkUnusable
    pending = await _take_question(s, secret)
    await s.sessions.note_attempt(pending.tenant_id, pending.user.user_id, SignInOutcome.CANCELLED)


async def choose_another_account(s: Services, secret: str | None, csrf_token: str | None) -> Departure:
    """The person wants another account: the tokens are gone, and another sign-in of the same user begins.

    Raises LinkUnusable, ProviderUnavailable.
    """
    if not secret or not is_same(csrf_token or "", confirm_csrf(secret)):
        raise LinkUnusable
    pending = await _take_question(s, secret)
    return await begin_sign_in(s, pending.tenant_id, pending.user, pending.created_at, None)


async def _take_question(s: Services, secret: str) -> PendingConnection:
    """The question is answered, and its tokens are in nobody's hands but ours. Raises LinkUnusable."""
    asked = (await s.sessions.look(PendingConnection, secret)).value
    await begin_result(s, secret, asked.tenant_id, asked.user, CONNECT)
    return await s.sessions.take(PendingConnection, secret)


async def _connect(s: Services, secret: str, pending: PendingConnection) -> Connection:
    """All that follows the yes."""
    opened = await s.sealer.unseal(pending.tenant_id, pending_place(secret), pending.grant)
    grant = msgspec.json.decode(opened, type=Grant)
    mailbox_id = mailbox_id_of(pending.tenant_id, pending.tid, pending.oid)
    ctx = MailboxContext(s, MailboxRef(pending.tenant_id, mailbox_id))
    former = await _find_former(ctx, pending)
    await claim_mailbox(ctx, pending)
    if former is not None:
        await plan_closing(*former)
    connection, intent = await _keep_consent(ctx, pending, grant)
    try:
        await s.tenants.note_mailbox(ctx.ref.tenant_id, ctx.ref.mailbox_id)
        if former is not None:
            await _check_still_ours(ctx, connection, pending)
            await close_mailbox(*former, Reason.MAILBOX_CHANGED)
        await _open_mailbox(ctx, connection, pending, former[1] if former is not None else None)
        await _check_still_counts(ctx, connection)
    except (MailboxTaken, ConnectionChanged):
        await undo_connection(ctx, connection)
        raise
    if intent is not None:
        await end_task(ctx, intent)
    return connection


def is_same(given: str, expected: str) -> bool:
    """Compared in constant time, whatever characters were given (X-8)."""
    return hmac.compare_digest(given.encode(), expected.encode())


async def _find_former(
    ctx: MailboxContext, pending: PendingConnection
) -> tuple[MailboxContext, Connection] | None:
    """The user's other mailbox that this one is to replace, if one is connected.

    It is the one before the current connection where that never opened its own.
    """
    s = ctx.services
    current = await s.connections.current(pending.tenant_id, pending.user.user_id)
    before = current.value.replaces if current is not None else None
    if current is not None and before and await is_never_opened(s, pending.tenant_id, current.value):
        current = await s.connections.get(pending.tenant_id, pending.user.user_id, before)
    if current is None or current.value.mailbox_id == ctx.ref.mailbox_id:
        return None
    former = MailboxContext(s, mailbox_ref(pending.tenant_id, current.value))
    return (former, current.value) if is_open_for(await former.read(), current.value) else None


async def _keep_consent(
    ctx: MailboxContext, pending: PendingConnection, grant: Grant
) -> tuple[Connection, Task | None]:
    """The connection's row and tokens: of the one that is there where this consent completes or repairs it (R9, O-11).

    Before tokens are kept for a new connection a task is planned that erases them where the mailbox does not open;
    it is returned too.

    The row comes first, the mailbox second: until it is open nothing passes. Workers refresh tokens and other
    windows connect at the same time, so a lost race is repeated on what they left.
    """
    s = ctx.services
    kept: Connection | None = None
    intent: Task | None = None
    connection_id = f"con_{s.random.token(15)}"
    # Loses to a worker that refreshes tokens, or another window that connects.
    async for race in races(s):
        with race:
            await _refuse_if_over(s, pending)
            current = await s.connections.current(pending.tenant_id, pending.user.user_id)
            mailbox = await ctx.read()
            if current is not None and _completes(pending, current.value, mailbox):
                kept = _with_consent(current.value, pending)
                await s.connections.repair(ctx.ref.tenant_id, current.changed(kept), grant.cache)
            else:
                kept = _new_connection(ctx, connection_id, pending, mailbox)
                kept = replace(kept, replaces=await _find_replaced(s, pending, current))
                intent = intent or await plan_closing(ctx, kept)
                replaced = _replaced(current, kept, ctx.now())
                await s.connections.connect(ctx.ref.tenant_id, kept, grant.cache, replaced)
    assert kept is not None  # noqa: S101 - the loop ends with a try that lost no race, or raises
    return kept, intent


async def _find_replaced(
    s: Services, pending: PendingConnection, current: Stored[Connection] | None
) -> str | None:
    """Which connection counts again should the new one's mailbox never open; a current one that never did is none."""
    if current is None:
        return None
    never_opened = await is_never_opened(s, pending.tenant_id, current.value)
    return current.value.replaces if never_opened else current.value.connection_id


def _replaced(
    current: Stored[Connection] | None, kept: Connection, now: datetime
) -> Stored[Connection] | None:
    """The row of the connection that this one takes the place of, as it is after that."""
    if current is None or current.value.ended_at is not None or current.value.mailbox_id == kept.mailbox_id:
        return None
    return current.changed(replace(current.value, status=ConnectionStatus.REPLACED, ended_at=now))


def _completes(pending: PendingConnection, current: Connection, mailbox: Mailbox | None) -> bool:
    """Whether this consent is for a connection that is there, and not over; else it begins another."""
    same = (current.tid, current.oid) == (pending.tid, pending.oid)
    return same and current.ended_at is None and goes_on(current, mailbox)


def _with_consent(connection: Connection, pending: PendingConnection) -> Connection:
    return replace(connection, status=ConnectionStatus.CONNECTED, address=pending.address, user=pending.user)


def _new_connection(
    ctx: MailboxContext, connection_id: str, pending: PendingConnection, mailbox: Mailbox | None
) -> Connection:
    return Connection(
        connection_id=connection_id,
        user=pending.user,
        mailbox_id=ctx.ref.mailbox_id,
        tid=pending.tid,
        oid=pending.oid,
        address=pending.address,
        display_name=pending.display_name,
        generation=mailbox.generation + 1 if mailbox else 1,
        status=ConnectionStatus.CONNECTED,
        connected_at=ctx.now(),
    )


async def _open_mailbox(
    ctx: MailboxContext, connection: Connection, pending: PendingConnection, former: Connection | None
) -> None:
    """Bring the mailbox to this connection: opened where it was not, its consent alive where it was (R9).

    `former` is the connection whose place it takes (R6).
    """
    # Loses to every other write of the mailbox, another window among them.
    async for tx in switch(ctx):
        await _check_still_ours(ctx, connection, pending)
        before, now = tx.before, ctx.now()
        if before is not None and is_open_for(before, connection):
            alive = with_living_grant(before, now)
            tx.mailbox = replace(
                alive,
                address=connection.address,
                aliases=pending.aliases,
                profile_read_at=now,
                # Who was making a subscription with the former consent made none: nobody waits for that worker.
                pending_since=None,
            )
            tx.add(new(waiting_task(ctx)))
        elif before is not None and before.generation >= connection.generation:
            raise ConnectionChanged
        else:
            tx.mailbox = _new_mailbox(before, connection, pending, now)
            tx.add(*([new(first_erasure(now))] if before is None else []))
        told = updated_event(ctx, connection, tx.mailbox, former) if former is not None else None
        tx.add(new(told or connection_event(ctx, connection, tx.mailbox)))


async def _check_still_ours(ctx: MailboxContext, connection: Connection, pending: PendingConnection) -> None:
    """Between the yes and the opening somebody else may have come: then this connection is none (R1, R5)."""
    s = ctx.services
    await _refuse_if_over(s, pending)
    current = await s.connections.current(pending.tenant_id, pending.user.user_id)
    if current is None or current.value.connection_id != connection.connection_id or current.value.ended_at:
        raise ConnectionChanged
    claim = await s.claims.mailbox_claim(pending.tid, pending.oid)
    if claim is None or not is_mine(claim.value, pending):
        raise MailboxTaken


async def _check_still_counts(ctx: MailboxContext, connection: Connection) -> None:
    """A disconnect between the last look and the opening ended the row, and found nothing open to close (R5)."""
    whose = (ctx.ref.tenant_id, connection.user.user_id, connection.connection_id)
    stored = await ctx.services.connections.get(*whose)
    if stored is None or stored.value.ended_at is not None:
        raise ConnectionChanged(OVER)


async def _refuse_if_over(s: Services, pending: PendingConnection) -> None:
    """Who was disconnected after this sign-in began is not connected by it (R5). Raises ConnectionChanged."""
    if await s.sessions.is_over(pending):
        raise ConnectionChanged(OVER)


def _new_mailbox(
    before: Mailbox | None, connection: Connection, pending: PendingConnection, now: datetime
) -> Mailbox:
    """The mailbox of a new connection; of the one before only a pause outlives it, and what to remove at Graph."""
    return Mailbox(
        connection.connection_id,
        connection.user.user_id,
        connection.address,
        connection.generation,
        FenceState.OPEN,
        pending.aliases,
        profile_read_at=now,
        paused_until=before.paused_until if before is not None else None,
        subscription_id=before.subscription_id if before is not None else None,
        revived_at=now,
    )
