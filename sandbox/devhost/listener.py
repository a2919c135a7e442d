"""The polling loop of one queue function.

Facts: Azure SDK for .NET, `QueueListener.cs`; WebJobs SDK, `RandomizedExponentialBackoffStrategy.cs`.
"""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass, field

from sandbox.devhost.processor import INVISIBLE_SECONDS, QueueProcessor
from sandbox.devhost.queues import QueueMissing, Received

log = logging.getLogger("devhost.queues")

SHORTEST_SECONDS = 0.1
LARGEST_BATCH = 32


@dataclass(slots=True)
class BackOff:
    """Pauses between looks at a queue: 100 ms after work, then randomly around a doubling, up to the longest."""

    longest_seconds: float
    chance: random.Random = field(default_factory=random.Random)
    _empty_looks: int = 0

    def next_seconds(self, *, found: bool) -> float:
        """The pause after a look that found something, or did not."""
        if found:
            self._empty_looks = 0
            return SHORTEST_SECONDS
        self._empty_looks = min(self._empty_looks + 1, 30)
        growth = self.chance.uniform(0.8, 1.2) * 2.0 ** (self._empty_looks - 1) * SHORTEST_SECONDS
        return min(SHORTEST_SECONDS + growth, max(self.longest_seconds, SHORTEST_SECONDS))


@dataclass(slots=True)
class QueueListener:
    """Receives messages and works them concurrently: at most a batch more than the threshold at a time."""

    processor: QueueProcessor
    back_off: BackOff
    _running: set[asyncio.Task[None]] = field(default_factory=set)
    _woken: asyncio.Event = field(default_factory=asyncio.Event)
    _missing_said: bool = False

    def wake(self) -> None:
        """Look now: this very process has put a message into the queue."""
        self._woken.set()

    async def run(self) -> None:
        """Poll until cancelled; messages already running go on, see `finish`."""
        while True:
            if await self._look():
                await self._until_few_run()
            else:
                await self._pause(self.back_off.next_seconds(found=False))

    async def finish(self, seconds: float) -> None:
        """Give running messages some time to end; one cut off shows again when its invisibility ends."""
        if self._running:
            _, cut_off = await asyncio.wait(self._running, timeout=seconds)
            for task in cut_off:
                task.cancel()
            await asyncio.gather(*cut_off, return_exceptions=True)

    async def _look(self) -> bool:
        try:
            messages = await self.processor.queues.receive(
                self.processor.queue, self.processor.rules.batch_size, INVISIBLE_SECONDS
            )
        except QueueMissing:
            if not self._missing_said:
                log.warning("the queue '%s' does not exist; a trigger never creates it", self.processor.queue)
            self._missing_said = True
            return False
        except Exception as error:  # noqa: BLE001 - whatever the storage says, the loop goes on, as in the real host
            log.warning("the queue '%s' could not be read: %s", self.processor.queue, error)
            return False
        for message in messages:
            self._start(message)
        if messages:
            self.back_off.next_seconds(found=True)
        return bool(messages)

    def _start(self, message: Received) -> None:
        task = asyncio.create_task(self._work(message))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _work(self, message: Received) -> None:
        try:
            await self.processor.process(message)
        except Exception:
            log.exception("message %s of '%s' could not be finished", message.id, self.processor.queue)

    async def _until_few_run(self) -> None:
        while len(self._running) > self.processor.rules.new_batch_threshold:
            await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._woken.wait(), seconds)
        except TimeoutError:
            return
        finally:
            self._woken.clear()


async def pump(processor: QueueProcessor) -> int:
    """Work every message that is visible now, once and one after the other; how many there were."""
    messages: list[Received] = []
    while batch := await _receive(processor):
        messages.extend(batch)
    for message in messages:
        await processor.process(message)
    return len(messages)


async def _receive(processor: QueueProcessor) -> list[Received]:
    try:
        return list(await processor.queues.receive(processor.queue, LARGEST_BATCH, INVISIBLE_SECONDS))
    except QueueMissing:
        return []
