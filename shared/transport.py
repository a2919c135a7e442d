"""The one way out for our own HTTP: one client, explicit times, every call counted by its call site (T-1).

Nothing is retried and no redirect is followed in here; cookies are neither kept nor sent. A failure says whether the
request can have arrived.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from http.cookiejar import DefaultCookiePolicy
from typing import Final

import httpx

CONNECT_SECONDS: Final = 5.0
ERROR_BYTES: Final = 65_536
# Describe the body as it came over the wire, and are no longer true of one that was read.
_OF_THE_WIRE: Final = frozenset({b"content-encoding", b"content-length", b"transfer-encoding"})

Observe = Callable[[str, str], None]
# Both are for simulated faults and may raise: `before` in place of the call, `after` in place of its answer (T-2).
Before = Callable[[str, str, httpx.Request], None]
# The outcome is the status as text, "never_sent", "no_answer" or "too_much".
After = Callable[[str, str, str], None]


class NeverSent(Exception):
    """The request did not leave: no connection came about."""


class NoAnswer(Exception):
    """The request may have arrived, and no answer came."""


class TooMuch(Exception):
    """The request was answered with more than was to be read."""


Dial = Callable[[str, int], tuple[str, int]]
"""(name, port) as asked for -> (IP address, port) to connect to. Name, SNI and Host header stay as they were."""


def _nothing(*_: object) -> None:
    """Nobody looks."""


class Transport:
    """HTTP for Graph, Entra, the CRM and files.

    `inner` replaces the network (programs in one process), `dial` only the resolution of names.
    """

    def __init__(
        self,
        *,
        ca_file: str | None = None,
        inner: httpx.AsyncBaseTransport | None = None,
        dial: Dial | None = None,
        observe: Observe = _nothing,
        before: Before = _nothing,
        after: After = _nothing,
    ) -> None:
        self._ca_file = ca_file
        self._inner = inner
        self._dial = dial
        self._observe = observe
        self._before = before
        self._after = after
        self._client: httpx.AsyncClient | None = None

    async def send(
        self,
        port: str,
        operation: str,
        request: httpx.Request,
        *,
        timeout_seconds: float = 20.0,
        limit_bytes: int | None = None,
        stream: bool = False,
    ) -> httpx.Response:
        """One request, one answer of whatever status. Raises NeverSent, NoAnswer or TooMuch.

        `timeout_seconds` is the budget of the whole call, reading the body included; with `stream` the body is left
        to the caller, who closes the response. `limit_bytes` bounds the body as decoded; what is no success may
        always explain itself in 64 KiB.
        """
        self._observe(port, operation)
        self._before(port, operation, request)
        try:
            answer = await self._carry(request, timeout_seconds, limit_bytes, stream=stream)
        except (NeverSent, NoAnswer, TooMuch) as err:
            self._after(port, operation, _OUTCOMES[type(err)])
            raise
        self._after(port, operation, str(answer.status_code))
        return answer

    async def close(self) -> None:
        """Let go of the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _carry(
        self, request: httpx.Request, timeout_seconds: float, limit_bytes: int | None, *, stream: bool
    ) -> httpx.Response:
        connect = min(CONNECT_SECONDS, timeout_seconds)
        times = httpx.Timeout(timeout_seconds, connect=connect, pool=connect)
        request.extensions = {**request.extensions, "timeout": times.as_dict()}
        bounded = limit_bytes is not None and not stream
        try:
            async with asyncio.timeout(timeout_seconds):
                answer = await self._open().send(_dialled(request, self._dial), stream=stream or bounded)
                return await _read(answer, limit_bytes) if bounded and limit_bytes is not None else answer
        except (
            httpx.ConnectError,
            httpx.ConnectTimeout,
            httpx.PoolTimeout,
            httpx.UnsupportedProtocol,
        ) as err:
            raise NeverSent from err
        except (httpx.RequestError, TimeoutError) as err:
            raise NoAnswer from err

    def _open(self) -> httpx.AsyncClient:
        """The client, made in the loop that uses it; no proxy from the environment, no redirects (C-4)."""
        if self._client is None:
            verify: ssl.SSLContext | bool = True
            if self._ca_file is not None:
                verify = ssl.create_default_context(cafile=self._ca_file)
            self._client = httpx.AsyncClient(
                transport=self._inner, verify=verify, trust_env=False, follow_redirects=False
            )
            self._client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        return self._client


def _dialled(request: httpx.Request, dial: Dial | None) -> httpx.Request:
    """The same request to the address that is really connected to; its certificate is still the name's."""
    if dial is None:
        return request
    url, secure = request.url, request.url.scheme == "https"
    host, port = dial(url.host, url.port or (443 if secure else 80))
    request.extensions = {"sni_hostname": url.host, **request.extensions}
    request.url = url.copy_with(host=host, port=port)
    return request


_OUTCOMES: Final[dict[type[Exception], str]] = {
    NeverSent: "never_sent",
    NoAnswer: "no_answer",
    TooMuch: "too_much",
}


async def _read(answer: httpx.Response, limit_bytes: int) -> httpx.Response:
    """The same answer with its body in memory, or TooMuch as soon as it is known to be too long."""
    limit = limit_bytes if answer.is_success else max(limit_bytes, ERROR_BYTES)
    pieces: list[bytes] = []
    size = 0
    try:
        async for piece in answer.aiter_bytes():
            size += len(piece)
            if size > limit:
                raise TooMuch
            pieces.append(piece)
    finally:
        await answer.aclose()
    headers = [(name, value) for name, value in answer.headers.raw if name.lower() not in _OF_THE_WIRE]
    return httpx.Response(
        answer.status_code, headers=headers, content=b"".join(pieces), request=answer.request
    )
