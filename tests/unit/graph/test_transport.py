"""The one way out."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest

from shared.transport import NeverSent, NoAnswer, TooMuch, Transport


def request() -> httpx.Request:
    return httpx.Request("GET", "https://somewhere.example/it")


def over(
    answer: Callable[[httpx.Request], httpx.Response] | Callable[[httpx.Request], Awaitable[httpx.Response]],
) -> Transport:
    return Transport(inner=httpx.MockTransport(answer))


def failing(error: Exception) -> Transport:
    def fail(_: httpx.Request) -> httpx.Response:
        raise error

    return over(fail)


@pytest.mark.parametrize(
    "error",
    [httpx.ConnectError(""), httpx.ConnectTimeout(""), httpx.PoolTimeout(""), httpx.UnsupportedProtocol("")],
)
async def test_without_a_connection_nothing_was_sent(error: httpx.TransportError) -> None:
    """An error before a connection stands means that the request was never sent."""
    with pytest.raises(NeverSent):
        await failing(error).send("graph", "send", request())


@pytest.mark.parametrize(
    "error",
    [
        httpx.ReadError(""), httpx.ReadTimeout(""), httpx.WriteError(""), httpx.WriteTimeout(""),
        httpx.RemoteProtocolError(""), httpx.LocalProtocolError(""), httpx.DecodingError(""),
    ],
)  # fmt: skip
async def test_any_later_error_leaves_it_open(error: httpx.RequestError) -> None:
    """An error after a connection stands leaves open what the other side did."""
    with pytest.raises(NoAnswer):
        await failing(error).send("graph", "send", request())


async def test_the_budget_is_of_the_whole_call() -> None:
    """An answer that keeps trickling in does not outlive the call's timeout."""

    class Trickle(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"{"
            await asyncio.Event().wait()

    transport = over(lambda _: httpx.Response(200, stream=Trickle()))
    with pytest.raises(NoAnswer):
        await transport.send("graph", "outline", request(), timeout_seconds=0.01, limit_bytes=100)


async def test_reading_is_bounded() -> None:
    """A decoded body longer than asked for is refused."""
    packed = gzip.compress(b"0" * 100_000)
    transport = over(lambda _: httpx.Response(200, headers={"Content-Encoding": "gzip"}, content=packed))
    with pytest.raises(TooMuch):
        await transport.send("graph", "file_content", request(), limit_bytes=99_999)


async def test_a_body_within_its_bound_is_whole() -> None:
    """A body within its bound comes decoded, with status and headers."""
    packed = gzip.compress(b"0" * 100_000)
    headers = {"Content-Encoding": "gzip", "ETag": "one"}
    transport = over(lambda _: httpx.Response(206, headers=headers, content=packed))
    answer = await transport.send("graph", "file_content", request(), limit_bytes=100_000)
    assert (answer.status_code, answer.headers["etag"], answer.content) == (206, "one", b"0" * 100_000)


async def test_an_error_may_explain_itself() -> None:
    """An error's body is read up to a bound of its own, however little was asked for."""
    long = httpx.Response(404, content=b"e" * 65_536)
    assert len((await over(lambda _: long).send("graph", "x", request(), limit_bytes=1)).content) == 65_536
    longer = httpx.Response(404, content=b"e" * 65_537)
    with pytest.raises(TooMuch):
        await over(lambda _: longer).send("graph", "x", request(), limit_bytes=1)


async def test_redirects_are_answers() -> None:
    """A redirect is returned and not followed."""
    seen: list[str] = []

    def redirect(got: httpx.Request) -> httpx.Response:
        seen.append(str(got.url))
        return httpx.Response(302, headers={"Location": "https://elsewhere.example/"})

    assert (await over(redirect).send("graph", "outline", request())).status_code == 302
    assert len(seen) == 1


async def test_cookies_are_neither_kept_nor_sent() -> None:
    """Cookies of an answer are neither kept nor sent with the next request."""
    seen: list[str | None] = []

    def bake(got: httpx.Request) -> httpx.Response:
        seen.append(got.headers.get("cookie"))
        return httpx.Response(200, headers={"Set-Cookie": "who=ann; Path=/"})

    transport = over(bake)
    for _ in range(2):
        await transport.send("graph", "outline", request())
    assert seen == [None, None]
    assert transport._client is not None
    assert len(transport._client.cookies.jar) == 0


async def test_every_call_is_counted_with_its_outcome() -> None:
    """Each call is observed by its site before it, and with its outcome after it (T-1)."""
    seen: list[tuple[str, ...]] = []
    answers: list[httpx.Response | Exception] = [
        httpx.Response(404),
        httpx.ConnectError(""),
        httpx.ReadError(""),
    ]

    def answer(_: httpx.Request) -> httpx.Response:
        coming = answers.pop(0)
        if isinstance(coming, Exception):
            raise coming
        return coming

    transport = Transport(
        inner=httpx.MockTransport(answer),
        observe=lambda *call: seen.append(call),
        after=lambda *call: seen.append(call),
    )
    await transport.send("graph", "outline", request())
    for error in (NeverSent, NoAnswer):
        with pytest.raises(error):
            await transport.send("crm", "deliver", request())
    assert seen == [
        ("graph", "outline"), ("graph", "outline", "404"),
        ("crm", "deliver"), ("crm", "deliver", "never_sent"),
        ("crm", "deliver"), ("crm", "deliver", "no_answer"),
    ]  # fmt: skip


async def test_faults_strike_before_and_after() -> None:
    """A fault hook can stop a call before it leaves, or lose the answer of one that was carried out (T-2)."""

    class Died(BaseException):
        """The process is gone."""

    def die(*_: object) -> None:
        raise Died

    left: list[int] = []

    def answer(_: httpx.Request) -> httpx.Response:
        left.append(1)
        return httpx.Response(202)

    for hooks, leaves in (({"before": die}, 0), ({"after": die}, 1)):
        left.clear()
        with pytest.raises(Died):
            await Transport(inner=httpx.MockTransport(answer), **hooks).send("graph", "send", request())
        assert len(left) == leaves


async def test_closing_is_not_final() -> None:
    """A closed transport opens again at its next call, and closing twice is fine."""
    transport = over(lambda _: httpx.Response(200))
    await transport.send("graph", "outline", request())
    await transport.close()
    await transport.close()
    assert (await transport.send("graph", "outline", request())).status_code == 200


async def test_a_streamed_answer_is_left_to_its_reader() -> None:
    """With `stream` nothing of the body is read before the caller reads it."""

    class File(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            read.append("asked")
            yield b"file"

    read: list[str] = []
    answer = await over(lambda _: httpx.Response(200, stream=File())).send(
        "file", "fetch", request(), stream=True
    )
    assert read == []
    assert b"".join([piece async for piece in answer.aiter_raw()]) == b"file"
    await answer.aclose()


async def test_a_name_may_be_connected_to_elsewhere() -> None:
    """With `dial` a request goes to another address and port; Host header and certificate stay the name's."""
    seen: list[httpx.Request] = []

    def answer(asked: httpx.Request) -> httpx.Response:
        seen.append(asked)
        return httpx.Response(200)

    def dial(host: str, port: int) -> tuple[str, int]:
        assert (host, port) in {("somewhere.example", 443), ("93.184.216.34", 443)}
        return "127.0.0.1", 7443

    transport = Transport(inner=httpx.MockTransport(answer), dial=dial)
    await transport.send("graph", "get", request())
    judged = httpx.Request(
        "GET",
        "https://93.184.216.34:443/it",
        headers={"Host": "somewhere.example"},
        extensions={"sni_hostname": "somewhere.example"},
    )
    await transport.send("crm", "deliver", judged)
    for asked in seen:
        assert str(asked.url) == "https://127.0.0.1:7443/it"
        assert asked.headers["host"] == "somewhere.example"
        assert asked.extensions["sni_hostname"] == "somewhere.example"
