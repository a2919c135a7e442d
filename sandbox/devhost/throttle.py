"""How many requests run at once, and how many may wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

DEFAULT_HTTP_CONCURRENCY = 16


class TooManyRequests(Exception):
    """The queue of waiting requests is full (azure-functions-host, `HttpThrottleMiddleware.cs`: 429)."""


class Throttle:
    """Lets `concurrent` requests run; more wait, up to `outstanding` running and waiting (None: any number)."""

    def __init__(self, concurrent: int, outstanding: int | None = None) -> None:
        self._semaphore = asyncio.Semaphore(concurrent)
        self._outstanding = outstanding
        self._inside = 0

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Run the body as one of the requests; raises TooManyRequests when no more may wait."""
        if self._outstanding is not None and self._inside >= self._outstanding:
            raise TooManyRequests
        self._inside += 1
        try:
            async with self._semaphore:
                yield
        finally:
            self._inside -= 1
