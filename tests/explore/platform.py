"""What the platform does: hands queue messages to workers, fires timers, starts processes anew, lets time pass.

A message is at times handed to two workers at once, as it is when its visibility ends while somebody works on it; so
is a tick of a timer. Which worker takes what is drawn from the seed.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sandbox.devhost.host import Host
from sandbox.devhost.invocation import FunctionFailed
from sandbox.devhost.listener import LARGEST_BATCH
from sandbox.devhost.processor import INVISIBLE_SECONDS
from sandbox.devhost.timers import Timer
from sandbox.graphsim.app import Simulator
from sandbox.graphsim.schedule import Schedule
from shared.storage.testing import MemoryQueues
from tests.explore.processes import Process, Processes

TWICE = 0.35
MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
# While a case is drained nobody looks at each minute of hours: (until so long, a tick so often).
TICKS = ((10 * MINUTE, MINUTE), (30 * MINUTE, 2 * MINUTE), (DAY, 15 * MINUTE), (400 * DAY, 3 * HOUR))


class WakingQueues(MemoryQueues):
    """Says when there is something new."""

    woken: asyncio.Event

    def put_raw(self, queue: str, content: str, *more: Any) -> None:
        super().put_raw(queue, content, *more)
        self.woken.set()


class WakingSchedule(Schedule):
    """Microsoft 365's jobs; says when there is a new one."""

    woken: asyncio.Event

    def add(self, at: datetime, job: Any) -> None:
        super().add(at, job)
        self.woken.set()


@dataclass(slots=True)
class Platform:
    """One host, its workers, the queues and Microsoft 365, until the run ends."""

    host: Host
    queues: WakingQueues
    simulator: Simulator
    processes: Processes
    dice: random.Random
    twice: float = TWICE
    busy: bool = True
    _begun: datetime | None = None
    _works: list[asyncio.Task[None]] = field(default_factory=list)

    def start(self) -> None:
        """Work from now on."""
        loop = asyncio.get_running_loop()
        self._begun = self.queues.clock.now()
        for work in (self._dispatch(), self._simulate(), self._tick()):
            self._works.append(loop.create_task(work, context=Context()))

    def slow_down(self) -> None:
        """From now on ticks become rare as time passes, and nothing is handed out twice."""
        self.busy, self.twice = False, 0.0
        self._begun = self.queues.clock.now()

    async def _dispatch(self) -> None:
        queues = [processor.queue for processor in self.host.processors.values()]
        while True:
            due = [at for queue in queues if (at := self.queues.next_visible_at(queue)) is not None]
            await self._wait(self.queues.woken, min(due, default=None))
            await asyncio.sleep(self.dice.random())  # the host polls
            for processor in self.host.processors.values():
                if not self.processes.alive(web=False):
                    continue
                for message in await processor.queues.receive(
                    processor.queue, LARGEST_BATCH, INVISIBLE_SECONDS
                ):
                    for worker in self._takers():
                        worker.start(processor.process(message))

    def choose(self, processes: list[Process]) -> Process:
        """Who takes a request."""
        return self.dice.choice(processes)

    async def _wait(self, woken: asyncio.Event, until: datetime | None) -> None:
        """For something new, or that moment."""
        seconds = None if until is None else max((until - self.queues.clock.now()).total_seconds(), 0.001)
        with suppress(TimeoutError):
            await asyncio.wait_for(woken.wait(), seconds)
        woken.clear()

    def _takers(self) -> list[Process]:
        """Who takes a message: one worker, or two at once."""
        alive = self.processes.alive(web=False)
        return self.dice.sample(alive, min(len(alive), 2 if self.dice.random() < self.twice else 1))

    async def _simulate(self) -> None:
        loop, schedule = asyncio.get_running_loop(), self.simulator.world.schedule
        assert isinstance(schedule, WakingSchedule)
        while True:
            await self._wait(schedule.woken, schedule.next_at())
            while (job := schedule.pop_due(self.queues.clock.now())) is not None:
                result = job()
                if asyncio.iscoroutine(result):
                    loop.create_task(result, context=Context())

    async def _tick(self) -> None:
        while True:
            assert self._begun is not None
            passed = (self.queues.clock.now() - self._begun).total_seconds()
            every = MINUTE if self.busy else next(every for until, every in TICKS if passed < until)
            await asyncio.sleep(every)
            alive = self.processes.alive(web=False)
            for name in ("enqueue_due_work", "renew_subscriptions"):
                count = 2 if self.dice.random() < self.twice / 2 else 1
                for worker in self.dice.sample(alive, min(count, len(alive))):
                    worker.start(self._fire(self.host.timers[name]))

    async def _fire(self, timer: Timer) -> None:
        with suppress(FunctionFailed):
            await self.host.invoker.invoke(
                timer.function, {timer.function.trigger.name: timer._request(past_due=False)}
            )
