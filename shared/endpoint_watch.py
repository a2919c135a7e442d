"""Which tenants' endpoints are slow to answer, as this process has met them.

So one that hangs takes one of a process's workers, and not all of them from the tenants whose endpoints answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Final

SLOW_AFTER: Final = timedelta(seconds=5)
SLOW_FOR: Final = timedelta(minutes=5)  # unless it answers in time before
BETWEEN_TURNS: Final = timedelta(seconds=1)
SHORTEST_WAIT: Final = timedelta(minutes=2)
LONGEST_WAIT: Final = timedelta(minutes=15)


@dataclass(slots=True)
class _Endpoint:
    """When each call that is under way began, when the last slow one ended and how long it took.

    `taken_until`: until when turns are given away.
    """

    calls: dict[int, datetime] = field(default_factory=dict)
    slow_at: datetime | None = None
    took: timedelta = SLOW_AFTER
    taken_until: datetime | None = None


@dataclass(slots=True)
class EndpointWatch:
    """What this process knows; times are of the caller's clock."""

    _endpoints: dict[str, _Endpoint] = field(default_factory=dict)
    _numbers: count[int] = field(default_factory=count)

    def is_slow(self, tenant_id: str, now: datetime) -> bool:
        """Whether a call takes too long now, or did within the last five minutes."""
        known = self._endpoints.get(tenant_id)
        if known is None:
            return False
        was_slow = known.slow_at is not None and now < known.slow_at + SLOW_FOR
        return was_slow or any(now - began > SLOW_AFTER for began in known.calls.values())

    def may_call(self, tenant_id: str, now: datetime) -> bool:
        """Whether one more call is fair to the others: to a slow endpoint only where there is no other."""
        known = self._endpoints.get(tenant_id)
        return known is None or not known.calls or not self.is_slow(tenant_id, now)

    def next_turn(self, tenant_id: str, now: datetime) -> datetime:
        """When to come back with what may not be called now: one after the other, so that each finds its turn free.

        Not later than in a quarter of an hour, for the endpoint may be quick again by then.
        """
        known = self._endpoints.setdefault(tenant_id, _Endpoint())
        first = now + SHORTEST_WAIT
        known.taken_until = max(known.taken_until or first, first) + known.took + BETWEEN_TURNS
        return min(known.taken_until, now + LONGEST_WAIT)

    @contextmanager
    def calling(self, tenant_id: str, began: datetime) -> Iterator[list[datetime]]:
        """A call under way. The caller adds when it ended: a quick end, whatever it was, makes the endpoint quick."""
        known, number = self._endpoints.setdefault(tenant_id, _Endpoint()), next(self._numbers)
        known.calls[number] = began
        ended: list[datetime] = []
        try:
            yield ended
        finally:
            del known.calls[number]
            at = ended[-1] if ended else began + SLOW_AFTER
            known.took = max(at - began, SLOW_AFTER)
            known.slow_at = at if at - began >= SLOW_AFTER else None
            if known.slow_at is None and not known.calls:
                self._endpoints.pop(tenant_id, None)
