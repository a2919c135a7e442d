"""How long a worker holds a send, and whom it is parted from after a death."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.leases import (
    LEASE,
    MOST_DEATHS,
    RENEW_AFTER,
    held_until,
    is_anothers,
    is_renewal_due,
    is_same_hold,
    rest_after,
)
from shared.domain.model import Phase
from shared.graph.client import TIMEOUT_SECONDS
from tests.builders import NOW, later, outbox_item

CALLS_OF_A_FILE = 3  # by a request, which is refused for its size; then the session and its one piece


def test_a_lease_outlives_each_step_of_a_draft() -> None:
    """What is left of a lease that was not renewed is at least what the slowest step may take."""
    assert timedelta(seconds=CALLS_OF_A_FILE * TIMEOUT_SECONDS) <= LEASE - RENEW_AFTER


@pytest.mark.parametrize(("left", "due"), [(120, False), (91, False), (90, True), (1, True), (-5, True)])
def test_it_is_renewed_when_a_good_part_is_used_up(left: int, *, due: bool) -> None:
    """A draft that is made quickly costs no renewal."""
    assert is_renewal_due(outbox_item(lease_until=later(seconds=left)), NOW) is due


def test_without_a_lease_nothing_is_renewed_or_held() -> None:
    """A send that nobody builds."""
    item = outbox_item(lease_until=None)
    assert (is_renewal_due(item, NOW), held_until(item, NOW)) == (False, None)


def test_only_the_time_of_a_held_row_may_be_moved() -> None:
    """A moved time is no other worker's hold; another build is."""
    item = outbox_item(phase=Phase.BUILDING, build=2, due_at=NOW)
    assert is_same_hold(item, replace(item, due_at=later(minutes=2)))
    assert not is_same_hold(item, replace(item, build=3))


def test_whose_failure_it_is() -> None:
    """A worker that was overtaken notes nothing any more, not even where the other has given its lease back."""
    held = outbox_item(phase=Phase.BUILDING, build=2, lease_until=later(seconds=9))
    assert not is_anothers(held, 2, NOW)
    assert is_anothers(held, 1, NOW)
    assert is_anothers(held, None, NOW)
    assert is_anothers(replace(held, lease_until=None), 2, NOW)
    assert not is_anothers(replace(held, phase=Phase.SENDING, lease_until=None), 2, NOW)
    assert is_anothers(replace(held, phase=Phase.SENDING, lease_until=None), 1, NOW)


def test_deaths_are_spread_over_half_an_hour() -> None:
    """Between the first death and the last lie at least 30 minutes with usual dice; two sends are parted widely."""
    spread = [rest_after(deaths, 0.5) for deaths in range(2, MOST_DEATHS)]
    assert sum(spread, timedelta()) >= timedelta(minutes=30)
    assert rest_after(2, 0.9) - rest_after(2, 0.1) >= timedelta(minutes=3)
