"""When a subscription is renewed, when a mailbox is swept, and what a sweep says about its notifications."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from shared.domain.connection import with_trouble, with_working_call, without_trouble
from shared.domain.held import MOST_DEATHS
from shared.domain.model import Mailbox, SubscriptionState, SweepPlace, Trouble
from shared.domain.retries import MOST_FAILURES

# Graph's maximum for basic Outlook subscriptions. It counts by its own clock and refuses more, and no send leaves
# without a subscription, so the margin is wider than clocks are apart.
LONGEST_BASIC_LIFETIME: Final = timedelta(minutes=10_080)
BASIC_LIFETIME: Final = LONGEST_BASIC_LIFETIME - timedelta(hours=1)
RENEW_BEFORE_LATEST: Final = timedelta(hours=17)
RENEW_BEFORE_EARLIEST: Final = timedelta(hours=24)
SWEEP_ACTIVE_EVERY: Final = timedelta(minutes=15)
SWEEP_IDLE_EVERY: Final = timedelta(hours=6)
ACTIVE_FOR: Final = timedelta(days=7)
ACTIVITY_EVERY: Final = timedelta(minutes=1)
SWEEP_OVERLAP: Final = timedelta(minutes=10)
CLOCK_TURNED_BACK: Final = timedelta(minutes=1)  # less than that the overlap makes up for
LATE_AFTER: Final = timedelta(minutes=5)
SWEEPS_IN_A_ROW: Final = 3
OVER_WITH_A_SWEEP: Final = (Trouble.NO_ANSWER, Trouble.SWEEP_OVERDUE)
OVER_WITH_GOOD_SWEEPS: Final = (Trouble.LATE_NOTIFICATIONS, Trouble.MAILBOX_UNAVAILABLE)
SHORT_FOR: Final = timedelta(minutes=15)
GIVES_WAY_FOR: Final = timedelta(minutes=15)
GIVES_WAY_BY: Final = timedelta(minutes=1)
SWEEP_LEASE: Final = timedelta(minutes=10)
PENDING_LEASE: Final = timedelta(seconds=60)


def wanted_expiry(now: datetime) -> datetime:
    """The expiry to ask for; what Graph grants is what is stored."""
    return now + BASIC_LIFETIME


def renew_at(expires_at: datetime, now: datetime, jitter: float) -> datetime:
    """17 to 24 hours before expiry, spread by `jitter` in [0, 1); half of the rest when less was granted."""
    spread = RENEW_BEFORE_EARLIEST - RENEW_BEFORE_LATEST
    planned = expires_at - RENEW_BEFORE_LATEST - spread * jitter
    halfway = now + (expires_at - now) / 2
    return max(planned, halfway) if planned <= now else planned


def renewal_is_due(mailbox: Mailbox, now: datetime) -> bool:
    """Whoever reads the mailbox row asks this, so that renewal never rests on a timer alone."""
    return (
        mailbox.subscription is SubscriptionState.ACTIVE
        and mailbox.renew_at is not None
        and mailbox.renew_at <= now
    )


def next_sweep_at(mailbox: Mailbox, now: datetime) -> datetime:
    """Every 15 minutes while a thread was active within 7 days, else every 6 hours."""
    return now + (SWEEP_ACTIVE_EVERY if is_active(mailbox, now) else SWEEP_IDLE_EVERY)


def is_active(mailbox: Mailbox, now: datetime) -> bool:
    """Whether a message of a thread came or left within 7 days, synced or not."""
    last = mailbox.last_active_at
    return last is not None and now - last <= ACTIVE_FOR


def with_activity(mailbox: Mailbox, now: datetime, *, synced: bool = True) -> Mailbox:
    """The mailbox after a message of a thread, for which Graph has just answered a call.

    `synced`: it did sync, which people are shown; not one that is only on its way out. The time is noted once a minute,
    since nobody needs it finer.
    """
    last = mailbox.last_thread_activity_at if synced else mailbox.last_active_at
    working = with_working_call(mailbox)
    if last is not None and now - last < ACTIVITY_EVERY:
        return working
    return replace(working, last_thread_activity_at=now) if synced else replace(working, last_unsynced_at=now)


def with_sweep_again_from(mailbox: Mailbox, since: datetime | None, now: datetime) -> Mailbox:
    """The mailbox whose next sweep lists everything since that time once more, within a quarter of an hour.

    Noted beside the cursor, so that a sweep under way cannot overwrite it at its end.
    """
    if since is None:
        return mailbox
    known, due_at = mailbox.sweep_again_from, mailbox.sweep_at
    return replace(
        mailbox,
        sweep_again_from=min(known, since) if known is not None else since,
        sweep_at=min(due_at, now + SWEEP_ACTIVE_EVERY) if due_at is not None else None,
    )


def with_graph_clock(mailbox: Mailbox, ahead_seconds: int, since: datetime, now: datetime) -> Mailbox:
    """The mailbox after calls in which Graph's clock was so far ahead of ours; `since`: where the next sweep begins.

    Where that clock was set back, mail that came since then has times from before the cursor, and is looked for there.
    """
    turned_back = timedelta(seconds=mailbox.graph_ahead_seconds - ahead_seconds)
    noted = replace(mailbox, graph_ahead_seconds=ahead_seconds)
    return (
        with_sweep_again_from(noted, since - turned_back, now) if turned_back > CLOCK_TURNED_BACK else noted
    )


def with_sweep_taken(mailbox: Mailbox, now: datetime) -> Mailbox:
    """The mailbox under the lease of a worker that sweeps it, from where a sweep was asked for as well.

    Whoever lives gives his lease back: one that ran out is a death.
    """
    again, cursor = mailbox.sweep_again_from, mailbox.sweep_cursor
    back = again is not None and (cursor is None or again < cursor)
    return replace(
        mailbox,
        sweep_cursor=again if back else cursor,
        sweep_again_from=None,
        sweep_leased_until=now + SWEEP_LEASE,
        sweep_deaths=mailbox.sweep_deaths + (mailbox.sweep_leased_until is not None),
    )


def sweep_kills(mailbox: Mailbox) -> bool:
    """Whether five workers in a row died in the sweep, and at no mail that can be passed by."""
    deaths = mailbox.sweep_deaths
    return deaths > MOST_DEATHS or (deaths == MOST_DEATHS and mailbox.sweep_at_mail is None)


def sweep_since(mailbox: Mailbox, now: datetime) -> datetime:
    """From the cursor back by the overlap; without a cursor from now, since nothing older can be of a thread (R2).

    A slice that goes on where the last one ended needs no overlap, and with it could begin at the same place for ever.
    """
    cursor = mailbox.sweep_cursor or now
    return cursor if mailbox.sweep_goes_on else cursor - SWEEP_OVERLAP


def is_short_of_calls(mailbox: Mailbox, now: datetime) -> bool:
    """Whether Graph has lately asked for a pause: then the next calls may be the last ones for a while."""
    until = mailbox.paused_until
    return until is not None and until <= now < until + SHORT_FOR


def may_give_way(mailbox: Mailbox, now: datetime) -> bool:
    """Whether a sweep lets sends go first: where calls are short, for a quarter of an hour after it was due."""
    due_at = mailbox.sweep_failing_since or mailbox.sweep_at
    return due_at is not None and now < due_at + GIVES_WAY_FOR and is_short_of_calls(mailbox, now)


def with_sweep_giving_way(mailbox: Mailbox, now: datetime) -> Mailbox:
    """The mailbox whose sweep comes in a minute; when it was due stays known."""
    due_at = mailbox.sweep_failing_since or mailbox.sweep_at
    return replace(mailbox, sweep_at=now + GIVES_WAY_BY, sweep_failing_since=due_at)


def place_of_sweep(mailbox: Mailbox, since: datetime) -> SweepPlace | None:
    """Where in its listing a sweep that reads from then goes on; None where it begins, or the cursor was moved."""
    place = mailbox.sweep_place
    return place if place is not None and mailbox.sweep_goes_on and place.since == since else None


def sweep_is_free(mailbox: Mailbox, now: datetime) -> bool:
    """Whether a sweep is due that nobody is at; the lease of a worker that died runs out (E-4)."""
    due = mailbox.sweep_at is not None and mailbox.sweep_at <= now
    return due and (mailbox.sweep_leased_until is None or mailbox.sweep_leased_until <= now)


def is_subscribed(mailbox: Mailbox, now: datetime) -> bool:
    """Whether a subscription stands that has not expired."""
    expires = mailbox.subscription_expires_at
    return mailbox.subscription is SubscriptionState.ACTIVE and expires is not None and expires > now


def making_is_left(mailbox: Mailbox, now: datetime) -> bool:
    """Whether somebody who was making the subscription failed at it, or died."""
    return mailbox.subscription is SubscriptionState.PENDING and not is_being_subscribed(mailbox, now)


def making_kills(mailbox: Mailbox) -> bool:
    """Whether five workers in a row died over the subscription: failures of another kind count to one less."""
    return mailbox.renew_failures > MOST_FAILURES


def subscription_is_lost(mailbox: Mailbox, now: datetime) -> bool:
    """It has expired, or somebody who was making it died."""
    if mailbox.subscription is SubscriptionState.PENDING:
        return making_is_left(mailbox, now)
    expires = mailbox.subscription_expires_at
    return mailbox.subscription is SubscriptionState.ACTIVE and expires is not None and expires <= now


def is_being_subscribed(mailbox: Mailbox, now: datetime) -> bool:
    """Whether another worker is just making the subscription; one that died at it leaves `pending` behind (E-27)."""
    since = mailbox.pending_since
    return (
        mailbox.subscription is SubscriptionState.PENDING
        and since is not None
        and now - since < PENDING_LEASE
    )


def notifications_fail(mailbox: Mailbox) -> bool:
    """Whether the subscription is to be made anew."""
    return mailbox.late_sweeps >= SWEEPS_IN_A_ROW


def after_whole_sweep(mailbox: Mailbox, now: datetime, *, found_late: bool) -> Mailbox:
    """The mailbox after a sweep that came to its end, as far as that says whether mail comes in time.

    `late_sweeps` counts those in a row that found late mail; below 0: that found none since it degraded.
    Notifications are held to be failing after three late sweeps in a row, and to work again after three good ones:
    right after a subscription was made anew there is nothing to find, so one good sweep proves nothing.
    """
    if mailbox.degraded_because in OVER_WITH_A_SWEEP:
        mailbox = without_trouble(mailbox)
    if found_late:
        counted = replace(mailbox, late_sweeps=max(mailbox.late_sweeps, 0) + 1)
        return (
            with_trouble(counted, Trouble.LATE_NOTIFICATIONS, now) if notifications_fail(counted) else counted
        )
    if mailbox.degraded_because not in OVER_WITH_GOOD_SWEEPS:
        return replace(mailbox, late_sweeps=0)
    sweeps = min(mailbox.late_sweeps, 0) - 1
    if sweeps > -SWEEPS_IN_A_ROW:
        return replace(mailbox, late_sweeps=sweeps)
    return replace(without_trouble(mailbox), late_sweeps=0)
