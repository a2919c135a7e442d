"""How many requests run at once, and how many may wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

DEFAULT_HTTP_CONCURRENCY = 16


class TooManyRequests(Exception):
    """The queue of waiting requests is full (azure-functions-host, `HttpThrottleMiddleware.cs`: 429)."""


class Throttle:
    """A gate for `concurrent` requests; more wait, up to `outstanding` in all (None: any number)."""

    def __init__(self, concurrent: int, outstanding: int | None = None) -> None:
        self._gate = asyncio.Semaphore(concurrent)
        self._outstanding = outstanding
        self._inside = 0

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold one place; raises TooManyRequests at once when even waiting is full."""
        if self._outstanding is not None and self._inside >= self._outstanding:
            raise TooManyRequests
        self._inside += 1
        try:
            async with self._gate:
                yield
        finally:
            self._inside -= 1
