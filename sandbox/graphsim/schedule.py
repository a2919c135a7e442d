"""Jobs that run at a later time of the clock."""

from __future__ import annotations

import heapq
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

Job = Callable[[], Awaitable[None] | None]


@dataclass(order=True, slots=True)
class _Entry:
    at: datetime
    number: int
    job: Job = field(compare=False)


@dataclass(slots=True)
class Schedule:
    """A heap of jobs; equal times keep the order in which they were added."""

    _heap: list[_Entry] = field(default_factory=list)
    _count: int = 0

    def add(self, at: datetime, job: Job) -> None:
        """Schedule `job` for `at`."""
        self._count += 1
        heapq.heappush(self._heap, _Entry(at, self._count, job))

    def clear(self) -> None:
        """Delete all jobs."""
        self._heap.clear()

    def pop_due(self, now: datetime) -> Job | None:
        """Remove the earliest job that is due and return it; None when no job is due."""
        if self._heap and self._heap[0].at <= now:
            return heapq.heappop(self._heap).job
        return None

    def next_at(self) -> datetime | None:
        """When the next job is due, or None."""
        return self._heap[0].at if self._heap else None
