"""Values that a process may go on using for a minute after it read them, instead of reading them for every mail."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, Generic, TypeVar

from shared.ports import Clock

V = TypeVar("V")

FOR: Final = timedelta(minutes=1)
MOST: Final = 1_000


class Remembered(Generic[V]):
    """A small memory by key. What another process changes is seen after a minute at the latest."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._values: dict[str, tuple[datetime, V]] = {}

    def get(self, key: str, *, since: datetime | None = None) -> V | None:
        """The value, while it is younger than a minute; with `since`, only one remembered after that time."""
        at, value = self._values.get(key, (None, None))
        if at is None or (since is not None and at <= since):
            return None
        return value if at <= self._clock.now() < at + FOR else None

    def put(self, key: str, value: V) -> V:
        """Remember a value that was just read or written; returns it."""
        if len(self._values) >= MOST:
            self._values.clear()
        self._values[key] = (self._clock.now(), value)
        return value

    def drop(self, key: str) -> None:
        """Forget a value that has changed."""
        self._values.pop(key, None)
