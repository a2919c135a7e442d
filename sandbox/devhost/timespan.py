"""Durations as .NET writes them in host.json and in schedules."""

from __future__ import annotations

import re

_TIMESPAN = re.compile(
    r"(?P<sign>-)?(?:(?P<days>\d+)\.)?(?P<hours>\d{1,2}):(?P<minutes>[0-5]?\d)"
    r"(?::(?P<seconds>[0-5]?\d)(?:\.(?P<fraction>\d{1,7}))?)?"
)


def parse_timespan(text: str) -> float:
    """Seconds in `[-][d.]hh:mm[:ss[.fffffff]]`; raises ValueError (.NET, "TimeSpan.Parse")."""
    found = _TIMESPAN.fullmatch(text.strip())
    if found is None or int(found["hours"]) > 23:
        raise ValueError(f"not a duration of the form hh:mm:ss: {text!r}")
    days, hours, minutes, seconds = (
        int(found[part] or 0) for part in ("days", "hours", "minutes", "seconds")
    )
    total = ((days * 24 + hours) * 60 + minutes) * 60 + seconds + float(f"0.{found['fraction'] or 0}")
    return -total if found["sign"] else total
