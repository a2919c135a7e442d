"""The polling loop: how often it looks, how much runs at once."""

from __future__ import annotations

import asyncio
import base64
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import azure.functions as func
import pytest

from sandbox.devhost.inprocess import Host, MemoryQueues, RealClock, Received, build_host
from sandbox.devhost.listener import BackOff
from tests.devhost.apps import anonymous_app, ask


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def hosted(queues: MemoryQueues, work: Callable[[func.QueueMessage], Any], **rules: Any) -> Host:
    app = anonymous_app()

    @app.queue_trigger(arg_name="msg", queue_name="jobs", connection="X")
    async def worker(msg: func.QueueMessage) -> None:
        await work(msg)

    @app.route(route="enqueue")
    @app.queue_output(arg_name="out", queue_name="jobs", connection="X")
    async def enqueue(req: func.HttpRequest, out: func.Out[str]) -> func.HttpResponse:
        out.set("enqueued")
        return func.HttpResponse("ok")

    config = {"version": "2.0", "extensions": {"queues": rules}}
    return build_host(app, host_json=config, queues=queues, environ={})


@asynccontextmanager
async def started(host: Host) -> AsyncIterator[Host]:
    host.start()
    try:
        yield host
    finally:
        await host.stop()


async def eventually(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(2):
        while not check():  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.005)


def test_back_off_grows_to_the_longest() -> None:
    """A listener's pause is 100 ms after work and then about doubles up to maxPollingInterval."""
    back_off = BackOff(2.0, random.Random(1))
    pauses = [back_off.next_seconds(found=False) for _ in range(8)]
    for number, pause in enumerate(pauses[:4]):
        assert 0.1 + 0.08 * 2**number <= pause <= 0.1 + 0.12 * 2**number
    assert pauses[-1] == 2.0
    assert back_off.next_seconds(found=True) == pytest.approx(0.1)
    assert back_off.next_seconds(found=False) < 0.3


async def test_no_more_than_a_batch_and_a_threshold_run_at_once() -> None:
    """A new batch is fetched when no more than the threshold run.

    So at most batchSize + newBatchThreshold run at once.
    """
    queues = MemoryQueues(RealClock())
    for number in range(12):
        await queues.put("jobs", encoded(str(number)))
    running: list[asyncio.Event] = []

    async def work(msg: func.QueueMessage) -> None:
        mine = asyncio.Event()
        running.append(mine)
        await mine.wait()
        running.remove(mine)

    async with started(hosted(queues, work, batchSize=4, newBatchThreshold=2)):
        await eventually(lambda: len(running) == 4)
        running[0].set()
        await asyncio.sleep(0.05)
        assert len(running) == 3  # still more than the threshold: nothing is fetched
        running[0].set()
        await eventually(lambda: len(running) == 6)
        await asyncio.sleep(0.05)
        assert len(running) == 6
        while queues.texts("jobs"):
            for release in running:
                release.set()
            await asyncio.sleep(0.005)


async def test_serial_work() -> None:
    """With a batchSize of 1 and threshold 0 messages are worked one at a time."""
    queues = MemoryQueues(RealClock())
    for number in range(4):
        await queues.put("jobs", encoded(str(number)))
    running = 0
    most = 0

    async def work(msg: func.QueueMessage) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1

    async with started(hosted(queues, work, batchSize=1, newBatchThreshold=0)):
        await eventually(lambda: not queues.texts("jobs"))
    assert most == 1


async def test_an_output_is_looked_for_at_once() -> None:
    """A message that this very process has put is received at once, however long the listener's pause is."""
    queues = MemoryQueues(RealClock())
    queues.create("jobs")
    got: list[bytes] = []

    async def work(msg: func.QueueMessage) -> None:
        got.append(msg.get_body())

    async with started(hosted(queues, work)) as host:
        (listener,) = host._listeners.values()
        listener.back_off._empty_looks = 20
        await asyncio.sleep(0.3)  # the loop has gone to sleep for a minute
        await ask(host, "GET", "/api/enqueue")
        await eventually(lambda: got == [b"enqueued"])


async def test_trouble_with_the_storage_passes() -> None:
    """The listener goes on after errors of the storage."""

    class Shaky(MemoryQueues):
        troubles = 2

        async def receive(self, queue: str, count: int, visibility_seconds: float) -> Sequence[Received]:
            if self.troubles:
                self.troubles -= 1
                raise ConnectionError
            return await super().receive(queue, count, visibility_seconds)

    queues = Shaky(RealClock())
    await queues.put("jobs", encoded("job"))
    got: list[bytes] = []

    async def work(msg: func.QueueMessage) -> None:
        got.append(msg.get_body())

    async with started(hosted(queues, work)):
        await eventually(lambda: got == [b"job"])


async def test_stopping_lets_running_work_end() -> None:
    """Stopping the host waits for the work that runs."""
    queues = MemoryQueues(RealClock())
    await queues.put("jobs", encoded("job"))
    began = asyncio.Event()
    ended: list[bool] = []

    async def work(msg: func.QueueMessage) -> None:
        began.set()
        await asyncio.sleep(0.05)
        ended.append(True)

    async with started(hosted(queues, work)):
        await asyncio.wait_for(began.wait(), 1)
    assert ended == [True]
    assert queues.texts("jobs") == []
