"""When a timer fires: NCRONTAB expressions and plain intervals.

NCRONTAB is not Unix cron: six fields with seconds first (five mean second 0), Sunday is 0 and nothing else, and a day
must satisfy both the day-of-month and the day-of-week field (NCrontab, "CrontabSchedule"). Cron libraries for Python
join those two fields with "or", so this module has a parser of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from sandbox.devhost.timespan import parse_timespan

MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
SEARCHED_DAYS = 366 * 40
"""Enough to find a 29 February on any weekday."""


class Schedule(Protocol):
    """When a timer fires."""

    def next_after(self, moment: datetime) -> datetime:
        """The first firing strictly after `moment`."""
        ...


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the expression: its bounds and, for months and weekdays, their names."""

    title: str
    low: int
    high: int
    names: tuple[str, ...] = ()

    def parse(self, text: str) -> frozenset[int]:
        """All values that the comma-separated list allows; raises ValueError."""
        return frozenset(value for part in text.split(",") for value in self._part(part))

    def _part(self, text: str) -> range:
        base, slash, step_text = text.partition("/")
        step = self._number(step_text) if slash else 1
        if step < 1:
            raise ValueError(f"{self.title}: a step must be at least 1: {text!r}")
        first, last = self._span(base, open_ended=bool(slash))
        return range(first, last + 1, step)

    def _span(self, base: str, *, open_ended: bool) -> tuple[int, int]:
        if base == "*":
            return self.low, self.high
        first_text, dash, last_text = base.partition("-")
        first = self._value(first_text)
        if dash:
            last = self._value(last_text)
            return min(first, last), max(first, last)
        return first, self.high if open_ended else first

    def _value(self, text: str) -> int:
        value = self._number(text) if text.isdigit() else self._named(text)
        if not self.low <= value <= self.high:
            raise ValueError(f"{self.title}: {value} is not between {self.low} and {self.high}")
        return value

    def _named(self, text: str) -> int:
        for number, name in enumerate(self.names, start=self.low):
            if text and name.startswith(text.lower()):
                return number
        raise ValueError(f"{self.title}: cannot read {text!r}")

    def _number(self, text: str) -> int:
        if not text.isdigit():
            raise ValueError(f"{self.title}: cannot read {text!r}")
        return int(text)


FIELDS = (
    Field("second", 0, 59),
    Field("minute", 0, 59),
    Field("hour", 0, 23),
    Field("day", 1, 31),
    Field("month", 1, 12, MONTHS),
    Field("weekday", 0, 6, WEEKDAYS),
)


@dataclass(frozen=True, slots=True)
class Cron:
    """A parsed NCRONTAB expression; times are in the zone of the moment passed in (UTC in Azure)."""

    expression: str
    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]

    def next_after(self, moment: datetime) -> datetime:
        """The first firing strictly after `moment`; raises ValueError when there is none (30 February)."""
        start = moment.replace(microsecond=0) + timedelta(seconds=1)
        for offset in range(SEARCHED_DAYS):
            earliest = (
                start if offset == 0 else start.replace(hour=0, minute=0, second=0) + timedelta(days=offset)
            )
            if self._on_day(earliest) and (found := self._in_day(earliest)):
                return found
        raise ValueError(f"{self.expression!r} never fires")

    def _on_day(self, day: datetime) -> bool:
        return day.month in self.months and day.day in self.days and day.isoweekday() % 7 in self.weekdays

    def _in_day(self, earliest: datetime) -> datetime | None:
        limit = (earliest.hour, earliest.minute, earliest.second)
        for hour in (hour for hour in self.hours if hour >= limit[0]):
            for minute in (minute for minute in self.minutes if (hour, minute) >= limit[:2]):
                for second in self.seconds:
                    if (hour, minute, second) >= limit:
                        return earliest.replace(hour=hour, minute=minute, second=second)
        return None


@dataclass(frozen=True, slots=True)
class Interval:
    """A fixed pause between firings, from a TimeSpan."""

    seconds: float

    def next_after(self, moment: datetime) -> datetime:
        """`moment` plus the interval."""
        return moment + timedelta(seconds=self.seconds)


def parse_schedule(text: str) -> Schedule:
    """An NCRONTAB expression of six or five fields, or a TimeSpan; raises ValueError."""
    parts = text.split()
    if len(parts) == 1 and ":" in text:
        seconds = parse_timespan(text)
        if seconds <= 0:
            raise ValueError(f"an interval must be longer than nothing: {text!r}")
        return Interval(seconds)
    if len(parts) == 5:
        parts = ["0", *parts]
    if len(parts) != 6:
        raise ValueError(f"an NCRONTAB expression has six fields (or five): {text!r}")
    second, minute, hour, day, month, weekday = (
        field.parse(part) for field, part in zip(FIELDS, parts, strict=True)
    )
    return Cron(text, tuple(sorted(second)), tuple(sorted(minute)), tuple(sorted(hour)), day, month, weekday)


def fires_within_a_minute(schedule: Schedule, moment: datetime) -> bool:
    """Whether any of the next five intervals is under a minute: the host keeps no status of such a timer."""
    for _ in range(5):
        first = schedule.next_after(moment)
        moment = schedule.next_after(first)
        if moment - first < timedelta(minutes=1):
            return True
        moment = first
    return False
