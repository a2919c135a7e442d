"""The subscription of a mailbox: made before the first send, renewed in time, recreated when it is gone (E-27)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from shared.domain import renewals
from shared.domain.connection import (
    is_said_to_deny,
    respect_pause,
    with_trouble,
    with_working_call,
    without_trouble,
)
from shared.domain.connection_status import find_trouble
from shared.domain.errors import (
    Ambiguous,
    MailboxClosed,
    OutcomeUnknown,
    ProviderUnavailable,
    StoreUnavailable,
    SubscriptionGone,
    Unavailable,
    UpstreamSurprise,
    WorkersDied,
)
from shared.domain.held import MOST_DEATHS
from shared.domain.model import Mailbox, Right, Subscription, SubscriptionState, Task, TaskKind, Trouble
from shared.domain.own_addresses import with_profile
from shared.domain.retries import MOST_FAILURES, Failed, PutOff, count_given_up, rest_given_up
from shared.mailbox_context import MailboxContext
from shared.state.subscription_trail import SubscriptionNote
from shared.sync.mailbox.access import access_of, fresh_access_of
from shared.sync.mailbox.ended_subscriptions import remove_duplicates, remove_unwanted
from shared.sync.mailbox.grant import note_grant_alive, tell_trouble
from shared.sync.mailbox.own_profile import read_profile_if_due
from shared.sync.mailbox.register_subscription import register_subscription
from shared.sync.mailbox.unit_of_work import Transaction, change
from shared.sync.queueing.given_up import decide_verdict

# Delivery pauses when the token behind a subscription expires, and Graph asks to re-authorise before: with the same
# old token that would change nothing. Tokens live 60 to 90 minutes; a doubled request does not refresh twice.
FRESH_TOKEN: Final = timedelta(minutes=55)
SOON: Final = timedelta(minutes=1)
LOOKS_AT_OTHER_WORKER: Final = 5


async def ensure_subscription(ctx: MailboxContext, mailbox: Mailbox) -> None:
    """A live subscription, the stored one or a fresh one, before the first mail leaves (R2).

    Later, mail is found by sweeps too: a send does not wait until Graph reaches us again. Raises what the provider
    and the fence raise.
    """
    if renewals.is_subscribed(mailbox, ctx.now()):
        return
    try:
        await create_subscription(ctx, mailbox)
    except (StoreUnavailable, OutcomeUnknown):
        raise
    except (Unavailable, Ambiguous, UpstreamSurprise):
        if mailbox.sweep_cursor is None:
            raise
        await plan_maintenance(ctx, SOON)


async def create_subscription(ctx: MailboxContext, known: Mailbox) -> Mailbox:
    """Intent first, then Graph, then what it granted; what was there before, or a crash left, is removed last (E-27).

    So at every moment some subscription stands, and who was so slow that another took over removes only its own.
    `known` is the mailbox as it was when it needed one. Returns the mailbox with the subscription.
    """
    before = await _write_intent(ctx, known)
    intent = _present(ctx)
    if before is None:
        return intent
    access = access_of(ctx)
    granted, filtered = await register_subscription(ctx, access, intent)
    has_gap = before is not SubscriptionState.NONE
    try:
        is_recorded = await _record_granted(ctx, intent, granted, filtered=filtered, has_gap=has_gap)
    except MailboxClosed:  # a disconnect came in between, and knows nothing of it
        await remove_unwanted(ctx, access, granted.subscription_id)
        raise
    if not is_recorded:
        await ctx.services.mail.unsubscribe(access, granted.subscription_id)
        return await _read_other_workers(ctx)
    await _note_may_subscribe(ctx)
    if has_gap or intent.subscription_id is not None:  # or it is one of the connection before
        await remove_duplicates(ctx, access, intent.subscription_id)
    return _present(ctx)


async def _write_intent(ctx: MailboxContext, known: Mailbox) -> SubscriptionState | None:
    """Write `pending`; returns what stood there before. While another worker is at it, wait for what comes of that.

    None: it has made one. Raises ProviderUnavailable when it takes long.
    """
    for _ in range(LOOKS_AT_OTHER_WORKER):
        before = known.subscription
        # Loses to another worker that writes its intent.
        changing = change(ctx, known.generation)
        async for tx in changing:
            before, now = tx.mailbox.subscription, ctx.now()
            if renewals.is_being_subscribed(tx.mailbox, now) or _is_another(tx.mailbox, known):
                tx.abandon()
            else:
                tx.mailbox = replace(
                    tx.mailbox,
                    subscription=SubscriptionState.PENDING,
                    pending_since=now,
                    unsubscribed_since=tx.mailbox.unsubscribed_since or now,
                )
        if changing.committed:
            return before
        if changing.mailbox.subscription is SubscriptionState.ACTIVE:
            return None
        await ctx.services.sleep(1.0)
    raise ProviderUnavailable("The subscription is just being made.", retry_after_seconds=5.0)


def _is_another(mailbox: Mailbox, known: Mailbox) -> bool:
    """Whether somebody has made a subscription since the mailbox was known as it was."""
    active = mailbox.subscription is SubscriptionState.ACTIVE
    return active and mailbox.subscription_id != known.subscription_id


async def _read_other_workers(ctx: MailboxContext) -> Mailbox:
    """The mailbox with the subscription that another worker made. Raises ProviderUnavailable while it is at it."""
    mailbox = await ctx.read()
    if mailbox is None or not renewals.is_subscribed(mailbox, ctx.now()):
        raise ProviderUnavailable("Another worker is making the subscription.")
    return mailbox


def _present(ctx: MailboxContext) -> Mailbox:
    """The mailbox as last read. Raises MailboxClosed where there is none."""
    if ctx.mailbox is None:
        raise MailboxClosed
    return ctx.mailbox


async def _record_granted(
    ctx: MailboxContext, intent: Mailbox, granted: Subscription, *, filtered: bool, has_gap: bool
) -> bool:
    """Write what was granted; False when this worker was so slow that another has taken over.

    `has_gap`: mail may have come between the former subscription and this one, so the sweep is due at once.
    """
    s, now = ctx.services, ctx.now()
    renew_at = renewals.renew_at(granted.expires_at, now, s.random.jitter())
    # Loses to sweeps and pauses; to a worker that has taken over by `pending_since`.
    changing = change(ctx, intent.generation)
    async for tx in changing:
        if tx.mailbox.pending_since != intent.pending_since:
            tx.abandon()
            continue
        tx.mailbox = replace(
            with_working_call(tx.mailbox),
            subscription=SubscriptionState.ACTIVE,
            pending_since=None,
            unsubscribed_since=None,
            late_sweeps=0,
            subscription_id=granted.subscription_id,
            subscription_expires_at=granted.expires_at,
            subscription_filtered=filtered,
            client_state_key=s.client_states.key_id,
            renew_at=renew_at,
            renew_failures=0,
            sweep_cursor=tx.mailbox.sweep_cursor or ctx.graph_now(),
            sweep_at=now if has_gap else tx.mailbox.sweep_at or now + renewals.SWEEP_ACTIVE_EVERY,
        )
        if tx.mailbox.degraded_because is Trouble.SUBSCRIPTION_LOST:
            tx.mailbox = without_trouble(tx.mailbox)
            await tell_trouble(ctx, tx)
    if changing.committed:
        note = SubscriptionNote(granted.subscription_id, "created", granted.expires_at, now)
        await s.subscription_trail.add(ctx.ref, note)
    return changing.committed


async def renew_if_due(ctx: MailboxContext, *, again: bool = False) -> None:
    """Renew, unless somebody did. `again`: the worker before died in it. Raises WorkersDied, which counts it."""
    mailbox = ctx.mailbox
    if mailbox is not None and mailbox.renew_at is not None and mailbox.renew_at <= ctx.now():
        if again:
            raise WorkersDied
        await renew_subscription(ctx, mailbox)


async def renew_subscription(ctx: MailboxContext, mailbox: Mailbox) -> None:
    """Renew and re-authorise in one PATCH; a subscription that is gone is recreated and its gap swept.

    One whose clientState was made with a former key is replaced: renewing would keep that key in use for ever.
    `mailbox` is the mailbox as last read; nothing is done where it has nothing to renew.
    """
    s, now = ctx.services, ctx.now()
    if mailbox.renew_at is None:
        return
    respect_pause(mailbox, now)
    former_key = mailbox.client_state_key not in (None, s.client_states.key_id)
    if mailbox.subscription is not SubscriptionState.ACTIVE or former_key:
        await recreate_subscription(ctx)  # where a making failed, whatever stands is replaced
        return
    access = fresh_access_of(ctx, FRESH_TOKEN)
    expires_at = renewals.wanted_expiry(ctx.graph_now())
    try:
        granted = await s.mail.renew(access, mailbox.subscription_id or "", expires_at)
    except SubscriptionGone:
        await recreate_subscription(ctx)
        return
    profile = await read_profile_if_due(ctx, access, mailbox)
    renew_at = renewals.renew_at(granted.expires_at, now, s.random.jitter())
    # Loses to sweeps and pauses; to a worker that made another subscription by its id.
    async for tx in change(ctx, mailbox.generation):
        if tx.mailbox.subscription_id != granted.subscription_id:
            tx.abandon()
            continue
        tx.mailbox = replace(
            tx.mailbox, subscription_expires_at=granted.expires_at, renew_at=renew_at, renew_failures=0
        )
        if profile is not None:
            tx.mailbox = with_profile(tx.mailbox, profile, now)
    note = SubscriptionNote(granted.subscription_id, "renewed", granted.expires_at, now)
    await s.subscription_trail.add(ctx.ref, note)
    await _note_may_subscribe(ctx)


async def _note_may_subscribe(ctx: MailboxContext) -> None:
    mailbox = ctx.mailbox
    if mailbox is not None and is_said_to_deny(mailbox, Right.SUBSCRIBE):
        await note_grant_alive(ctx, mailbox.connection_id, Right.SUBSCRIBE)


async def recreate_subscription(ctx: MailboxContext) -> Mailbox | None:
    """A new subscription instead of one that is lost, brings too little or speaks under a former key.

    The old one goes when the new one stands. The sweep that closes the gap is due at once. Returns the mailbox as it
    stood with the new one, or None where it was never connected.
    """
    known = await ctx.read()
    if known is None:
        return None
    mailbox = await create_subscription(ctx, known)
    await sweep_now(ctx)
    return mailbox


async def sweep_now(ctx: MailboxContext) -> None:
    """Bring the mailbox's sweep forward to now."""
    await sweep_by(ctx, ctx.now())


