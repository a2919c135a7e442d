"""The outside as the guarded calls meet it: names with addresses, and an endpoint that answers as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import httpx

from shared.security.guard import Guard
from shared.transport import Transport

PUBLIC = "93.184.216.34"
Answering = Callable[[httpx.Request], httpx.Response]


class Outside:
    """What was sent out, and the answer to it."""

    def __init__(self, answer: httpx.Response | Answering | Exception, address: str = PUBLIC) -> None:
        self._answer = answer
        self._address = address
        self.requests: list[httpx.Request] = []
        self.calls: list[tuple[str, str]] = []

    def transport(self) -> Transport:
        return Transport(
            inner=httpx.MockTransport(self._called),
            observe=lambda port, operation: self.calls.append((port, operation)),
        )

    def guard(self) -> Guard:
        return Guard(["http://127.0.0.1:5001"], ["postbraid.example"], self._resolve)

    async def _resolve(self, host: str, port: int) -> Sequence[str]:
        return [self._address]

    def _called(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer(request) if callable(self._answer) else self._answer


class Pieces(httpx.AsyncByteStream):
    """A body in pieces: `taken` counts how many were asked for, `closed` says that it was released."""

    def __init__(
        self, piece: bytes, count: int, then: Exception | None = None, *, hangs: bool = False
    ) -> None:
        self._piece, self._count, self._then, self._hangs = piece, count, then, hangs
        self.taken = 0
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(self._count):
            self.taken += 1
            yield self._piece
        if self._then is not None:
            raise self._then
        if self._hangs:
            await asyncio.Event().wait()

    async def aclose(self) -> None:
        self.closed = True
