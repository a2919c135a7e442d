"""What the in-memory stores have in common: every call is counted, and may be disturbed before and after it commits."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from shared.storage.api import Observe, observe_nothing


@dataclass(frozen=True, slots=True)
class Call:
    """One use of a store: (port, operation) as observers see it, whether it writes, and the names it touches."""

    port: str
    operation: str
    writes: bool
    place: tuple[str, ...]


Hook = Callable[[Call], Awaitable[None] | None]
"""May raise: the call then failed before, or after, its commit. May wait: then calls of several tasks interleave."""


def no_hook(_: Call) -> None:
    """Let every call through."""


@dataclass(slots=True, kw_only=True)
class MemoryStore:
    """The base of the in-memory stores; `observe`, `before` and `after` may be exchanged at any time."""

    observe: Observe = observe_nothing
    before: Hook = no_hook
    after: Hook = no_hook

    @asynccontextmanager
    async def called(self, port: str, operation: str, *place: str, writes: bool) -> AsyncIterator[None]:
        """Around the act itself; `after` runs only when the act was done, refusals included in "not done"."""
        call = Call(port, operation, writes, place)
        self.observe(port, operation)
        await _run(self.before, call)
        yield
        await _run(self.after, call)

    async def close(self) -> None:
        """Nothing to let go of."""


async def _run(hook: Hook, call: Call) -> None:
    waiting = hook(call)
    if inspect.isawaitable(waiting):
        await waiting
