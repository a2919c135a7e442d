"""Graph's clock as its answers tell it, and what must be wide enough for what is left of the difference."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.domain import admission, inbound, keyless, renewals
from shared.graph_clock import LEFT_OF_SKEW, GraphClock
from tests.builders import NOW, StillClock

DATES: list[tuple[str | None, float | None]] = [
    ("Mon, 02 Mar 2026 09:50:00 GMT", 20 * 60),
    ("Mon, 02 Mar 2026 09:10:00 GMT", -20 * 60),
    ("Mon, 02 Mar 2026 09:30:02 GMT", 0),
    ("Mon, 02 Mar 2026 09:29:57 GMT", 0),
    ("yesterday", None),
    ("Mon, 02 Mar 1970 09:30:00 GMT", None),
    ("Fri, 31 Dec 9999 23:59:59 GMT", None),
    ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
    ("Mon, 02 Mar 2026 09:50:00 -99999999999999999", None),
    ("", None),
    (None, None),
]


@pytest.mark.parametrize(("date", "ahead"), DATES)
def test_an_answer_says_what_time_it_is(date: str | None, ahead: float | None) -> None:
    """The difference to the Date header counts; a few seconds may be none, and nonsense says nothing."""
    clock = GraphClock(StillClock(NOW))
    clock.note(date)
    assert clock.ahead == (None if ahead is None else timedelta(seconds=ahead))
    known = timedelta(minutes=3)
    assert clock.ahead_or(known) == (known if ahead is None else timedelta(seconds=ahead))
    assert clock.now() == NOW + timedelta(seconds=ahead or 0)


def test_every_margin_is_wider_than_what_is_left_of_a_skew() -> None:
    """Whatever compares a time of ours with one of Graph's leaves room for what Date does not tell."""
    margins = (
        renewals.SWEEP_OVERLAP,
        inbound.CLOCKS_DIFFER,
        keyless.CLOCKS_DIFFER,
        admission.BEFORE_A_BEGIN,
        admission.BEFORE_A_RESUMPTION,
    )
    assert min(margins) > LEFT_OF_SKEW
    assert inbound.CLOCKS_DIFFER < renewals.SWEEP_OVERLAP
