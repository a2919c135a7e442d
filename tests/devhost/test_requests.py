"""What a function receives."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import azure.functions as func
import httpx
import pytest

from sandbox.devhost.inprocess import Host, build_host
from tests.devhost.apps import anonymous_app, ask, client_of, handled


async def echo(req: func.HttpRequest) -> func.HttpResponse:
    shown = {
        "method": req.method,
        "url": req.url,
        "headers": dict(req.headers),
        "params": dict(req.params),
        "body": req.get_body().decode(),
    }
    return func.HttpResponse(json.dumps(shown), mimetype="application/json")


async def seen(method: str = "POST", path: str = "/api/it", **more: Any) -> dict[str, Any]:
    answer = await ask(handled(echo), method, path, **more)
    return dict(answer.json())


async def test_headers_are_lower_case_and_joined() -> None:
    """Header names arrive in lower case, and repeated headers as one, joined by a comma."""
    got = await seen(headers=[("X-One", "a"), ("x-one", "b")])
    assert got["headers"]["x-one"] == "a,b"


async def test_query_values() -> None:
    """Query values of repeated keys are joined, empty ones vanish, `code` stays, and plus signs are spaces."""
    got = await seen(path="/api/it?a=1&A=2&empty=&code=k&text=x+y%20z")
    assert got["params"] == {"a": "1,2", "code": "k", "text": "x y z"}


async def test_the_url() -> None:
    """A request's url is the whole address as it was asked for."""
    assert (await seen(path="/api/it?b=%20"))["url"] == "http://localhost:7071/api/it?b=%20"


async def test_dots_are_resolved() -> None:
    """`..` in a path is resolved before routing."""
    answer = await _raw(build_host(handled(echo), environ={}), b"/api/other/../it")
    assert answer == 200


async def _raw(host: Host, raw_path: bytes) -> int:
    """A request with a path that a well-behaved client would tidy."""
    statuses: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = {
        "type": "http",
        "method": "GET",
        "path": raw_path.decode(),
        "raw_path": raw_path,
        "query_string": b"",
        "headers": [],
        "scheme": "http",
    }
    await host.asgi(scope, receive, send)
    return statuses[0]


async def test_a_body_with_a_length_arrives() -> None:
    """A body announced by Content-Length arrives as it is."""
    assert (await seen(content=b"hello"))["body"] == "hello"


async def test_a_chunked_body_does_not_arrive() -> None:
    """A body without Content-Length arrives empty."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"hello"

    assert (await seen(content=pieces()))["body"] == ""


async def test_a_body_over_the_limit() -> None:
    """A body over FUNCTIONS_REQUEST_BODY_SIZE_LIMIT is answered with an empty 413."""
    host = build_host(handled(echo), environ={"FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": "4"})
    assert (await ask(host, "POST", "/api/it", content=b"1234")).status_code == 200
    answer = await ask(host, "POST", "/api/it", content=b"12345")
    assert (answer.status_code, answer.content) == (413, b"")


async def test_a_form_is_parsed() -> None:
    """A posted form is parsed by the real HttpRequest."""

    async def form(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse(req.form["a"])

    assert (await ask(handled(form), "POST", "/api/it", data={"a": "b"})).text == "b"


async def test_sync_functions_run_in_a_thread() -> None:
    """A blocking function runs in a thread of its own with its context."""
    app = anonymous_app()

    @app.route(route="it")
    def block(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
        asyncio.run(asyncio.sleep(0))  # impossible on the loop's own thread
        return func.HttpResponse(context.function_name + str(len(context.invocation_id)))

    assert (await ask(app, "GET", "/api/it")).text == "block36"


async def test_the_callers_trace_goes_on() -> None:
    """A `traceparent` header becomes the function's trace context."""

    async def trace(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
        return func.HttpResponse(context.trace_context.trace_parent)

    given = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert (await ask(handled(trace), "GET", "/api/it", headers={"traceparent": given})).text == given


@pytest.mark.parametrize(
    ("limits", "statuses"), [({}, [200, 200, 200]), ({"maxOutstandingRequests": 2}, [200, 200, 429])]
)
async def test_concurrency(limits: dict[str, int], statuses: list[int]) -> None:
    """Requests beyond the concurrency wait, and beyond `maxOutstandingRequests` they are answered with 429."""
    running = 0
    most = 0
    release = asyncio.Event()

    async def slow(req: func.HttpRequest) -> func.HttpResponse:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await release.wait()
        running -= 1
        return func.HttpResponse("done")

    config = {"version": "2.0", "extensions": {"http": {"maxConcurrentRequests": 1, **limits}}}
    host = build_host(handled(slow), host_json=config, environ={})
    async with client_of(host) as client:
        asking = [asyncio.create_task(client.get("/api/it")) for _ in statuses]
        await asyncio.sleep(0.02)
        release.set()
        answers: list[httpx.Response] = await asyncio.gather(*asking)
    assert sorted(answer.status_code for answer in answers) == statuses
    assert most == 1
    assert all(
        answer.headers["x-function-scaleout"] == "1" for answer in answers if answer.status_code == 429
    )
