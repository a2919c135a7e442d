"""What the caller receives."""

from __future__ import annotations

from typing import Any

import azure.functions as func
import httpx
import pytest

from sandbox.devhost.inprocess import build_host
from tests.devhost.apps import anonymous_app, ask, handled


async def answered(response: Any, method: str = "GET") -> httpx.Response:
    async def give(req: func.HttpRequest) -> func.HttpResponse:
        if isinstance(response, Exception):
            raise response
        return response  # type: ignore[no-any-return]

    return await ask(handled(give), method, "/api/it")


async def test_status_headers_and_body() -> None:
    """Status, headers, body and type that a function returns reach the caller."""
    answer = await answered(
        func.HttpResponse(b"{}", status_code=202, headers={"X-Mine": "1"}, mimetype="application/json")
    )
    assert (answer.status_code, answer.content) == (202, b"{}")
    assert answer.headers["x-mine"] == "1"
    assert answer.headers["content-type"] == "application/json"


async def test_text_gets_a_charset() -> None:
    """A text answer carries its charset."""
    assert (await answered(func.HttpResponse("ä"))).headers["content-type"] == "text/plain; charset=utf-8"


async def test_an_exception_is_an_empty_500() -> None:
    """A function that raises is answered with an empty 500."""
    answer = await answered(ValueError("secret"))
    assert (answer.status_code, answer.content) == (500, b"")


async def test_nothing_returned_is_a_500() -> None:
    """An HTTP function that returns nothing is answered with a 500."""
    assert (await answered(None)).status_code == 500


async def test_no_content() -> None:
    """A 204 has no body, and one with a body is a 500."""
    assert (await answered(func.HttpResponse(status_code=204))).status_code == 204
    assert (await answered(func.HttpResponse("x", status_code=204))).status_code == 500


async def test_several_cookies() -> None:
    """Each Set-Cookie that a function adds is sent as ASP.NET writes it."""
    response = func.HttpResponse("x")
    response.headers.add("Set-Cookie", "__Host-a=x/y=; Path=/; Secure; HttpOnly; SameSite=None; Max-Age=600")
    response.headers.add("Set-Cookie", "b=plain-._~; SameSite=Lax; Domain=example.com")
    response.headers.add("Set-Cookie", "gone=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/p")
    assert (await answered(response)).headers.get_list("set-cookie") == [
        "__Host-a=x%2Fy%3D; max-age=600; path=/; secure; samesite=none; httponly",
        "b=plain-._~; domain=example.com; path=/; samesite=lax",
        "gone=; expires=Thu, 01 Jan 1970 00:00:00 GMT; path=/p",
    ]


async def test_one_value_for_any_other_header() -> None:
    """Of a header other than Set-Cookie that is set twice the last value is sent."""
    response = func.HttpResponse("x")
    response.headers.add("X-Many", "1")
    response.headers.add("X-Many", "2")
    assert (await answered(response)).headers.get_list("x-many") == ["2"]


@pytest.mark.parametrize(
    ("text", "status", "body"),
    [
        ("plain", 200, "plain"),
        ('{"a": 1}', 200, '{"a": 1}'),
        ('{"body": "b", "status": 418, "headers": {"x-y": "z"}}', 418, "b"),
    ],
)
async def test_a_plain_string_takes_the_old_path(text: str, status: int, body: str) -> None:
    """A returned `str` that is an object with `body` is taken for a description of the answer."""

    async def give(req: func.HttpRequest) -> str:
        return text

    answer = await ask(handled(give), "GET", "/api/it")
    assert (answer.status_code, answer.text) == (status, body)


async def test_custom_headers_of_host_json() -> None:
    """`customHeaders` of host.json are added where the function sets none of the same name."""

    async def give(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse("x", headers={"x-two": "mine"})

    headers = {"x-one": "1", "x-two": "2"}
    config = {"version": "2.0", "extensions": {"http": {"customHeaders": headers}}}
    host = build_host(handled(give), host_json=config, environ={})
    answer = await ask(host, "GET", "/api/it")
    assert (answer.headers["x-one"], answer.headers["x-two"]) == ("1", "mine")


async def test_a_function_that_runs_too_long() -> None:
    """A call beyond `functionTimeout` fails with a 500, and the host is told."""
    import asyncio

    async def slow(req: func.HttpRequest) -> func.HttpResponse:
        await asyncio.sleep(30)
        return func.HttpResponse("late")

    told: list[str] = []
    host = build_host(
        handled(slow),
        host_json={"version": "2.0", "functionTimeout": "00:00:01"},
        environ={},
        on_timeout=lambda function, _: told.append(function.name),
    )
    host.invoker._timeout_seconds = 0.01
    assert (await ask(host, "GET", "/api/it")).status_code == 500
    assert told == ["slow"]


def test_an_app_without_functions() -> None:
    """An app without functions is hosted."""
    assert build_host(anonymous_app(), environ={}).functions == {}
