"""When a subscription is renewed, when a mailbox is swept, and what a sweep says about its notifications."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from shared.domain.model import Gate, SubscriptionState

# Graph's maximum for basic Outlook subscriptions is 10,080 minutes; a margin keeps clocks from mattering.
BASIC_LIFETIME: Final = timedelta(minutes=10_080 - 15)
RENEW_BEFORE_LATEST: Final = timedelta(hours=17)
RENEW_BEFORE_EARLIEST: Final = timedelta(hours=24)
SWEEP_ACTIVE_EVERY: Final = timedelta(minutes=15)
SWEEP_IDLE_EVERY: Final = timedelta(hours=6)
ACTIVE_FOR: Final = timedelta(days=7)
SWEEP_OVERLAP: Final = timedelta(minutes=10)
LATE_AFTER: Final = timedelta(minutes=5)
LATE_SWEEPS_UNTIL_DEGRADED: Final = 3


def wanted_expiry(now: datetime) -> datetime:
    """The expiry to ask for; what Graph grants is what is stored."""
    return now + BASIC_LIFETIME


def renew_at(expires_at: datetime, now: datetime, fraction: float) -> datetime:
    """17 to 24 hours before expiry, spread by `fraction` in [0, 1); half of the rest when less was granted."""
    spread = RENEW_BEFORE_EARLIEST - RENEW_BEFORE_LATEST
    planned = expires_at - RENEW_BEFORE_LATEST - spread * fraction
    halfway = now + (expires_at - now) / 2
    return max(planned, halfway) if planned <= now else planned


def renewal_is_due(gate: Gate, now: datetime) -> bool:
    """Whoever opens a gate asks this, so that renewal never rests on a timer alone."""
    return (
        gate.subscription is SubscriptionState.ACTIVE and gate.renew_at is not None and gate.renew_at <= now
    )


def next_sweep_at(gate: Gate, now: datetime) -> datetime:
    """Every 15 minutes while a thread was active within 7 days, else every 6 hours."""
    last = gate.last_thread_activity_at
    active = last is not None and now - last <= ACTIVE_FOR
    return now + (SWEEP_ACTIVE_EVERY if active else SWEEP_IDLE_EVERY)


def sweep_since(gate: Gate, now: datetime) -> datetime:
    """From the cursor back by the overlap; without a cursor from now, since nothing older can be of a thread (R2)."""
    return (gate.sweep_cursor or now) - SWEEP_OVERLAP


def is_degraded(late_sweeps: int) -> bool:
    """Notifications are held to be failing when sweep after sweep finds mail that they did not bring."""
    return late_sweeps >= LATE_SWEEPS_UNTIL_DEGRADED