async def sweep_by(ctx: MailboxContext, until: datetime) -> None:
    """Bring the mailbox's sweep forward to that time; one that is planned before it stays. Raises MailboxClosed."""
    # Loses to a sweep that ends.
    async for tx in change(ctx):
        if tx.mailbox.sweep_at is None or tx.mailbox.sweep_at <= until:
            tx.abandon()
        else:
            tx.mailbox = replace(tx.mailbox, sweep_at=until)


async def plan_maintenance(ctx: MailboxContext, wait: timedelta) -> None:
    """Have the subscription renewed and the mailbox swept after that time at the latest; a sweep under way goes on."""
    until = ctx.now() + wait
    # Loses to a sweep or renewal that ends.
    async for tx in change(ctx):
        renew_at, sweep_at = tx.mailbox.renew_at, tx.mailbox.sweep_at
        if renew_at is None or sweep_at is None:
            tx.abandon()
        else:
            tx.mailbox = replace(tx.mailbox, renew_at=min(renew_at, until), sweep_at=min(sweep_at, until))


async def plan_renewal(ctx: MailboxContext) -> None:
    """Have the subscription looked after now; one that failed or killed at it has its time already."""
    # Loses to a sweep or renewal that ends.
    async for tx in change(ctx):
        if tx.mailbox.renew_failures or (tx.mailbox.renew_at or ctx.now()) < ctx.now():
            tx.abandon()
        else:
            tx.mailbox = replace(tx.mailbox, renew_at=ctx.now())


