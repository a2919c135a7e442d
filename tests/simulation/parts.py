"""Parts of a world in one process: randomness that repeats itself, and a network that is a dictionary."""

from __future__ import annotations

import builtins
import random
from base64 import urlsafe_b64encode

import httpx

APP, CRM, SIM, SECURE = (
    "http://localhost:7071",
    "http://127.0.0.1:7080",
    "http://localhost:7444",
    "https://localhost:7443",
)


class SeededRandom:
    """The product's randomness, repeated by a seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def token(self, size_bytes: int = 32) -> str:
        """base64url without padding."""
        return urlsafe_b64encode(self.bytes(size_bytes)).rstrip(b"=").decode()

    def bytes(self, size_bytes: int) -> builtins.bytes:
        """Bytes."""
        return self._random.randbytes(size_bytes)

    def jitter(self) -> float:
        """A number in [0, 1)."""
        return self._random.random()


class Router(httpx.AsyncBaseTransport):
    """Hands each request to the program that owns the address; programs may be taken down."""

    def __init__(self) -> None:
        self.hosts: dict[str, httpx.AsyncBaseTransport] = {}
        self.down: set[str] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """By host and port."""
        name = request.url.netloc.decode()
        if name in self.down:
            raise httpx.ConnectError("connection refused", request=request)
        return await self.hosts[name].handle_async_request(request)
