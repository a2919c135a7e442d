"""When a subscription is renewed and a mailbox is swept."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.model import Mailbox, SubscriptionState
from shared.domain.renewals import (
    SWEEP_ACTIVE_EVERY,
    SWEEP_IDLE_EVERY,
    SWEEP_OVERLAP,
    after_whole_sweep,
    is_being_subscribed,
    may_give_way,
    next_sweep_at,
    notifications_fail,
    renew_at,
    renewal_is_due,
    subscription_is_lost,
    sweep_is_free,
    sweep_since,
    wanted_expiry,
    with_sweep_giving_way,
)
from tests.builders import NOW, a_mailbox, later
from tests.strategies import records, times

GRAPHS_MAXIMUM = timedelta(minutes=10_080)
CLOCKS_APART = timedelta(minutes=20)


def test_what_is_asked_for_is_within_graphs_maximum() -> None:
    """The expiry asked for is within Graph's maximum of 10,080 minutes, also by a clock that is 20 minutes slow.

    Graph refuses more, and without a subscription no first send leaves.
    """
    asked = wanted_expiry(NOW) - (NOW - CLOCKS_APART)
    assert timedelta(days=6, hours=22) < asked < GRAPHS_MAXIMUM


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
    """A subscription is renewed 17 to 24 hours before its end. Of a shorter life it is half of what is left."""
    assert renew_at(NOW + granted, NOW, fraction) == NOW + expected


@given(times, st.timedeltas(timedelta(minutes=1), timedelta(days=7)), st.floats(0, 1, exclude_max=True))
def test_renewal_is_planned_between_now_and_the_end(
    now: datetime, granted: timedelta, fraction: float
) -> None:
    """Whatever life Graph grants, the renewal is planned between now and its end."""
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
    """A renewal is due from its time on, and only of an active subscription."""
    assert renewal_is_due(a_mailbox(**{"subscription": SubscriptionState.ACTIVE, **changes}), NOW) is due


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
    """A mailbox is swept every 15 minutes while a thread was active in the last 7 days, else every 6 hours."""
    assert next_sweep_at(a_mailbox(last_thread_activity_at=last), NOW) == NOW + wait


def test_a_sweep_overlaps_the_one_before() -> None:
    """A sweep begins ten minutes before the cursor, since mail is not listed in the order in which it arrived."""
    assert sweep_since(a_mailbox(sweep_cursor=later(hours=-2)), NOW) == later(hours=-2) - SWEEP_OVERLAP


def test_a_first_sweep_reads_nothing_old() -> None:
    """A first sweep reads only the overlap, since no thread is older than the first send (R2)."""
    assert sweep_since(a_mailbox(sweep_cursor=None), NOW) == NOW - SWEEP_OVERLAP


def judged(*sweeps: str) -> list[tuple[int, bool]]:
    """How notifications are judged after each sweep: `l` found late mail, `g` none."""
    state, said = a_mailbox(), []
    for sweep in sweeps:
        state = after_whole_sweep(state, NOW, found_late=sweep == "l")
        said.append((state.late_sweeps, state.degraded_because is not None))
    return said


def test_three_late_sweeps_in_a_row_make_a_mailbox_degraded() -> None:
    """Three late sweeps in a row make a mailbox degraded, and a good sweep between begins the count anew."""
    assert judged("l", "l", "g", "l", "l") == [(1, False), (2, False), (0, False), (1, False), (2, False)]
    assert judged("l", "l", "l", "l")[2:] == [(3, True), (4, True)]
    assert not notifications_fail(a_mailbox(late_sweeps=2))
    assert notifications_fail(a_mailbox(late_sweeps=3))


def test_three_good_sweeps_in_a_row_make_it_well_again() -> None:
    """Three good sweeps in a row end the degraded state, and a late one between begins the count anew."""
    assert judged("l", "l", "l", "g", "g", "g")[3:] == [(-1, True), (-2, True), (0, False)]
    assert judged("l", "l", "l", "g", "g", "l", "g", "g", "g")[5:] == [
        (1, True),
        (-1, True),
        (-2, True),
        (0, False),
    ]


def test_a_sweep_that_goes_on_needs_no_overlap() -> None:
    """A sweep that continues in slices begins at its cursor without the overlap."""
    assert sweep_since(a_mailbox(sweep_cursor=NOW), NOW) == NOW - SWEEP_OVERLAP
    assert sweep_since(a_mailbox(sweep_cursor=NOW, sweep_goes_on=True), NOW) == NOW


@pytest.mark.parametrize(
    ("sweep_at", "leased_until", "free"),
    [(None, None, False), (1, None, False), (0, None, True), (-5, None, True), (-5, 1, False), (-5, 0, True)],
)
def test_one_worker_sweeps_at_a_time(sweep_at: int | None, leased_until: int | None, *, free: bool) -> None:
    """A due sweep is free only without a lease, or when the lease of a dead worker has run out (E-4)."""
    own = a_mailbox(
        sweep_at=None if sweep_at is None else later(minutes=sweep_at),
        sweep_leased_until=None if leased_until is None else later(minutes=leased_until),
    )
    assert sweep_is_free(own, NOW) is free


def test_a_subscription_is_lost_when_it_expired_or_its_maker_died() -> None:
    """A subscription is lost when it has expired, or was not made within a minute (E-27)."""
    pending = a_mailbox(subscription=SubscriptionState.PENDING, pending_since=NOW)
    assert is_being_subscribed(pending, later(seconds=59))
    assert not subscription_is_lost(pending, later(seconds=59))
    assert subscription_is_lost(pending, later(seconds=60))
    assert subscription_is_lost(a_mailbox(subscription=SubscriptionState.PENDING), NOW)
    active = a_mailbox(subscription=SubscriptionState.ACTIVE, subscription_expires_at=later(seconds=1))
    assert [subscription_is_lost(active, later(seconds=n)) for n in (0, 1)] == [False, True]
    assert not subscription_is_lost(a_mailbox(subscription=SubscriptionState.NONE), NOW)


@given(records(Mailbox), times)
def test_every_mailbox_has_a_next_sweep(own: Mailbox, now: datetime) -> None:
    """Every mailbox has a next sweep ahead, and an answer whether its renewal is due."""
    assert next_sweep_at(own, now) > now
    assert renewal_is_due(own, now) in {True, False}


def test_a_sweep_gives_way_for_a_quarter_of_an_hour_at_most() -> None:
    """Where calls are short a sweep lets sends go first, minute by minute; after a quarter of an hour no more."""
    paused = a_mailbox(sweep_at=later(), paused_until=later(minutes=0))
    assert not may_give_way(a_mailbox(sweep_at=later()), later())
    mailbox, minutes = paused, 0
    while may_give_way(replace(mailbox, paused_until=later(minutes=minutes)), later(minutes=minutes)):
        mailbox = with_sweep_giving_way(mailbox, later(minutes=minutes))
        assert mailbox.sweep_at == later(minutes=minutes + 1)
        minutes += 1
    assert minutes == 15
    assert mailbox.sweep_failing_since == later()
    assert not may_give_way(paused, later(minutes=15))
