"""A host of one app. A process starts its listeners; a test calls its functions itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from azure.functions.meta import Datum

from sandbox.devhost.functions import IndexedFunction
from sandbox.devhost.hostjson import HostConfig
from sandbox.devhost.invocation import FunctionFailed, Invoker
from sandbox.devhost.listener import BackOff, QueueListener, pump
from sandbox.devhost.outputs import OutputFailed, OutputWriter
from sandbox.devhost.processor import QueueProcessor
from sandbox.devhost.requests import Call, http_datum
from sandbox.devhost.routes import Dropped, RouteTable
from sandbox.devhost.timers import Timer, TimerListener
from sandbox.devhost.web import WebApp

log = logging.getLogger("devhost")

FINISH_SECONDS = 2.5


async def _nothing_to_close() -> None:
    """Close nothing: whoever passed the stores in closes them."""


@dataclass(slots=True)
class Host:
    """An app with its HTTP server, queues and timers.

    Either `start` its listeners, or call `asgi`, `pump_queues` and `run_timer` yourself.
    """

    functions: Mapping[str, IndexedFunction]
    dropped: Sequence[Dropped]
    config: HostConfig
    table: RouteTable
    asgi: WebApp
    invoker: Invoker
    outputs: OutputWriter
    processors: Mapping[str, QueueProcessor]
    timers: Mapping[str, Timer]
    close_stores: Callable[[], Awaitable[None]] = _nothing_to_close
    _listeners: dict[str, QueueListener] = field(default_factory=dict)
    _timers: dict[str, TimerListener] = field(default_factory=dict)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def pump_queues(self, *names: str) -> int:
        """Process every message visible now once, function by function in name order; return how many there were.

        With `names`, only those functions.
        """
        return sum([await pump(self.processors[name]) for name in names or sorted(self.processors)])

    async def run_timer(self, name: str, *, past_due: bool = False) -> bool:
        """Run a timer now, whatever its schedule; return whether it succeeded."""
        return await self.timers[name].run(past_due=past_due)

    async def run_due_timers(self) -> list[str]:
        """Run the timers that are due; return their names. The first call only reads when each fires next."""
        return [name for name, timer in sorted(self.timers.items()) if await timer.run_if_due()]

    def next_timer_at(self) -> datetime | None:
        """When the next timer fires, for a virtual clock to move to; None before the first `run_due_timers`."""
        return min((timer.status.next for timer in self.timers.values() if timer.status), default=None)

    def start(self, names: Sequence[str] | None = None) -> None:
        """Start the listeners of the named queue and timer functions (None: of all) on the running event loop."""
        for name, processor in self.processors.items():
            if names is None or name in names:
                self._listeners[name] = QueueListener(
                    processor, BackOff(self.config.queues.max_polling_seconds)
                )
                self._tasks.append(asyncio.create_task(self._listeners[name].run()))
        for name, timer in self.timers.items():
            if names is None or name in names:
                self._timers[name] = TimerListener(timer)
                self._tasks.append(asyncio.create_task(self._timers[name].run()))

    def drain(self) -> None:
        """Receive no more messages and fire no more timers; functions that run already go on."""
        for listener in self._listeners.values():
            listener.drain()
        for timer in self._timers.values():
            timer.drain()

    async def finish(self, seconds: float) -> bool:
        """Drain, and give running functions that long to end; return whether they did.

        As in Azure, those that did not are not told: the Python worker knows no cancellation (azure-functions-runtime,
        `dispatcher.py`), and its process is ended.
        """
        self.drain()
        until = asyncio.get_running_loop().time() + seconds
        going_on: set[asyncio.Task[None]] = set()
        if self._tasks:
            _, going_on = await asyncio.wait(self._tasks, timeout=seconds)
        left = max(0.0, until - asyncio.get_running_loop().time())
        ended = await asyncio.gather(*(listener.finish(left) for listener in self._listeners.values()))
        return not going_on and all(ended)

    def wake_listeners(self, queue: str) -> None:
        """Let the listeners of a queue in this process read it now: an output binding has written to it."""
        for listener in self._listeners.values():
            if listener.processor.queue == queue:
                listener.wake()

    async def stop(self) -> None:
        """Give running functions 2.5 seconds to end, cancel the others, and close the storage clients."""
        await self.finish(FINISH_SECONDS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(listener.cut_off() for listener in self._listeners.values()))
        await self.close()

    async def close(self) -> None:
        """Close the storage clients and the threads."""
        await self.close_stores()
        self.invoker.close()

    async def run_by_hand(self, function: IndexedFunction, text: str) -> None:
        """Run any function with the text as its input, for `POST /admin/functions/{name}`; failures are only logged."""
        if function.name in self.timers:
            await self.timers[function.name].run()
            return
        if function.is_http:
            call = Call("POST", "/", "/", "http://localhost/", {}, {})
            datum = http_datum(call, {}, text.encode())
        else:
            datum = Datum(text, "string")
        try:
            outcome = await self.invoker.invoke(function, {function.trigger.name: datum})
            await self.outputs.write(function, outcome)
        except (FunctionFailed, OutputFailed) as error:
            log.warning("function '%s', run by hand, failed: %s", function.name, error)
