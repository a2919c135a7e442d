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
    """Pauses between reads of a queue: 100 ms after a message, then about twice as long each time, up to a maximum."""

    longest_seconds: float
    randomness: random.Random = field(default_factory=random.Random)
    _empty_looks: int = 0

    def next_seconds(self, *, found: bool) -> float:
        """Count a read that found messages, or none; return the pause after it in seconds."""
        if found:
            self._empty_looks = 0
            return SHORTEST_SECONDS
        self._empty_looks = min(self._empty_looks + 1, 30)
        growth = self.randomness.uniform(0.8, 1.2) * 2.0 ** (self._empty_looks - 1) * SHORTEST_SECONDS
        return min(SHORTEST_SECONDS + growth, max(self.longest_seconds, SHORTEST_SECONDS))


@dataclass(slots=True)
class QueueListener:
    """Receives messages and processes them concurrently, `new_batch_threshold` + `batch_size` at most."""

    processor: QueueProcessor
    back_off: BackOff
    _running: set[asyncio.Task[None]] = field(default_factory=set)
    _woken: asyncio.Event = field(default_factory=asyncio.Event)
    _missing_logged: bool = False
    _draining: bool = False

    def drain(self) -> None:
        """Receive no more messages. What is in process goes on, and what was just asked for is still processed."""
        self._draining = True
        self.wake()

    def wake(self) -> None:
        """Read the queue now: this process has just put a message into it."""
        self._woken.set()

    async def run(self) -> None:
        """Poll until drained or cancelled; messages in process then go on, see `finish`."""
        while not self._draining:
            if await self._receive_and_start():
                await self._wait_for_capacity()
            else:
                await self._pause(self.back_off.next_seconds(found=False))

    async def finish(self, seconds: float) -> bool:
        """Wait some seconds for messages in process; return whether all have ended. The others become visible later."""
        if not self._running:
            return True
        _, going_on = await asyncio.wait(self._running, timeout=seconds)
        return not going_on

    async def cut_off(self) -> None:
        """Cancel the messages in process, for a host within a process that goes on."""
        going_on = list(self._running)
        for task in going_on:
            task.cancel()
        await asyncio.gather(*going_on, return_exceptions=True)

    async def _receive_and_start(self) -> bool:
        try:
            messages = await self.processor.queues.receive(
                self.processor.queue, self.processor.rules.batch_size, INVISIBLE_SECONDS
            )
        except QueueMissing:
            if not self._missing_logged:
                log.warning("the queue '%s' does not exist; a trigger never creates it", self.processor.queue)
            self._missing_logged = True
            return False
        except Exception as error:  # noqa: BLE001 - after any storage error the loop goes on, as in Azure's host
            log.warning("the queue '%s' could not be read: %s", self.processor.queue, error)
            return False
        for message in messages:
            self._start(message)
        if messages:
            self.back_off.next_seconds(found=True)
        return bool(messages)

    def _start(self, message: Received) -> None:
        task = asyncio.create_task(self._process(message))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _process(self, message: Received) -> None:
        try:
            await self.processor.process(message)
        except Exception:
            log.exception("message %s of '%s' could not be finished", message.id, self.processor.queue)

    async def _wait_for_capacity(self) -> None:
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
    """Process every message that is visible now, one after the other; return how many there were."""
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
