"""Queue output bindings: written after the function, before the answer."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, List  # noqa: UP035 - the worker does not take list[str]

import azure.functions as func
import pytest

from sandbox.clock import VirtualClock
from sandbox.devhost.inprocess import Host, MemoryQueues, build_host
from tests.devhost.apps import anonymous_app, ask


def decoded(texts: list[str]) -> list[bytes]:
    return [base64.b64decode(text) for text in texts]


def host_with(handler: Callable[..., Any], queues: MemoryQueues, name: str = "out") -> Host:
    app = anonymous_app()
    handler.__name__ = "it"
    app.queue_output(arg_name=name, queue_name="%QUEUE%", connection="X")(app.route(route="it")(handler))
    return build_host(app, queues=queues, environ={"QUEUE": "jobs"})


async def text(req: func.HttpRequest, out: func.Out[str]) -> func.HttpResponse:
    out.set("one")
    return func.HttpResponse("ok")


async def texts(req: func.HttpRequest, out: func.Out[List[str]]) -> func.HttpResponse:  # noqa: UP006 - see above
    out.set(["one", "two"])
    return func.HttpResponse("ok")


async def data(req: func.HttpRequest, out: func.Out[bytes]) -> func.HttpResponse:
    out.set(b"\x00\xff")
    return func.HttpResponse("ok")


async def message(req: func.HttpRequest, out: func.Out[func.QueueMessage]) -> func.HttpResponse:
    out.set(func.QueueMessage(id="ignored", body=b"body"))
    return func.HttpResponse("ok")


async def untouched(req: func.HttpRequest, out: func.Out[str]) -> func.HttpResponse:
    return func.HttpResponse("ok")


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        (text, [b"one"]),
        (texts, [b"one", b"two"]),
        (data, [b"\x00\xff"]),
        (message, [b"body"]),
        (untouched, []),
    ],
)
async def test_what_is_set_is_sent(handler: Callable[..., Any], expected: list[bytes]) -> None:
    """A value set on an output becomes one message, or one for each element, in a queue that is created."""
    queues = MemoryQueues(VirtualClock())
    assert (await ask(host_with(handler, queues), "GET", "/api/it")).text == "ok"
    assert decoded(queues.texts("jobs")) == expected


async def test_nothing_is_sent_when_the_function_fails() -> None:
    """The outputs of a failed function are dropped."""

    async def broken(req: func.HttpRequest, out: func.Out[str]) -> func.HttpResponse:
        out.set("one")
        raise ValueError

    queues = MemoryQueues(VirtualClock())
    assert (await ask(host_with(broken, queues), "GET", "/api/it")).status_code == 500
    assert queues.texts("jobs") == []


async def test_a_failed_write_is_a_500() -> None:
    """An output that cannot be written makes the answer a 500."""

    class Down(MemoryQueues):
        async def put(self, queue: str, text: str) -> None:
            raise ConnectionError(queue)

    answer = await ask(host_with(text, Down(VirtualClock())), "GET", "/api/it")
    assert (answer.status_code, answer.content) == (500, b"")


async def test_a_message_over_64_kib_is_a_500() -> None:
    """An output over 64 KiB makes the answer a 500 instead of being cut."""

    async def large(req: func.HttpRequest, out: func.Out[str]) -> func.HttpResponse:
        out.set("x" * 50_000)
        return func.HttpResponse("ok")

    queues = MemoryQueues(VirtualClock())
    assert (await ask(host_with(large, queues), "GET", "/api/it")).status_code == 500


async def test_the_return_value_as_a_message() -> None:
    """A queue function's return value goes to the queue of its `$return` binding."""
    queues = MemoryQueues(VirtualClock())
    queues.create("in")
    app = anonymous_app()

    @app.queue_trigger(arg_name="msg", queue_name="in", connection="X")
    @app.queue_output(arg_name="$return", queue_name="jobs", connection="X")
    def work(msg: func.QueueMessage) -> str:
        return "got " + msg.get_body().decode()

    host = build_host(app, queues=queues, environ={})
    await queues.put("in", base64.b64encode(b"it").decode())
    await host.pump_queues()
    assert decoded(queues.texts("jobs")) == [b"got it"]


async def test_connections_are_told_apart() -> None:
    """Outputs with different connection names go to different storage."""
    stores = {"X": MemoryQueues(VirtualClock()), "Y": MemoryQueues(VirtualClock())}
    app = anonymous_app()

    @app.route(route="it")
    @app.queue_output(arg_name="first", queue_name="q", connection="X")
    @app.queue_output(arg_name="second", queue_name="q", connection="Y")
    async def it(req: func.HttpRequest, first: func.Out[str], second: func.Out[str]) -> func.HttpResponse:
        first.set("x")
        second.set("y")
        return func.HttpResponse("")

    await ask(build_host(app, queues=stores.__getitem__, environ={}), "GET", "/api/it")
    assert [decoded(store.texts("q")) for store in stores.values()] == [[b"x"], [b"y"]]
