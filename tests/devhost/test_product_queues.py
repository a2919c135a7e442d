"""The product's queues in memory, worked by the host in the same process."""

from __future__ import annotations

import azure.functions as func

from sandbox.clock import VirtualClock
from sandbox.devhost.inprocess import build_host
from sandbox.devhost.product_queues import ProductQueues
from shared.storage.testing import MemoryQueues
from tests.devhost.apps import anonymous_app, ask


async def test_product_and_host_share_their_queues() -> None:
    """The host works what the product puts into a queue.

    What fails ends in a poison queue that the product can read.
    """
    clock = VirtualClock()
    store = MemoryQueues(clock)
    await store.ensure(["jobs"])
    app = anonymous_app()
    got: list[tuple[bytes, int]] = []

    @app.queue_trigger(arg_name="msg", queue_name="jobs", connection="X")
    async def work(msg: func.QueueMessage) -> None:
        got.append((msg.get_body(), msg.dequeue_count))
        if msg.get_body() == b"bad":
            raise ValueError

    config = {
        "version": "2.0",
        "extensions": {"queues": {"maxDequeueCount": 2, "visibilityTimeout": "00:00:30"}},
    }
    host = build_host(app, host_json=config, queues=ProductQueues(store), clock=clock, environ={})
    await store.put("jobs", "good")
    await store.put("jobs", "bad")
    await store.put("jobs", "later", delay_seconds=30)
    store.put_raw("jobs", "not base64")
    assert await host.pump_queues() == 3
    assert await host.pump_queues() == 0
    clock.advance(30)
    assert await host.pump_queues() == 2
    assert got == [(b"good", 1), (b"bad", 1), (b"later", 1), (b"bad", 2)] or got[-2:] == [
        (b"bad", 2),
        (b"later", 1),
    ]
    assert await store.count("jobs") == 0
    assert [message.text for message in await store.receive("jobs-poison", 5)] == ["not base64", "bad"]


async def test_an_output_reaches_the_product() -> None:
    """A message from an output binding reads as if the product had put it."""
    store = MemoryQueues(VirtualClock())
    app = anonymous_app()

    @app.route(route="it")
    @app.queue_output(arg_name="out", queue_name="jobs", connection="X")
    async def it(req: func.HttpRequest, out: func.Out[str]) -> func.HttpResponse:
        out.set("hello")
        return func.HttpResponse("")

    await ask(build_host(app, queues=ProductQueues(store), environ={}), "GET", "/api/it")
    assert await store.peek("jobs") == ["hello"]
