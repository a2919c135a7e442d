"""The subscription of a mailbox: made before the first send, renewed in time, recreated when it is gone (E-27)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from shared.domain import renewals
from shared.domain.errors import (
    Ambiguous,
    GrantDead,
    MessageRefused,
    OutcomeUnknown,
    ProviderUnavailable,
    StoreUnavailable,
    SubscriptionGone,
    Throttled,
    Unavailable,
    UpstreamSurprise,
)
from shared.domain.model import Mailbox, MailboxRef, Right, Subscription, SubscriptionState, Task, TaskKind
from shared.domain.retries import UNFORESEEN_SECONDS, PutOff
from shared.ports import Access
from shared.services import Services
from shared.state.dead_letters import SubscriptionNote
from shared.state.ledger import Change, Erase, new
from shared.sync.mailbox.access import access_for
from shared.sync.mailbox.failures import Failed
from shared.sync.mailbox.grant import note_grant_alive
from shared.sync.mailbox.unit_of_work import pause, respect_pause, through_gate
from shared.sync.queueing.jobs import enqueue, moved

# Delivery pauses when the token behind a subscription expires, and Graph asks to re-authorise before: with the same
# old token that would change nothing. Tokens live 60 to 90 minutes; a doubled request does not refresh twice.
FRESH_TOKEN: Final = timedelta(minutes=55)
SOON: Final = timedelta(minutes=1)
GIVEN_UP_EVERY: Final = timedelta(hours=1)
MOST_FAILURES: Final = len(UNFORESEEN_SECONDS)
LOOKS_AT_A_NEIGHBOUR: Final = 5


async def ensure_subscription(s: Services, mailbox: MailboxRef, gate: Mailbox) -> Mailbox:
    """The gate with a live subscription, the stored one or a fresh one, before the first mail leaves (R2).

    Later, mail is found by sweeps too: a send does not wait until Graph reaches us again. Raises what the provider
    and the fence raise.
    """
    if renewals.is_subscribed(gate, s.clock.now()):
        return gate
    try:
        return await create_subscription(s, mailbox, gate)
    except (StoreUnavailable, OutcomeUnknown):
        raise
    except (Unavailable, Ambiguous, UpstreamSurprise):
        if gate.sweep_cursor is None:
            raise
        await care_by(s, mailbox, SOON)
        return gate


@dataclass(frozen=True, slots=True)
class _Intent:
    """The gate that says `pending`, and what it said before."""

    gate: Mailbox
    before: SubscriptionState


async def create_subscription(s: Services, mailbox: MailboxRef, gate: Mailbox) -> Mailbox:
    """Intent first, then Graph, then what it granted; what was there before, or a crash left, is removed last (E-27).

    So at every moment some subscription stands, and who was so slow that another took over removes only its own.
    """
    intent = await _pending(s, mailbox, gate)
    if isinstance(intent, Mailbox):
        return intent
    access = access_for(s, mailbox, intent.gate)
    granted, filtered = await _subscribe(s, mailbox, access, intent.gate)
    recorded = await _record(s, mailbox, intent.gate, granted, filtered=filtered)
    if recorded is None:
        await s.mail.unsubscribe(access, granted.subscription_id)
        return await _of_a_neighbour(s, mailbox)
    await _may_subscribe(s, mailbox, recorded)
    if intent.before is not SubscriptionState.NONE:
        await _remove_spares(s, mailbox, access, intent.gate.subscription_id)
    return recorded


async def _of_a_neighbour(s: Services, mailbox: MailboxRef) -> Mailbox:
    """The gate with the subscription that another worker made. Raises ProviderUnavailable while it is at it."""
    stored = await s.ledger.gate(mailbox)
    if stored is None or not renewals.is_subscribed(stored.value, s.clock.now()):
        raise ProviderUnavailable("Another worker is making the subscription.")
    return stored.value


async def _pending(s: Services, mailbox: MailboxRef, gate: Mailbox) -> Mailbox | _Intent:
    """Write the intent; or, when a neighbour is at it, wait for what comes of that.

    Raises ProviderUnavailable when the neighbour takes long.
    """
    intent: _Intent | None = None

    async def make(now_gate: Mailbox) -> tuple[Mailbox, Sequence[Change]] | None:
        nonlocal intent
        intent = None
        now = s.clock.now()
        if renewals.is_being_subscribed(now_gate, now) or _another(now_gate, gate):
            return None
        value = replace(now_gate, subscription=SubscriptionState.PENDING, pending_since=now)
        intent = _Intent(value, now_gate.subscription)
        return value, ()

    for _ in range(LOOKS_AT_A_NEIGHBOUR):
        passed = await through_gate(s, mailbox, gate.generation, make)
        if passed is not None and intent is not None:
            return replace(intent, gate=passed)
        stored = await s.ledger.gate(mailbox)
        if stored is not None and stored.value.subscription is SubscriptionState.ACTIVE:
            return stored.value
        await s.sleep(1.0)
    raise ProviderUnavailable("The subscription is just being made.", retry_after_seconds=5.0)


def _another(now_gate: Mailbox, gate: Mailbox) -> bool:
    """Whether somebody has made a subscription since this gate was read."""
    active = now_gate.subscription is SubscriptionState.ACTIVE
    return active and now_gate.subscription_id != gate.subscription_id


async def _subscribe(
    s: Services, mailbox: MailboxRef, access: Access, gate: Mailbox
) -> tuple[Subscription, bool]:
    """Drafts are filtered out at Graph; where it refuses the filter, unfiltered (drafts are then skipped here)."""
    for filtered in (True, False) if gate.subscription_filtered else (False,):
        try:
            granted = await s.mail.subscribe(
                access,
                notification_url=s.addresses.notifications,
                lifecycle_url=s.addresses.lifecycle,
                client_state=s.client_states.mint(mailbox_key(mailbox), gate.generation, s.random.token(6)),
                expires_at=renewals.wanted_expiry(s.clock.now()),
                filtered=filtered,
            )
        except MessageRefused as err:
            if not filtered:
                raise UpstreamSurprise("Graph refuses the subscription.") from err
            continue
        return granted, filtered
    raise UpstreamSurprise("Graph refuses the subscription.")


async def _remove_spares(s: Services, mailbox: MailboxRef, access: Access, former: str | None) -> None:
    """All of ours, and the `former` one whatever its address; but not the one that the gate names.

    The gate is read when they are listed: what a neighbour makes now is not touched. A spare that stays costs doubled
    notifications until it ends, so no trouble with it is worth failing for.
    """
    try:
        found = await s.mail.subscriptions(access)
        stored = await s.ledger.gate(mailbox)
        if stored is None or stored.value.subscription is not SubscriptionState.ACTIVE:
            return
        for one in found:
            ours = one.notification_url == s.addresses.notifications or one.subscription_id == former
            if ours and one.subscription_id != stored.value.subscription_id:
                await s.mail.unsubscribe(access, one.subscription_id)
    except Throttled as err:
        await pause(s, mailbox, err.retry_after_seconds)
    except (ProviderUnavailable, GrantDead, UpstreamSurprise):
        return


async def _record(
    s: Services, mailbox: MailboxRef, gate: Mailbox, granted: Subscription, *, filtered: bool
) -> Mailbox | None:
    """What was granted; None when this worker was so slow that another has taken over."""
    now = s.clock.now()
    renew = renewals.renew_at(granted.expires_at, now, s.random.jitter())

    async def make(now_gate: Mailbox) -> tuple[Mailbox, Sequence[Change]] | None:
        if now_gate.pending_since != gate.pending_since:
            return None
        value = replace(
            now_gate,
            subscription=SubscriptionState.ACTIVE,
            pending_since=None,
            late_sweeps=0,
            subscription_id=granted.subscription_id,
            subscription_expires_at=granted.expires_at,
            subscription_filtered=filtered,
            client_state_key=s.client_states.key_id,
            renew_at=renew,
            sweep_cursor=now_gate.sweep_cursor or now,
            sweep_at=now_gate.sweep_at or now + renewals.SWEEP_ACTIVE_EVERY,
        )
        changes = [*moved(TaskKind.RENEW, "", now_gate.renew_at, renew)]
        if now_gate.sweep_at is None and value.sweep_at is not None:
            changes.append(new(Task(value.sweep_at, TaskKind.SWEEP, "")))
        return value, changes

    result = await through_gate(s, mailbox, gate.generation, make)
    if result is not None:
        await s.dead_letters.note_subscription(
            mailbox, SubscriptionNote(granted.subscription_id, "created", granted.expires_at, now)
        )
    return result


async def renew_subscription(s: Services, mailbox: MailboxRef) -> Mailbox | None:
    """Renew and re-authorise in one PATCH; a subscription that is gone is recreated and its gap swept.

    One whose clientState was made with a former key is replaced: renewing would keep that key in use for ever.
    Returns the gate afterwards, or None when there is nothing to renew.
    """
    stored = await s.ledger.gate(mailbox)
    if stored is None or stored.value.renew_at is None:
        return None
    gate, now = stored.value, s.clock.now()
    respect_pause(gate, now)
    if gate.subscription is not SubscriptionState.ACTIVE:  # a making failed: whatever stands is replaced
        return await recreate_subscription(s, mailbox)
    if gate.client_state_key not in (None, s.client_states.key_id):
        return await recreate_subscription(s, mailbox)
    access = access_for(s, mailbox, gate, FRESH_TOKEN)
    try:
        granted = await s.mail.renew(access, gate.subscription_id or "", renewals.wanted_expiry(now))
    except SubscriptionGone:
        return await recreate_subscription(s, mailbox)
    renew = renewals.renew_at(granted.expires_at, now, s.random.jitter())

    async def make(now_gate: Mailbox) -> tuple[Mailbox, Sequence[Change]] | None:
        if now_gate.subscription_id != granted.subscription_id:
            return None
        value = replace(now_gate, subscription_expires_at=granted.expires_at, renew_at=renew)
        return value, moved(TaskKind.RENEW, "", now_gate.renew_at, renew)

    result = await through_gate(s, mailbox, gate.generation, make)
    await s.dead_letters.note_subscription(
        mailbox, SubscriptionNote(granted.subscription_id, "renewed", granted.expires_at, now)
    )
    await _may_subscribe(s, mailbox, result)
    return result


async def _may_subscribe(s: Services, mailbox: MailboxRef, gate: Mailbox | None) -> None:
    if gate is not None and gate.grant_dead:
        await note_grant_alive(s, mailbox, gate.connection_id, Right.SUBSCRIBE)


async def recreate_subscription(s: Services, mailbox: MailboxRef) -> Mailbox | None:
    """A new subscription instead of one that is lost, brings too little or speaks under a former key.

    The old one goes when the new one stands. The sweep that closes the gap is due at once.
    """
    stored = await s.ledger.gate(mailbox)
    if stored is None:
        return None
    gate = await create_subscription(s, mailbox, stored.value)
    await sweep_now(s, mailbox)
    return gate


async def sweep_now(s: Services, mailbox: MailboxRef) -> None:
    """Bring the mailbox's sweep forward to now."""
    now = s.clock.now()

    async def make(gate: Mailbox) -> tuple[Mailbox, Sequence[Change]] | None:
        if gate.sweep_at is None or gate.sweep_at <= now:
            return None
        return replace(gate, sweep_at=now), moved(TaskKind.SWEEP, "", gate.sweep_at, now)

    await through_gate(s, mailbox, None, make)


