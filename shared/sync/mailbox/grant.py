"""What is known of a mailbox's consent: that it died, that Graph denies a right of it, that it lives again (R9)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from shared.domain.connection import (
    is_denied_anew,
    is_surely_denied,
    probe_at,
    proves_alive,
    with_dead_grant,
    with_doubt,
    with_failed_call,
    with_living_grant,
    with_trouble,
    with_working_call,
    without_doubt,
    without_outage,
)
from shared.domain.errors import MailboxClosed, RaceLost
from shared.domain.model import FenceState, Mailbox, Right, Task, TaskKind, Trouble
from shared.mailbox_context import MailboxContext
from shared.state.ledger import new
from shared.sync.events.announce_standing import connection_event
from shared.sync.mailbox.unit_of_work import Transaction, change, switch
from shared.telemetry import log

EVER: Final = timedelta(days=400)


async def mark_grant_dead(ctx: MailboxContext, denied: Right | None, asked_at: datetime) -> bool:
    """Graph denies what the consent allows: the status says so, the CRM is told once, the mailbox's work waits.

    False when the consent has come back to life since Graph was asked: then the denial says nothing. And when Graph
    denies it for the first time, which may be one call of an outage: its work comes again within seconds.
    """
    holds = True
    try:
        # Loses to a repair, and to a worker that notes the same.
        async for tx in change(ctx):
            holds = is_denied_anew(tx.mailbox, asked_at)
            if tx.mailbox.grant_dead or not holds:
                tx.abandon()
                continue
            holds = is_surely_denied(tx.mailbox, denied, ctx.now())
            if not holds:
                tx.mailbox = with_doubt(tx.mailbox, denied, ctx.now())
                if tx.mailbox == tx.before:
                    tx.abandon()
                continue
            await _record_death(ctx, tx, with_dead_grant(tx.mailbox, denied, ctx.now(), by_graph=True))
    except MailboxClosed:
        await _note_dead_after_closing(ctx, None, denied, by_graph=True)
    return holds


async def mark_refresh_refused(ctx: MailboxContext, connection_id: str, refused_etag: str | None) -> None:
    """Entra refuses the tokens: one write, for the mailbox row is the truth, and only while they are still the stored.

    They are compared after the mailbox was read: a repair keeps its tokens before it writes the mailbox, so either
    they have changed here, or the mailbox will have.
    """
    try:
        # Loses to a repair, which has changed the tokens before.
        async for tx in change(ctx, connection_id=connection_id):
            whose = (ctx.ref.tenant_id, tx.mailbox.user_id, tx.mailbox.connection_id)
            if tx.mailbox.grant_dead or await ctx.services.connections.tokens_etag(*whose) != refused_etag:
                tx.abandon()
                continue
            await _record_death(ctx, tx, with_dead_grant(tx.mailbox, None, ctx.now(), by_graph=False))
    except MailboxClosed:
        await _note_dead_after_closing(ctx, connection_id, None, by_graph=False)


async def _note_dead_after_closing(
    ctx: MailboxContext, connection_id: str | None, denied: Right | None, *, by_graph: bool
) -> None:
    """A closed mailbox whose consent works no more is asked nothing further; nobody is told, for it is over."""
    # Loses to whoever connects the mailbox again.
    async for tx in switch(ctx):
        before = tx.before
        is_its_own = before is not None and connection_id in {None, before.connection_id}
        if before is None or not is_its_own or before.state is not FenceState.CLOSED or before.grant_dead:
            tx.abandon()
        else:
            tx.mailbox = with_dead_grant(before, denied, ctx.now(), by_graph=by_graph)


async def mark_unusable(ctx: MailboxContext) -> None:
    """Graph does not know the mailbox now (no licence, on its way elsewhere): no consent helps, and mail comes late.

    The CRM is told once; sweeps that go well take it back, as after late notifications.
    """
    # Loses to a sweep that ends.
    async for tx in change(ctx):
        if tx.mailbox.degraded_because is not None:
            tx.abandon()
            continue
        troubled = with_trouble(tx.mailbox, Trouble.MAILBOX_UNAVAILABLE, ctx.now())
        tx.mailbox = replace(troubled, late_sweeps=0)
        await tell_trouble(ctx, tx)


async def note_grant_alive(ctx: MailboxContext, connection_id: str, used: Right | None = None) -> None:
    """A refresh, or a call that `used` this right, has just worked: a mailbox that says otherwise is set right.

    Enqueueing what waited is a task of its own with its own row, so that a crash forgets nobody.
    """
    try:
        # Loses to a repair, which says the same.
        async for tx in change(ctx, connection_id=connection_id):
            if not proves_alive(tx.mailbox, used):
                tx.mailbox = without_doubt(tx.mailbox, used)
                if tx.mailbox == tx.before:
                    tx.abandon()
                continue
            tx.mailbox = with_living_grant(tx.mailbox, ctx.now())
            tx.add(new(waiting_task(ctx)))
            if not await tell_status(ctx, tx):
                tx.abandon()
    except (MailboxClosed, RaceLost):
        return  # the next refresh, or sweep, says it again


def waiting_task(ctx: MailboxContext) -> Task:
    """The task of enqueueing at once what waits for the consent."""
    return Task(ctx.now(), TaskKind.ENQUEUE_WAITING, ctx.services.random.token(6))


async def tell_status(ctx: MailboxContext, tx: Transaction, *, recovered: bool = False) -> bool:
    """Add the event of the status that this transaction gives; False without a connection that could be told of."""
    mailbox = tx.mailbox
    connection = await ctx.services.connections.get(ctx.ref.tenant_id, mailbox.user_id, mailbox.connection_id)
    if connection is None:
        return False
    tx.add(new(connection_event(ctx, connection.value, mailbox, recovered=recovered)))
    return True


async def tell_trouble(ctx: MailboxContext, tx: Transaction) -> None:
    """Add the event where this transaction makes the connection degraded, or takes that back.

    Nothing is told while the consent is dead: that is worse, and the repair tells how it stands then.
    """
    was = tx.before.degraded_because if tx.before is not None else None
    if tx.mailbox.grant_dead or (was is None) == (tx.mailbox.degraded_because is None):
        return
    trouble = tx.mailbox.degraded_because
    if trouble is not None:
        log.error(
            "connection.degraded", mailbox=ctx.ref.mailbox_id, tenant=ctx.ref.tenant_id, reason=trouble.value
        )
    await tell_status(ctx, tx, recovered=was is not None)


async def note_failed_call(ctx: MailboxContext, began: datetime) -> None:
    """Graph did not answer, or with nonsense: the clock of an outage runs, and after an hour the CRM is told.

    Costs a write for the first failure, and once a minute while they go on.
    """
    now, known = ctx.now(), ctx.mailbox
    if known is not None and with_failed_call(known, began, now) == known:
        return
    try:
        # Loses to a sweep that ends, and to another failure.
        async for tx in change(ctx):
            tx.mailbox = with_failed_call(tx.mailbox, began, now)
            if tx.mailbox == tx.before:
                tx.abandon()
                continue
            await tell_trouble(ctx, tx)
    except MailboxClosed:
        return


async def take_probe(ctx: MailboxContext) -> bool:
    """Whether this job is the one that tries a dead consent now; True where it lives.

    One a day tries for all that waits: neither Entra nor Graph is asked for each send.
    """
    # Loses to another job that tries, and to a repair.
    changing, tries = change(ctx), True
    async for tx in changing:
        due_at, now = probe_at(tx.mailbox), ctx.now()
        tries = due_at is None or due_at <= now
        if not tries or due_at is None:
            tx.abandon()
        else:
            tx.mailbox = replace(tx.mailbox, grant_probed_at=now)
    return tries


async def note_working_call(ctx: MailboxContext) -> None:
    """Graph has just answered a call: where an outage was suspected, it is none. Costs nothing where none was."""
    known = ctx.mailbox
    if known is None or (known.failing_since is None and known.doubted_right is not Right.READ):
        return
    with suppress(MailboxClosed, RaceLost):  # the next call that works says it again
        # Loses to a sweep that ends.
        async for tx in change(ctx):
            tx.mailbox = without_doubt(with_working_call(tx.mailbox), Right.READ)
            if tx.mailbox == tx.before:
                tx.abandon()


async def note_nothing_waits(ctx: MailboxContext) -> None:
    """A send has ended: where no thread was begun, nobody would find out that an outage is over."""
    if ctx.mailbox is None or without_outage(ctx.mailbox) == ctx.mailbox:
        return
    with suppress(MailboxClosed, RaceLost):
        # Loses to another send that ends.
        async for tx in change(ctx):
            tx.mailbox = without_outage(tx.mailbox)
            if tx.mailbox == tx.before:
                tx.abandon()
                continue
            await tell_trouble(ctx, tx)


async def _record_death(ctx: MailboxContext, tx: Transaction, mailbox: Mailbox) -> None:
    tx.mailbox = mailbox
    if not await tell_status(ctx, tx):
        tx.abandon()
