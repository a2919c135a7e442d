"""When a subscription is renewed and a mailbox is swept."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.model import Gate, SubscriptionState
from shared.domain.renewals import (
    LATE_SWEEPS_UNTIL_DEGRADED,
    SWEEP_ACTIVE_EVERY,
    SWEEP_IDLE_EVERY,
    SWEEP_OVERLAP,
    is_degraded,
    next_sweep_at,
    renew_at,
    renewal_is_due,
    sweep_since,
    wanted_expiry,
)
from tests.builders import NOW, gate, later
from tests.strategies import records, times

GRAPHS_MAXIMUM = timedelta(minutes=10_080)


def test_what_is_asked_for_is_within_graphs_maximum() -> None:
    """10,080 minutes for basic Outlook subscriptions, with a margin for clocks."""
    asked = wanted_expiry(NOW) - NOW
    assert timedelta(days=6, hours=23) < asked < GRAPHS_MAXIMUM


@pytest.mark.parametrize(
    ("granted", "fraction", "expected"),
    [
        (timedelta(days=7), 0.0, timedelta(days=7, hours=-17)),
        (timedelta(days=7), 0.5, timedelta(days=7, hours=-20.5)),
        (timedelta(hours=16), 0.0, timedelta(hours=8)),
        (timedelta(hours=1), 0.9, timedelta(minutes=30)),
        (timedelta(hours=-2), 0.0, timedelta(hours=-1)),
    ],
    ids=["a week", "a week, spread", "less than the margin", "an hour", "over already"],
)
def test_a_subscription_is_renewed_well_before_its_end(
    granted: timedelta, fraction: float, expected: timedelta
) -> None:
    """17 to 24 hours before, at half of what is left when less was granted, at once when it is over."""
    assert renew_at(NOW + granted, NOW, fraction) == NOW + expected


@given(times, st.timedeltas(timedelta(minutes=1), timedelta(days=7)), st.floats(0, 1, exclude_max=True))
def test_renewal_is_planned_between_now_and_the_end(
    now: datetime, granted: timedelta, fraction: float
) -> None:
    """Whatever Graph grants."""
    assert now < renew_at(now + granted, now, fraction) < now + granted


RENEWAL_CASES = [
    ({"renew_at": NOW}, True),
    ({"renew_at": later(days=-3)}, True),
    ({"renew_at": later(seconds=1)}, False),
    ({"renew_at": None}, False),
    ({"renew_at": NOW, "subscription": SubscriptionState.PENDING}, False),
    ({"renew_at": NOW, "subscription": SubscriptionState.NONE}, False),
]


@pytest.mark.parametrize(("changes", "due"), RENEWAL_CASES)
def test_a_renewal_is_due_at_its_time(changes: dict[str, Any], *, due: bool) -> None:
    """Only of a subscription that stands; a missed time is still due."""
    assert renewal_is_due(gate(**{"subscription": SubscriptionState.ACTIVE, **changes}), NOW) is due


@pytest.mark.parametrize(
    ("last", "wait"),
    [
        (NOW, SWEEP_ACTIVE_EVERY),
        (later(days=-7), SWEEP_ACTIVE_EVERY),
        (later(days=-7, seconds=-1), SWEEP_IDLE_EVERY),
        (None, SWEEP_IDLE_EVERY),
    ],
    ids=["active now", "active a week ago", "idle", "no thread ever"],
)
def test_active_mailboxes_are_swept_more_often(last: datetime | None, wait: timedelta) -> None:
    """Every 15 minutes while a thread was active in the last 7 days, else every 6 hours."""
    assert next_sweep_at(gate(last_thread_activity_at=last), NOW) == NOW + wait


def test_a_sweep_overlaps_the_one_before() -> None:
    """From the cursor back by ten minutes: mail is not listed in the order in which it arrived."""
    assert sweep_since(gate(sweep_cursor=later(hours=-2)), NOW) == later(hours=-2) - SWEEP_OVERLAP


def test_a_first_sweep_reads_nothing_old() -> None:
    """No thread is older than the first send, so the mail before it is nobody's business (R2)."""
    assert sweep_since(gate(sweep_cursor=None), NOW) == NOW - SWEEP_OVERLAP


def test_notifications_count_as_failing_after_three_late_sweeps() -> None:
    """One late sweep is an accident."""
    assert [is_degraded(n) for n in range(LATE_SWEEPS_UNTIL_DEGRADED + 2)] == [
        False,
        False,
        False,
        True,
        True,
    ]


@given(records(Gate), times)
def test_every_gate_has_a_next_sweep(own: Gate, now: datetime) -> None:
    """And it lies ahead; the question whether to renew has an answer."""
    assert next_sweep_at(own, now) > now
    assert renewal_is_due(own, now) in {True, False}