async def care_by(s: Services, mailbox: MailboxRef, wait: timedelta) -> None:
    """Have the subscription renewed and the mailbox swept after that time at the latest; a sweep under way goes on."""
    until = s.clock.now() + wait

    async def make(gate: Mailbox) -> tuple[Mailbox, Sequence[Change]] | None:
        if gate.renew_at is None or gate.sweep_at is None:
            return None
        renew, sweep = min(gate.renew_at, until), min(gate.sweep_at, until)
        changes = [
            *moved(TaskKind.RENEW, "", gate.renew_at, renew),
            *moved(TaskKind.SWEEP, "", gate.sweep_at, sweep),
        ]
        return (replace(gate, renew_at=renew, sweep_at=sweep), changes) if changes else None

    if await through_gate(s, mailbox, None, make) is not None:
        for kind in (TaskKind.RENEW, TaskKind.SWEEP):
            await enqueue(s, mailbox, Task(until, kind, ""))


async def reschedule_maintenance(s: Services, mailbox: MailboxRef, kind: TaskKind, failed: Failed) -> None:
    """Move a failed sweep or renewal; one that was given up is tried each hour, for nothing else watches over it."""
    until, attempts = failed.at + GIVEN_UP_EVERY, MOST_FAILURES
    if isinstance(failed.verdict, PutOff):
        until, attempts = failed.until, failed.verdict.attempts

    async def make(gate: Mailbox) -> tuple[Mailbox, Sequence[Change]] | None:
        old = gate.sweep_at if kind is TaskKind.SWEEP else gate.renew_at
        if old is None or old > failed.at:
            return None
        value = (
            replace(gate, sweep_at=until, sweep_leased_until=None)
            if kind is TaskKind.SWEEP
            else replace(gate, renew_at=until)
        )
        return value, [Erase(Task(old, kind, "")), new(Task(until, kind, "", attempts))]

    if await through_gate(s, mailbox, None, make) is not None:
        await enqueue(s, mailbox, Task(until, kind, "", attempts))


def mailbox_key(mailbox: MailboxRef) -> str:
    """The opaque name of a mailbox inside a clientState."""
    return f"{mailbox.tenant_id.removeprefix('ten_')}-{mailbox.mailbox_id.removeprefix('mbx_')}"


def mailbox_of_key(key: str) -> MailboxRef | None:
    """The inverse of mailbox_key."""
    tenant, _, mailbox = key.partition("-")
    return MailboxRef(f"ten_{tenant}", f"mbx_{mailbox}") if tenant and mailbox else None
