"""Queues and timers on real storage."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import azure.functions as func
import pytest

from sandbox.azurite import Azurite
from sandbox.clock import VirtualClock
from sandbox.devhost.connections import Connection, open_blob_service, open_queue_service
from sandbox.devhost.inprocess import AzureQueues, BlobTimers, build_host
from sandbox.devhost.monitor import NEVER, Status
from sandbox.devhost.queues import MessageGone, QueueMissing
from sandbox.devhost.timers import TimerListener
from tests.devhost.apps import anonymous_app

pytestmark = pytest.mark.azurite
NINE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.fixture
def name() -> str:
    """A queue or host name that no other test uses."""
    return f"t{uuid.uuid4().hex[:20]}"


@pytest.fixture
async def queues(azurite: Azurite) -> AsyncIterator[AzureQueues]:
    """Queue access to Azurite."""
    access = AzureQueues(open_queue_service(Connection(azurite.connection_string)))
    yield access
    await access.close()


@pytest.fixture
async def timers(azurite: Azurite, name: str) -> AsyncIterator[BlobTimers]:
    """A timer store on Azurite."""
    store = BlobTimers(open_blob_service(Connection(azurite.connection_string)), name)
    yield store
    await store.close()


async def test_a_queues_life(queues: AzureQueues, name: str) -> None:
    """Put creates a queue, receive hides a message, update renews its receipt and voids the old one, delete ends it."""
    with pytest.raises(QueueMissing):
        await queues.receive(name, 1, 10)
    await queues.put(name, "text as it is <&>")
    (message,) = await queues.receive(name, 5, 600)
    assert (message.text, message.dequeue_count) == ("text as it is <&>", 1)
    assert message.next_visible_at - message.inserted_at > timedelta(minutes=9)
    assert await queues.receive(name, 5, 600) == []
    receipt = await queues.update(name, message.id, message.receipt, 0)
    (again,) = await queues.receive(name, 5, 600)
    assert again.dequeue_count == 2
    with pytest.raises(MessageGone):
        await queues.delete(name, message.id, receipt)
    with pytest.raises(MessageGone):
        await queues.update(name, message.id, receipt, 0)
    await queues.delete(name, again.id, again.receipt)


async def test_from_request_to_worker_to_poison(queues: AzureQueues, name: str) -> None:
    """A message written by an output binding is worked by a listener; a bad one ends in the poison queue."""
    app = anonymous_app()
    got: list[tuple[bytes, int]] = []

    @app.queue_trigger(arg_name="msg", queue_name=name, connection="X")
    @app.queue_output(arg_name="out", queue_name=f"{name}-done", connection="X")
    async def work(msg: func.QueueMessage, out: func.Out[str]) -> None:
        got.append((msg.get_body(), msg.dequeue_count))
        if msg.get_body() == b"bad":
            raise ValueError
        out.set("done")

    config = {
        "version": "2.0",
        "extensions": {"queues": {"maxDequeueCount": 2, "maxPollingInterval": "00:00:00.1"}},
    }
    host = build_host(app, host_json=config, queues=queues, environ={})
    await queues.put(name, "Z29vZA==")
    await queues.put(name, "YmFk")
    await queues.put(name, "not base64")
    host.start()
    async with asyncio.timeout(5):
        poison: list[str] = []
        while len(poison) < 2:
            await asyncio.sleep(0.02)
            try:
                poison += [message.text for message in await queues.receive(f"{name}-poison", 5, 60)]
            except QueueMissing:
                continue
    await host.stop()
    assert sorted(poison) == ["YmFk", "not base64"]
    assert sorted(got) == [(b"bad", 1), (b"bad", 2), (b"good", 1)]
    assert [message.text for message in await queues.receive(f"{name}-done", 5, 60)] == ["ZG9uZQ=="]


async def test_a_timers_status(timers: BlobTimers) -> None:
    """A timer has no status at first, and the one that is written is read back."""
    assert await timers.read("tick") is None
    status = Status(NEVER, NINE, NINE)
    await timers.write("tick", status)
    assert await timers.read("tick") == status
    await timers.write("tick", Status(NINE, NINE, NINE))
    assert await timers.read("tick") == Status(NINE, NINE, NINE)


async def test_one_process_at_a_time(timers: BlobTimers, azurite: Azurite, name: str) -> None:
    """Only one process holds a timer's lease, and another gets it when it is released."""
    other = BlobTimers(open_blob_service(Connection(azurite.connection_string)), name)
    assert await timers.hold("tick")
    assert await timers.hold("tick")
    assert not await other.hold("tick")
    await timers.release("tick")
    assert await other.hold("tick")
    await other.release("tick")
    await other.close()


async def _until(look: Callable[[], Awaitable[object]]) -> None:
    while not await look():  # noqa: ASYNC110 - storage sets no events
        await asyncio.sleep(0.02)


async def _last(timers: BlobTimers) -> bool:
    status = await timers.read("tick")
    return status is not None and status.last != NEVER


async def test_a_timer_listens(timers: BlobTimers) -> None:
    """A listener takes the lease, fires soon after the world's clock has been moved, and gives the lease back."""
    app = anonymous_app()
    fired = asyncio.Event()

    @app.timer_trigger(arg_name="timer", schedule="0 0 * * * *")
    async def tick(timer: func.TimerRequest) -> None:
        fired.set()

    clock = VirtualClock(NINE)
    host = build_host(app, timers=timers, clock=clock, environ={})
    listening = asyncio.create_task(TimerListener(host.timers["tick"]).run())
    async with asyncio.timeout(20):
        await _until(lambda: timers.read("tick"))
        assert not fired.is_set()
        clock.advance(3600)
        await fired.wait()
        await _until(lambda: _last(timers))
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    assert await timers.hold("tick")
    await timers.release("tick")