async def reschedule_maintenance(ctx: MailboxContext, task: Task, failed: Failed) -> None:
    """Move a failed sweep or renewal; one that was given up is tried each hour, for nothing else watches over it.

    Of a sweep that ends because workers died in it, the deaths were counted by its lease: the next one ends it again.
    """
    sweeps, died = task.kind is TaskKind.SWEEP, isinstance(failed.error, WorkersDied)
    # Loses to a sweep or renewal that another worker has done.
    async for tx in change(ctx):
        mailbox = tx.mailbox
        due_at = mailbox.sweep_at if sweeps else mailbox.renew_at
        if due_at is None or due_at > failed.at:
            tx.abandon()
            continue
        counted = mailbox.sweep_failures if sweeps else mailbox.renew_failures
        if sweeps and died:
            counted = max(counted, MOST_FAILURES)
        verdict = await decide_verdict(ctx, task, failed, counted)
        until = failed.at + rest_given_up(failed.error, counted)
        failures = count_given_up(failed.error, counted)
        if isinstance(verdict, PutOff):
            until, failures = failed.until(verdict), verdict.attempts
        if sweeps:
            tx.mailbox = replace(
                mailbox,
                sweep_at=until,
                sweep_failures=failures,
                sweep_failing_since=mailbox.sweep_failing_since or due_at,
                sweep_leased_until=None,
                sweep_deaths=MOST_DEATHS - 1 if died else mailbox.sweep_deaths,
                sweep_at_mail=None if died else mailbox.sweep_at_mail,
            )
        else:
            tx.mailbox = replace(mailbox, renew_at=until, renew_failures=failures)
        await _tell_amiss(ctx, tx, failed.at)


async def tell_if_lost(ctx: MailboxContext) -> None:
    """Looking after the subscription failed: where none has stood for a while, the CRM hears of it."""
    # Loses to a sweep that ends, and to who makes the subscription.
    async for tx in change(ctx):
        await _tell_amiss(ctx, tx, ctx.now())
        if tx.mailbox == tx.before:
            tx.abandon()


async def _tell_amiss(ctx: MailboxContext, tx: Transaction, now: datetime) -> None:
    amiss = find_trouble(tx.mailbox, now)
    if amiss is not None and not tx.mailbox.grant_dead:
        tx.mailbox = with_trouble(tx.mailbox, amiss, now)
    await tell_trouble(ctx, tx)
