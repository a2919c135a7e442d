"""NCRONTAB and intervals."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sandbox.devhost.schedule import fires_within_a_minute, parse_schedule

NOON = datetime(2026, 3, 2, 12, 0, 0, tzinfo=UTC)  # a Monday


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0 */15 * * * *", "2026-03-02T12:15:00"),
        ("0 * * * * *", "2026-03-02T12:01:00"),
        ("*/15 * * * *", "2026-03-02T12:15:00"),
        ("30 0 12 * * *", "2026-03-02T12:00:30"),
        ("0 0 12 * * *", "2026-03-03T12:00:00"),
        ("0 0 0 1 * *", "2026-04-01T00:00:00"),
        ("0 0 9 * * SAT,Sun", "2026-03-07T09:00:00"),
        ("0 0 9 * mar-may friday", "2026-03-06T09:00:00"),
        ("0 0 9 29 2 *", "2028-02-29T09:00:00"),
        ("0 5/20 * * * *", "2026-03-02T12:05:00"),
        ("0 0 17-9/4 * * *", "2026-03-02T13:00:00"),
        ("0 0 0 13 * 5", "2026-03-13T00:00:00"),
        ("00:30:00", "2026-03-02T12:30:00"),
        ("1.00:00:00", "2026-03-03T12:00:00"),
    ],
)
def test_next_firing(expression: str, expected: str) -> None:
    """A schedule's next firing is strictly after the moment, by NCRONTAB's own rules."""
    assert parse_schedule(expression).next_after(NOON).isoformat()[:19] == expected


def test_day_and_weekday_must_both_fit() -> None:
    """A schedule with a day and a weekday fires only where both fit, unlike Unix cron."""
    schedule = parse_schedule("0 0 0 13 * 5")
    fired = [schedule.next_after(NOON)]
    fired.append(schedule.next_after(fired[0]))
    assert [(day.day, day.isoweekday()) for day in fired] == [(13, 5), (13, 5)]


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "* * *",
        "60 * * * * *",
        "* * * * * 7",
        "x * * * * *",
        "*/0 * * * * *",
        "-1 * * * * *",
        "00:00:00",
        "25:00:00",
    ],
)
def test_nonsense_is_refused(expression: str) -> None:
    """A schedule that NCRONTAB does not know is an error."""
    with pytest.raises(ValueError, match=r"."):
        parse_schedule(expression)


def test_a_day_that_never_comes() -> None:
    """A schedule for 30 February is an error instead of an endless search."""
    with pytest.raises(ValueError, match="never fires"):
        parse_schedule("0 0 0 30 2 *").next_after(NOON)


@pytest.mark.parametrize(
    ("expression", "often"),
    [("*/30 * * * * *", True), ("0 * * * * *", False), ("0,1 0 * * * *", True), ("00:00:59", True)],
)
def test_firing_more_than_once_a_minute(expression: str, often: bool) -> None:
    """A schedule that fires more often than once a minute is recognised."""
    assert fires_within_a_minute(parse_schedule(expression), NOON) is often
