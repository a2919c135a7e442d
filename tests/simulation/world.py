"""The whole system in one process: product, simulator, CRM and host under a clock that stands still.

Nothing here is a mock: the product runs its own functions through the development host's router and queue rules,
the simulator and the CRM are the programs of the sandbox, all reached through ASGI; only the stores are the twins.
"""

from __future__ import annotations

import random
from base64 import b64encode, urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import azure.functions as func
import httpx

from sandbox.clock import VirtualClock
from sandbox.democrm.app import build_app
from sandbox.democrm.crm import Config, build_crm
from sandbox.devhost.build import build_host
from sandbox.devhost.queues import MessageGone, Received
from sandbox.graphsim.app import SimulatorConfig, build_simulator
from sandbox.graphsim.config import Application
from sandbox.story.stage import Check, Stage
from shared import bootstrap
from shared.ops import create_storage, create_tenant
from shared.security.api_keys import ApiKeyring
from shared.settings import Settings
from shared.storage.memory import MemoryBlobs, MemoryQueues, MemoryTables
from shared.storage.stores import Stores

STEP_SECONDS = 1.0
MOST_STEPS = 400


class SeededChance:
    """Randomness that a seed repeats."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def token(self, size_bytes: int = 32) -> str:
        """base64url without padding."""
        return urlsafe_b64encode(self.data(size_bytes)).rstrip(b"=").decode()

    def data(self, size_bytes: int) -> bytes:
        """Bytes."""
        return self._random.randbytes(size_bytes)

    def fraction(self) -> float:
        """A number in [0, 1)."""
        return self._random.random()


class Router(httpx.AsyncBaseTransport):
    """Hands each request to the program that owns the address."""

    def __init__(self) -> None:
        self.hosts: dict[str, httpx.AsyncBaseTransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """By host and port."""
        owner = self.hosts[request.url.netloc.decode()]
        return await owner.handle_async_request(request)


@dataclass(slots=True)
class SharedQueues:
    """The product's queues in memory as the host sees them: texts are base64, as host.json says."""

    queues: MemoryQueues

    async def receive(self, queue: str, count: int, visibility_seconds: float) -> list[Received]:
        """Visible messages, hidden for a while."""
        found = await self.queues.receive(queue, count, int(visibility_seconds))
        now = self.queues.clock.now()
        later = now + timedelta(days=7)
        return [
            Received(
                one.id,
                one.receipt,
                b64encode(one.text.encode()).decode(),
                one.dequeue_count,
                one.inserted_at,
                later,
                now,
            )
            for one in found
        ]

    async def delete(self, queue: str, message_id: str, receipt: str) -> None:
        """Finish with a message."""
        self._held(queue, message_id, receipt)
        del self.queues._queues[queue][message_id]

    async def update(self, queue: str, message_id: str, receipt: str, visibility_seconds: float) -> str:
        """Hide it for another while."""
        waiting = self._held(queue, message_id, receipt)
        waiting.visible_at = self.queues.clock.now() + timedelta(seconds=visibility_seconds)
        return receipt

    async def put(self, queue: str, text: str) -> None:
        """An output binding or the poison rule sends an encoded text."""
        await self.queues.ensure([queue])
        self.queues.put_raw(queue, text)

    async def close(self) -> None:
        """Nothing to let go of."""

    def _held(self, queue: str, message_id: str, receipt: str) -> Any:
        waiting = self.queues._queues[queue].get(message_id)
        if waiting is None or waiting.receipt != receipt:
            raise MessageGone(message_id)
        return waiting


@dataclass(slots=True)
class OneProcess:
    """The running world."""

    clock: VirtualClock
    host: Any
    simulator: Any
    stage: Any

    async def work(self) -> bool:
        """Do everything that can be done at this moment; True when something was."""
        done = await self.simulator.run_due()
        done += await self.host.pump_queues()
        return bool(done)

    async def quiet(self) -> None:
        """Work until nothing is left to do now."""
        while await self.work():
            pass

    async def advance(self, seconds: float) -> None:
        """Let time pass minute by minute, as the timers see it (at most 200 looks)."""
        end = self.clock.now() + timedelta(seconds=seconds)
        step = max(60.0, seconds / 200)
        while self.clock.now() < end:
            self.clock.advance(min(step, (end - self.clock.now()).total_seconds()))
            await self.tick()

    async def tick(self) -> None:
        """Both timers, then the work they ring for."""
        await self.host.run_timer("ring_due_work")
        await self.host.run_timer("renew_subscriptions")
        await self.quiet()

    async def settle(self, check: Check, seconds: float) -> Any:
        """Patience: work and let seconds pass until the check is satisfied."""
        waited = 0.0
        while True:
            await self.quiet()
            if (found := await check()) or waited > max(seconds, 900.0):
                return found
            self.clock.advance(STEP_SECONDS if waited < 30 else 60.0)
            waited += STEP_SECONDS if waited < 30 else 60.0
            await self.tick()


