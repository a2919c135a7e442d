"""Processes of the product within one process: each with services of its own, each may die.

Whoever runs in a process is known by a context variable, which tasks inherit. A dead process never goes on: at its
next call of a store, of the network, or at its next sleep each of its coroutines waits for ever, so that nothing of a
`finally` runs, leases stay, and a message that it received stays hidden until its visibility ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from typing import Any, cast

from shared.services import Services

_running_in: ContextVar[Process | None] = ContextVar("process", default=None)


class Died(Exception):
    """The process that was asked died before it answered."""


@dataclass(slots=True, eq=False)
class Process:
    """One process. `left` is how many more crossings it lives through; None: without a limit."""

    name: str
    services: Services = field(repr=False)
    left: int | None = None
    died: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def dead(self) -> bool:
        """Whether it has died."""
        return self.died.is_set()

    def die(self) -> None:
        """Nothing of it ever goes on."""
        self.died.set()

    async def run(self, act: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """Run `act` in this process. Raises Died when the process dies first; the rest of `act` is never run."""
        running = start_in(self, act)
        dying = asyncio.ensure_future(self.died.wait())
        try:
            await asyncio.wait({running, dying}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            dying.cancel()
        if running.done():
            return running.result()
        raise Died(self.name)


def start_in(process: Process | None, act: Callable[[], Coroutine[Any, Any, Any]]) -> asyncio.Task[Any]:
    """A task in that process, or outside of all with None."""
    context = copy_context()
    context.run(_running_in.set, process)
    task = asyncio.get_running_loop().create_task(act(), context=context)
    _kept.add(task)
    task.add_done_callback(_kept.discard)
    return task


_kept: set[asyncio.Task[Any]] = set()  # whoever waits for ever would else be collected, with a warning


def running_in() -> Process | None:
    """The process of the running coroutine; None for the world around them."""
    return _running_in.get()


async def cross() -> None:
    """A point at which a process may die, and behind which a dead one does not come."""
    process = _running_in.get()
    if process is None:
        return
    if process.left is not None:
        process.left -= 1
        if process.left < 0:
            process.die()
    if process.dead:
        await asyncio.get_running_loop().create_future()


def mortal(sleep: Callable[[float], Awaitable[None]]) -> Callable[[float], Awaitable[None]]:
    """A sleep from which a dead process does not wake."""

    async def sleeping(seconds: float) -> None:
        await sleep(seconds)
        await cross()

    return sleeping


class OfRunningProcess:
    """What `bootstrap.services()` answers: the services of the process in which it is asked."""

    def __getattr__(self, name: str) -> Any:
        process = _running_in.get()
        if process is None:
            msg = f"{name} is asked for outside of every process"
            raise RuntimeError(msg)
        return getattr(process.services, name)

    @classmethod
    def as_services(cls) -> Services:
        """In the shape that `bootstrap.replaced` takes."""
        return cast("Services", cls())
