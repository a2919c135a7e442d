"""Times as text that sorts as time does: in row keys, in references to events, in cursors that callers give back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

PATTERN: Final = r"\d{8}T\d{6}\.\d{6}Z"
_FORM: Final = "%Y%m%dT%H%M%S.%fZ"


def stamp(at: datetime) -> str:
    """A time to the microsecond, in UTC."""
    return at.astimezone(UTC).strftime(_FORM)


def time_of_stamp(text: str) -> datetime:
    """The time that was written so. Raises ValueError for other text."""
    return datetime.strptime(text, _FORM).replace(tzinfo=UTC)
