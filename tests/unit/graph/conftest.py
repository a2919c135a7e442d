"""A scripted network and an access that counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import msgspec
import pytest

from shared.graph.client import GraphClient
from shared.graph.provider import GraphMail
from shared.transport import Transport

BASE = "https://graph.example/v1.0"

Answer = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]


@dataclass(slots=True)
class Wire:
    """Answers in order; the last one for ever. Remembers every request."""

    answers: list[Answer] = field(default_factory=list)
    requests: list[httpx.Request] = field(default_factory=list)

    def then(self, status: int = 200, body: Any = None, **headers: str) -> Wire:
        content = body if isinstance(body, bytes) else msgspec.json.encode({} if body is None else body)
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers.append(lambda _: httpx.Response(status, content=content, headers=fields))
        return self

    def fails(self, error: Exception) -> Wire:
        self.answers.append(error)
        return self

    async def answer(self, request: httpx.Request) -> httpx.Response:
        content = await request.aread()
        self.requests.append(
            httpx.Request(request.method, request.url, headers=request.headers, content=content)
        )
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else answer(request)

    @property
    def last(self) -> httpx.Request:
        return self.requests[-1]

    def sent(self, number: int = -1) -> Any:
        return msgspec.json.decode(self.requests[number].content)

    def calls(self) -> list[str]:
        return [f"{request.method} {request.url.path.removeprefix('/v1.0')}" for request in self.requests]


@dataclass(slots=True)
class Tokens:
    """A mailbox's tokens: token-1, and the next one when that is rejected."""

    mailbox_id: str = "mbx_ann"
    asked: list[tuple[str | None, str | None]] = field(default_factory=list)

    async def token(self, *, rejected: str | None = None, claims: str | None = None) -> str:
        self.asked.append((rejected, claims))
        return "token-2" if rejected else "token-1"


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def transport(wire: Wire) -> Transport:
    return Transport(inner=httpx.MockTransport(wire.answer))


@pytest.fixture
def client(transport: Transport) -> GraphClient:
    return GraphClient(transport, BASE)


@pytest.fixture
def mail(transport: Transport) -> GraphMail:
    return GraphMail(transport, BASE)


@pytest.fixture
def ann() -> Tokens:
    return Tokens()
