"""The whole system for one case: several processes of the product, Microsoft 365, the CRM, a platform."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import structlog

from sandbox.clock import VirtualClock
from sandbox.democrm.app import build_app
from sandbox.democrm.crm import Config, build_crm
from sandbox.devhost.inprocess import build_host
from sandbox.devhost.product_queues import ProductQueues
from sandbox.devhost.throttle import Throttle
from sandbox.story.acts import PDF
from sandbox.story.stage import Stage
from shared import bootstrap
from shared.ops import create_storage, create_tenant
from shared.security.api_keys import ApiKeyring
from shared.services import Services
from shared.settings import Settings
from shared.storage.stores import Stores
from shared.storage.testing import MemoryBlobs, MemoryTables
from tests.concurrency.loop import VirtualLoop
from tests.explore.faults import Crossings, Fault
from tests.explore.platform import Platform, WakingQueues, WakingSchedule
from tests.explore.ports import CrossingStore, Wire, observe
from tests.explore.processes import PROCESS, Front, Process, Processes, lives
from tests.simulation.parts import APP, CRM, SIM, Router, SeededRandom
from tests.simulation.world import ROOT, _app, _simulator, environment

Wrap = Callable[[Services], Services]


class _OfProcess(list[Services]):
    """What `bootstrap.services()` gives: the services of whichever process asks."""

    def __getitem__(self, _: Any) -> Any:
        process = PROCESS.get()
        return process.services if process is not None else super().__getitem__(0)


class _WithFiles(httpx.AsyncBaseTransport):
    """The CRM's server, which also has files that a send may name by their address."""

    def __init__(self, crm: httpx.AsyncBaseTransport) -> None:
        self._crm = crm

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.startswith("/files/"):
            return httpx.Response(200, stream=httpx.ByteStream(PDF), request=request)
        return await self._crm.handle_async_request(request)


@dataclass(slots=True)
class Explored:
    """A world that stands still between two awaits: prepared once, then forked for each case."""

    loop: VirtualLoop
    clock: VirtualClock
    stores: Stores
    crossings: Crossings
    platform: Platform
    processes: Processes
    stage: Stage
    simulator: Any
    crm: Any
    told: list[str] = field(default_factory=list)
    show: bool = False

    def tell(self, line: str) -> None:
        """One step, for whoever replays the case."""
        if self.show:
            print(f"{self.clock.current:%d %H:%M:%S.%f} {line}"[:400], flush=True)

    def begin(self, seed: int, plan: list[Fault], *, show: bool = False) -> None:
        """From here on calls are counted, take a while and may fail."""
        self.show = show
        self.crossings.plan, self.crossings.dice = plan, random.Random(f"calls {seed}")
        self.platform.dice = random.Random(f"platform {seed}")
        self.crossings.on = True
        if show:
            logging.disable(logging.NOTSET)
            logging.getLogger("devhost").setLevel(logging.ERROR)
            structlog.configure(processors=[self._show_log], cache_logger_on_first_use=False)

    def _show_log(self, _logger: Any, _method: str, fields: Any) -> Any:
        process = PROCESS.get()
        self.tell(f"        {process.name if process else ''} log {dict(fields)}")
        raise structlog.DropEvent

    async def pass_time(self, seconds: float) -> None:
        """The platform works on meanwhile."""
        await asyncio.sleep(seconds)


def _drop(_logger: Any, _method: str, _fields: Any) -> Any:
    raise structlog.DropEvent


def build(
    folder: Path, knobs: dict[str, Any] | None = None, wrap: Wrap | None = None, workers: int = 2
) -> Explored:
    """Everything, on a loop of its own; nothing has happened yet but that a tenant exists."""
    structlog.configure(processors=[_drop], cache_logger_on_first_use=False)
    logging.disable(logging.CRITICAL)
    clock = VirtualClock()
    loop = VirtualLoop(clock, lives)
    asyncio.set_event_loop(loop)
    return loop.run_until_complete(_build(loop, clock, folder, knobs or {}, wrap, workers))


async def _build(
    loop: VirtualLoop,
    clock: VirtualClock,
    folder: Path,
    knobs: dict[str, Any],
    wrap: Wrap | None,
    workers: int,
) -> Explored:
    router = Router()
    settings = Settings.load(environment(folder))
    memory = Stores(MemoryTables(), MemoryBlobs(clock=clock), WakingQueues(clock=clock))
    memory.queues.woken = asyncio.Event()
    crossings = Crossings(clock, [], random.Random(0))
    behind = Stores(*(
        CrossingStore(store, port, crossings)
        for store, port in ((memory.tables, "table"), (memory.blobs, "blob"), (memory.queues, "queue"))
    ))  # fmt: skip

    def services(name: str) -> Services:
        parts = bootstrap.Parts(
            clock=clock, random=SeededRandom(f"{name}"), sleep=asyncio.sleep, stores=behind, wrap=wrap,
            http=Wire(router, crossings), counters=observe,
        )  # fmt: skip
        return bootstrap.build(settings, parts)

    bootstrap._built = _OfProcess([services("nobody")])
    queues = ProductQueues(memory.queues)
    host = build_host(_app(), host_json=ROOT / "host.json", queues=queues, clock=clock, environ={})

    def make(name: str, web: bool) -> Process:
        return Process(name, services(name), replace(host.asgi, throttle=Throttle(16)), web)

    processes = Processes(make)
    simulator = _simulator(settings, 1, knobs, clock, httpx.AsyncClient(transport=router), asyncio.sleep)
    simulator.world.config = replace(simulator.world.config, concurrent=True)
    simulator.world.schedule = WakingSchedule()
    simulator.world.schedule.woken = asyncio.Event()
    platform = Platform(host, memory.queues, simulator, processes, random.Random(0))
    own = services("operator")
    await create_storage(own)
    hook = f"{CRM}/webhooks/postbraid"
    tenant = await create_tenant(own, ApiKeyring(settings.api_key_pepper.reveal()), "Northwind", hook, [CRM])
    crm = build_crm(Config(tenant.api_key, tenant.webhook_secret), APP, clock, router)
    for name, app in (("localhost:7444", simulator.app), ("localhost:7443", simulator.app)):
        router.hosts[name] = httpx.ASGITransport(app=app)
    router.hosts["localhost:7071"] = Front(processes, platform.choose)
    router.hosts["127.0.0.1:7080"] = _WithFiles(httpx.ASGITransport(app=build_app(crm)))
    clients = (httpx.AsyncClient(base_url=base, transport=router, timeout=30.0) for base in (APP, SIM, CRM))
    stage = Stage(*clients, tenant.api_key, asyncio.sleep, _settle, _quiet)
    world = Explored(loop, clock, memory, crossings, platform, processes, stage, simulator, crm)
    crossings.tell = world.tell
    for number in range(1, workers + 1):
        processes.start(f"worker{number}", web=False)
    processes.start("web1", web=True)
    processes.start("web2", web=True)
    platform.start()
    return world


async def _settle(check: Any, seconds: float) -> Any:
    """Wait until a check is true, or so many seconds."""
    for _ in range(int(seconds)):
        if found := await check():
            return found
        await asyncio.sleep(1.0)
    return await check()


async def _quiet() -> None:
    await asyncio.sleep(5.0)
