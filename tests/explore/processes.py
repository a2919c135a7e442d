"""The processes of the product: each has its own services and memory, and can die at any await."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context, ContextVar
from dataclasses import dataclass, field
from typing import Any, NoReturn

import httpx

from sandbox.devhost.web import WebApp
from shared.services import Services
from tests.concurrency.loop import VirtualLoop

PROCESS: ContextVar[Process | None] = ContextVar("PROCESS", default=None)
RESTART_SECONDS = 20.0


@dataclass(eq=False, slots=True)
class Process:
    """One worker process; with `web` it answers HTTP, else it works on queues and timers."""

    name: str
    services: Services
    asgi: WebApp
    web: bool
    lives: bool = True
    died: asyncio.Event = field(default_factory=asyncio.Event)

    def start(self, work: Any) -> asyncio.Task[Any]:
        """Run a coroutine in this process."""
        context = Context()
        context.run(PROCESS.set, self)
        return asyncio.get_running_loop().create_task(work, context=context)

    async def die(self) -> NoReturn:
        """Like SIGKILL: nothing of it runs on, no `finally` either, and whoever called learns that it was cut off."""
        self.lives = False
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop.drop_the_dead()
        loop.call_soon(self.died.set, context=Context())
        await asyncio.Future()
        raise AssertionError("a dead process went on")


def lives(context: Context) -> bool:
    """Whether what belongs to this context may run."""
    process = context.get(PROCESS)
    return process is None or process.lives


@dataclass(slots=True)
class Processes:
    """All that were ever started; one that died is replaced after a while."""

    make: Callable[[str, bool], Process]
    all: list[Process] = field(default_factory=list)
    deaths: int = 0

    def start(self, name: str, *, web: bool) -> Process:
        """A fresh process under this name."""
        process = self.make(f"{name}.{sum(known.name.startswith(f'{name}.') for known in self.all) + 1}", web)
        self.all.append(process)
        watching = self._replace(process, name)
        asyncio.get_running_loop().create_task(watching, context=Context())
        return process

    def alive(self, *, web: bool) -> list[Process]:
        """Those that run."""
        return [process for process in self.all if process.lives and process.web is web]

    async def _replace(self, process: Process, name: str) -> None:
        await process.died.wait()
        self.deaths += 1
        await asyncio.sleep(RESTART_SECONDS)
        self.start(name, web=process.web)


@dataclass(slots=True)
class Front(httpx.AsyncBaseTransport):
    """Where callers reach the product: some web process takes the request; if it dies, the connection is cut."""

    processes: Processes
    choose: Callable[[list[Process]], Process]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        alive = self.processes.alive(web=True)
        if not alive:
            raise httpx.ConnectError("no process is there", request=request)
        process = self.choose(alive)
        inside = process.start(self._answer(process, request))
        seconds = (request.extensions.get("timeout") or {}).get("read") or 100.0
        # The one that calls may die too; what it has asked for goes on.
        dying = asyncio.get_running_loop().create_task(process.died.wait(), context=Context())
        done, _ = await asyncio.wait({inside, dying}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        dying.cancel()
        if inside in done:
            return inside.result()
        if dying in done:
            raise httpx.ReadError("the process died", request=request)
        raise httpx.ReadTimeout("no answer in time", request=request)

    async def _answer(self, process: Process, request: httpx.Request) -> httpx.Response:
        answer = await httpx.ASGITransport(app=process.asgi).handle_async_request(request)
        return await whole(answer, request)


async def whole(answer: httpx.Response, request: httpx.Request) -> httpx.Response:
    """An answer whose body was read, so that it can change hands."""
    content = httpx.ByteStream(await answer.aread())
    return httpx.Response(answer.status_code, headers=answer.headers, stream=content, request=request)
