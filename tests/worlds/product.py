"""The product of a world: processes that take queue messages and timers at the same time, die, and start again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import azure.functions as func
import httpx

from sandbox.devhost.functions import IndexedFunction
from sandbox.devhost.inprocess import Host, build_host
from sandbox.devhost.processor import INVISIBLE_SECONDS
from sandbox.devhost.product_queues import ProductQueues
from sandbox.devhost.queues import Received
from shared.services import Services
from shared.storage.testing import MemoryQueues
from tests.concurrency.processes import Died, Process, cross, start_in
from tests.worlds.clocks import LoopClock
from tests.worlds.outages import Outages

HOST_JSON = Path(__file__).parents[2] / "host.json"
AT_ONCE = 4  # messages that a process works on at the same time
LONGEST_WAIT = 3600.0
QUEUES = ("changes", "deliveries", "maintenance", "outbox")
FRONTS, WORKERS = 2, 3
RENEWALS_SECONDS = 900.0


@dataclass(slots=True)
class HostQueues:
    """The host's view of the queues: out of order in an outage, and never again for a dead process."""

    queues: ProductQueues
    outages: Outages
    news: Callable[[], None]

    async def receive(self, queue: str, count: int, visibility_seconds: float) -> Sequence[Received]:
        """Nothing while the queues fail."""
        await cross()
        return (
            [] if self.outages.find("queues") else await self.queues.receive(queue, count, visibility_seconds)
        )

    async def delete(self, queue: str, message_id: str, receipt: str) -> None:
        """A message that cannot be deleted comes again."""
        await cross()
        self._fail()
        await self.queues.delete(queue, message_id, receipt)

    async def update(self, queue: str, message_id: str, receipt: str, visibility_seconds: float) -> str:
        """As the store does it."""
        await cross()
        self._fail()
        changed = await self.queues.update(queue, message_id, receipt, visibility_seconds)
        self.news()
        return changed

    async def put(self, queue: str, text: str) -> None:
        """An output binding's message."""
        await cross()
        self._fail()
        await self.queues.put(queue, text)
        self.news()

    async def close(self) -> None:
        """Nothing to close."""

    def _fail(self) -> None:
        if self.outages.find("queues"):
            msg = "the queues cannot be reached"
            raise OSError(msg)


@dataclass(slots=True)
class Product:
    """Its processes. `make_services` builds those of a new one."""

    dice: random.Random
    store: MemoryQueues
    outages: Outages
    make_services: Callable[[], Services]
    clock: LoopClock
    tick_seconds: float = 60.0
    fronts: list[Process] = field(default_factory=list)
    workers: list[Process] = field(default_factory=list)
    serving: dict[Process, httpx.AsyncBaseTransport] = field(default_factory=dict)
    deaths: int = 0
    _hosts: dict[Process, Host] = field(default_factory=dict)
    _tasks: list[asyncio.Task[Any]] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _started: int = 0

    def start(self) -> None:
        """All processes and the timers."""
        for _ in range(FRONTS):
            self._tasks.append(start_in(None, self._keep_front))
        for _ in range(WORKERS):
            self._tasks.append(start_in(None, self._keep_worker))
        for name in ("enqueue_due_work", "renew_subscriptions"):
            self._tasks.append(start_in(None, self._ticking(name)))

    async def stop(self) -> None:
        """End everything."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task

    def alive(self, processes: list[Process]) -> list[Process]:
        """Those that have not died."""
        return [process for process in processes if not process.dead]

    def news(self) -> None:
        """A queue has changed."""
        self._news.set()
        self._news = asyncio.Event()

    def _build_host(self, process: Process) -> Host:
        """A host whose functions may outlive their time: then its process ends, as at Azure."""

        def too_long(_: IndexedFunction, __: float) -> None:
            process.die()

        queues = HostQueues(ProductQueues(self.store), self.outages, self.news)
        return build_host(
            _app(), host_json=HOST_JSON, queues=queues, clock=self.clock, environ={}, on_timeout=too_long
        )

    def _begin(self, kind: str) -> Process:
        self._started += 1
        process = Process(f"{kind} {self._started}", self.make_services())
        self._hosts[process] = self._build_host(process)
        return process

    async def _until_dead(self, process: Process, among: list[Process]) -> None:
        await process.died.wait()
        self.deaths += 1
        among.remove(process)
        self.serving.pop(process, None)
        self._hosts.pop(process)
        await asyncio.sleep(self.dice.uniform(1.0, 60.0))

    async def _keep_front(self) -> None:
        while True:
            process = self._begin("front")
            self.serving[process] = httpx.ASGITransport(self._hosts[process].asgi, raise_app_exceptions=False)
            self.fronts.append(process)
            await self._until_dead(process, self.fronts)

    async def _keep_worker(self) -> None:
        while True:
            process = self._begin("worker")
            self.workers.append(process)
            start_in(process, self._listen(process))
            await self._until_dead(process, self.workers)

    def _listen(self, process: Process) -> Callable[[], Coroutine[Any, Any, None]]:
        async def listen() -> None:
            running: set[asyncio.Task[Any]] = set()
            while True:
                news = self._news
                running |= set(await self._take(process, AT_ONCE - len(running)))
                waiting = asyncio.ensure_future(self._wait_for_message(news, full=len(running) >= AT_ONCE))
                await asyncio.wait({waiting, *running}, return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
                for task in [task for task in running if task.done()]:
                    running.remove(task)
                    with suppress(OSError):  # a message that the host could not delete comes again
                        task.result()

        return listen

    async def _take(self, process: Process, most: int) -> list[asyncio.Task[Any]]:
        """Start on messages that are visible now, of the queues in any order."""
        started: list[asyncio.Task[Any]] = []
        processors = list(self._hosts[process].processors.values()) if process in self._hosts else []
        self.dice.shuffle(processors)
        for processor in processors:
            if len(started) < most:
                received = await processor.queues.receive(
                    processor.queue, most - len(started), INVISIBLE_SECONDS
                )
                started += [asyncio.ensure_future(processor.process(message)) for message in received]
        return started

    async def _wait_for_message(self, news: asyncio.Event, *, full: bool) -> None:
        """Until there may be one, or for an outage's sake half a minute."""
        seconds = LONGEST_WAIT
        if not full:
            now = self.clock.now()
            due = [at for queue in QUEUES if (at := self.store.next_visible_at(queue)) is not None]
            seconds = min([LONGEST_WAIT, *((at - now).total_seconds() for at in due)])
            if seconds <= 0:
                seconds = 30.0 if self.outages.in_force("queues") else 0.001
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await (asyncio.Event() if full else news).wait()

    def _ticking(self, name: str) -> Callable[[], Coroutine[Any, Any, None]]:
        async def tick() -> None:
            while True:
                shortest = RENEWALS_SECONDS if name == "renew_subscriptions" else 0.0
                await asyncio.sleep(max(self.tick_seconds, shortest))
                workers = self.alive(self.workers)
                if workers:
                    process = self.dice.choice(workers)
                    timer = self._hosts[process].timers[name]
                    with suppress(Died):
                        await process.run(timer.run)

        return tick


def _app() -> Any:
    """A fresh app each time: get_functions may be called once per app."""
    from functions import BLUEPRINTS

    app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
    for blueprint in BLUEPRINTS:
        app.register_functions(blueprint)
    return app
