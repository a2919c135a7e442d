"""The product's stores and its network, each call of which crosses `faults.Crossings`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextvars import Context, ContextVar
from dataclasses import dataclass
from typing import Any

import httpx

from shared.domain.errors import OutcomeUnknown, StoreUnavailable
from tests.explore.faults import Crossings, Errors
from tests.explore.processes import whole

OF_STORES = Errors(StoreUnavailable, OutcomeUnknown, 10.0)
OF_READS = Errors(StoreUnavailable, StoreUnavailable, 10.0)
WRITES = {
    "table": {"insert", "replace", "upsert", "delete", "transact", "ensure"},
    "blob": {"put", "delete", "ensure"},
    "queue": {"put", "delete", "receive", "ensure"},
}
OPERATION: ContextVar[tuple[str, str]] = ContextVar("OPERATION", default=("http", "?"))


def observe(port: str, operation: str) -> None:
    """Told by the transport right before it sends: the wire needs to know whose request it carries."""
    OPERATION.set((port, operation))


class CrossingStore:
    """A store in memory behind the crossings."""

    def __init__(self, real: Any, port: str, crossings: Crossings) -> None:
        self.real, self.port, self.crossings = real, port, crossings

    def __getattr__(self, name: str) -> Any:
        async def call(*args: Any, **more: Any) -> Any:
            writes = name in WRITES[self.port]
            return await self.crossings.cross(
                f"{self.port}.{name}",
                lambda: getattr(self.real, name)(*args, **more),
                OF_STORES if writes and name != "receive" else OF_READS,
                writes=writes,
            )

        return call

    async def query_partitions(self, *args: Any, **more: Any) -> AsyncIterator[Any]:
        """One call, whose rows come one by one."""

        async def read() -> list[Any]:
            return [row async for row in self.real.query_partitions(*args, **more)]

        for row in await self.crossings.cross("table.query_partitions", read, OF_READS, writes=False):
            yield row

    async def close(self) -> None:
        """Nothing to let go of."""


@dataclass(slots=True)
class Wire(httpx.AsyncBaseTransport):
    """The network as the product sees it. What was asked goes on where the asker is gone."""

    network: httpx.AsyncBaseTransport
    crossings: Crossings

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        port, operation = OPERATION.get()
        await request.aread()

        async def act() -> httpx.Response:
            loop = asyncio.get_running_loop()
            return await asyncio.shield(loop.create_task(self._carry(request), context=Context()))

        errors = Errors(
            lambda: httpx.ConnectError("refused", request=request),
            lambda: httpx.ReadError("cut", request=request),
            12.0,
        )
        writes = request.method != "GET"
        return await self.crossings.cross(f"{port}.{operation}", act, errors, writes=writes)

    async def _carry(self, request: httpx.Request) -> httpx.Response:
        return await whole(await self.network.handle_async_request(request), request)