APP, CRM, SIM, SECURE = (
    "http://localhost:7071",
    "http://127.0.0.1:7080",
    "http://localhost:7444",
    "https://localhost:7443",
)
ROOT = Path(__file__).parents[2]


def environment(folder: Path) -> dict[str, str]:
    """The product's settings in this world."""
    key = folder / "sealing.key"
    key.write_bytes(bytes(range(32)))
    key.chmod(0o600)
    return {
        "PROFILE": "local",
        "PUBLIC_BASE_URL": APP,
        "DataStorage": "in-memory",
        "ENTRA_CLIENT_ID": "6f3a5c1e-1111-4222-8333-944455556666",
        "ENTRA_CLIENT_SECRET": "a-secret-of-the-simulation",
        "ENTRA_AUTHORITY": f"{SECURE}/common",
        "GRAPH_BASE_URL": f"{SECURE}/v1.0",
        "SEALING_KEY_FILE": str(key),
        "GRAPH_WEBHOOK_SECRET": "w" * 40,
        "CLIENT_STATE_KEYS": "c" * 40,
        "API_KEY_PEPPER": "p" * 40,
        "LINK_SIGNING_KEYS": "l" * 40,
        "LOCAL_ORIGINS": CRM,
    }


@asynccontextmanager
async def one_process(
    folder: Path, *, seed: int = 1, knobs: dict[str, str | float | bool] | None = None
) -> AsyncIterator[OneProcess]:
    """Build everything, run the block, let go. `knobs` are those of the simulator."""
    clock, chance, router = VirtualClock(), SeededChance(seed), Router()
    settings = Settings.load(environment(folder))
    queues = MemoryQueues(clock=clock)
    stores = Stores(MemoryTables(), MemoryBlobs(clock=clock), queues)

    async def no_sleep(_seconds: float) -> None:
        return

    services = bootstrap.build(
        settings, bootstrap.Parts(clock=clock, chance=chance, sleep=no_sleep, stores=stores, http=router)
    )
    async with httpx.AsyncClient(transport=router) as wire:
        simulator = _simulator(settings, seed, knobs or {}, clock, wire)
        await create_storage(services)
        tenant = await create_tenant(
            services,
            ApiKeyring(settings.api_key_pepper.reveal()),
            "Northwind",
            f"{CRM}/webhooks/postbraid",
            [CRM],
        )
        crm = build_crm(Config(tenant.api_key, tenant.webhook_secret), APP, clock, router)
        host = build_host(
            _app(), host_json=ROOT / "host.json", queues=SharedQueues(queues), clock=clock, environ={}
        )
        for name, app in (
            ("localhost:7444", simulator.app),
            ("localhost:7443", simulator.app),
            ("localhost:7071", host.asgi),
            ("127.0.0.1:7080", build_app(crm)),
        ):
            router.hosts[name] = httpx.ASGITransport(app=app)
        with bootstrap.replaced(services):
            clients = [httpx.AsyncClient(base_url=base, transport=router) for base in (APP, SIM, CRM)]
            world = OneProcess(clock, host, simulator, None)
            world.stage = Stage(*clients, tenant.api_key, world.advance, world.settle, world.quiet)
            yield world
            for client in clients:
                await client.aclose()


def _simulator(
    settings: Settings,
    seed: int,
    knobs: dict[str, str | float | bool],
    clock: VirtualClock,
    wire: httpx.AsyncClient,
) -> Any:
    secret = settings.entra_client_secret
    application = Application(
        settings.entra_client_id,
        secret.reveal() if secret else "",
        (f"{APP}/api/oauth/callback",),
        "Postbraid",
    )
    return build_simulator(SimulatorConfig(seed=seed, applications=(application,), knobs=knobs), clock, wire)


def _app() -> Any:
    """A fresh app each time: get_functions may be called once per app."""
    from functions import BLUEPRINTS

    app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
    for blueprint in BLUEPRINTS:
        app.register_functions(blueprint)
    return app
