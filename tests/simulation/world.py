"""The whole system in one process: product, simulator, CRM and host under a clock that stands still.

Nothing here is a mock: the product runs its own functions through the development host's router and queue rules,
the simulator and the CRM are the programs of the sandbox, all reached through ASGI; only the stores are in memory.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import azure.functions as func
import httpx

from sandbox.clock import VirtualClock
from sandbox.democrm.app import build_app
from sandbox.democrm.crm import Config, build_crm
from sandbox.devhost.inprocess import Host, build_host
from sandbox.devhost.product_queues import ProductQueues
from sandbox.graphsim.app import Simulator, SimulatorConfig, build_simulator
from sandbox.graphsim.config import Application
from sandbox.graphsim.faults import Sleep
from sandbox.graphsim.knobs import Value
from sandbox.story.stage import Check, Stage
from shared import bootstrap
from shared.domain.errors import StoreUnavailable
from shared.ops import create_storage, create_tenant
from shared.security.api_keys import ApiKeyring
from shared.services import Services
from shared.settings import Settings
from shared.storage.stores import Stores
from shared.storage.testing import Call, MemoryBlobs, MemoryQueues, MemoryTables
from shared.storage.testing.calls import no_hook
from tests.simulation.parts import APP, CRM, SECURE, SIM, Router, SeededRandom

ROOT = Path(__file__).parents[2]
MOST_LOOKS = 24
# Where notifications have ended, a sweep brings mail every 15 minutes, and may have to step over a page that fails.
PATIENCE_SECONDS = 1_200.0
Wrap = Callable[[Services], Services]


@dataclass(slots=True)
class SkewedClock:
    """Another clock that goes wrong by so much; it may be set."""

    true: VirtualClock
    ahead: timedelta

    def now(self) -> datetime:
        """Aware UTC."""
        return self.true.now() + self.ahead


@dataclass(slots=True)
class OneProcess:
    """The running world, and ways to let time pass in it."""

    clock: VirtualClock
    host: Host
    simulator: Simulator
    router: Router
    services: Services
    queues: ProductQueues
    product_clock: SkewedClock
    stage: Stage = field(init=False)

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
        """Let time pass minute by minute, as the timers see it (in long spans at most MOST_LOOKS times)."""
        end = self.clock.now() + timedelta(seconds=seconds)
        step = timedelta(seconds=max(60.0, seconds / MOST_LOOKS))
        await self.quiet()
        while self.clock.now() < end:
            await self._until(min(end, self.clock.now() + step))
            await self.tick()

    async def _until(self, end: datetime) -> None:
        """Stop at every moment at which something is due in Microsoft 365, and work."""
        while (due := self.simulator.next_due_at()) is not None and due < end:
            self.clock.current = max(due, self.clock.now())
            await self.quiet()
        self.clock.current = end

    async def tick(self) -> None:
        """Both timers, then the work they ring for."""
        await self.host.run_timer("enqueue_due_work")
        await self.host.run_timer("renew_subscriptions")
        await self.quiet()

    def fail_stores(self, *stores: str) -> None:
        """Every call to these of the product's stores ("tables", "blobs", "queues") fails from now on.

        The queues fail the host as well, which takes their messages and writes those of notifications.
        """

        def fail(_: Call) -> None:
            raise StoreUnavailable

        for store in stores:
            getattr(self.services, store).before = fail
        self.queues.answers = "queues" not in stores

    def mend_stores(self) -> None:
        """All stores answer again."""
        for store in ("tables", "blobs", "queues"):
            getattr(self.services, store).before = no_hook
        self.queues.answers = True

    async def settle(self, check: Check, seconds: float) -> Any:
        """Patience: work and let seconds pass, then minutes, until the check is satisfied."""
        waited, most = 0.0, max(seconds, PATIENCE_SECONDS)
        while True:
            await self.quiet()
            if (found := await check()) or waited > most:
                return found
            step = 1.0 if waited < 30 else 60.0
            self.clock.advance(step)
            waited += step
            await self.tick()


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
    folder: Path,
    *,
    seed: int = 1,
    knobs: Mapping[str, Value] | None = None,
    wrap: Wrap | None = None,
    ahead: timedelta = timedelta(),
) -> AsyncIterator[OneProcess]:
    """Build everything, run the block, let go. `knobs` are the simulator's; `wrap` is how the product is sabotaged.

    `ahead`: how far the product's clock is ahead of everybody else's.
    """
    clock, router = VirtualClock(), Router()
    settings = Settings.load(environment(folder))
    stores = Stores(MemoryTables(), MemoryBlobs(clock=clock), MemoryQueues(clock=clock))
    product_clock = SkewedClock(clock, ahead)
    services = _services(settings, stores, product_clock, router, SeededRandom(seed), wrap)

    async def pass_time(seconds: float) -> None:
        """A delayed request takes its time, in which other workers take up sends that are due."""
        clock.advance(seconds)
        await host.run_timer("enqueue_due_work")
        await host.pump_queues("work_outbox")

    async with httpx.AsyncClient(transport=router) as wire:
        simulator = _simulator(settings, seed, knobs or {}, clock, wire, pass_time)
        await create_storage(services)
        keyring, hook = ApiKeyring(settings.api_key_pepper.reveal()), f"{CRM}/webhooks/postbraid"
        tenant = await create_tenant(services, keyring, "Northwind", hook, [CRM])
        crm = build_crm(Config(tenant.api_key, tenant.webhook_secret), APP, clock, router)
        queues = ProductQueues(stores.queues)
        host = build_host(_app(), host_json=ROOT / "host.json", queues=queues, clock=clock, environ={})
        for name, app in (
            ("localhost:7444", simulator.app),
            ("localhost:7443", simulator.app),
            ("localhost:7071", host.asgi),
            ("127.0.0.1:7080", build_app(crm)),
        ):
            router.hosts[name] = httpx.ASGITransport(app=app)
        with bootstrap.replaced(services):
            async with (
                httpx.AsyncClient(base_url=APP, transport=router) as app_client,
                httpx.AsyncClient(base_url=SIM, transport=router) as sim_client,
                httpx.AsyncClient(base_url=CRM, transport=router) as crm_client,
            ):
                world = OneProcess(clock, host, simulator, router, services, queues, product_clock)
                clients = (app_client, sim_client, crm_client)
                world.stage = Stage(*clients, tenant.api_key, world.advance, world.settle, world.quiet)
                yield world


def _services(
    settings: Settings,
    stores: Stores,
    clock: SkewedClock,
    router: Router,
    random: SeededRandom,
    wrap: Wrap | None,
) -> Services:
    async def no_sleep(_seconds: float) -> None:
        return

    parts = bootstrap.Parts(clock=clock, random=random, sleep=no_sleep, stores=stores, http=router, wrap=wrap)
    return bootstrap.build(settings, parts)


def registered(settings: Settings) -> Application:
    """The product's registration at the simulated Entra."""
    secret = settings.entra_client_secret
    return Application(
        settings.entra_client_id,
        secret.reveal() if secret else "",
        (f"{APP}/api/oauth/callback", f"{APP}/api/oauth/admin-consent"),
        "Postbraid",
    )


def _simulator(
    settings: Settings,
    seed: int,
    knobs: Mapping[str, Value],
    clock: VirtualClock,
    wire: httpx.AsyncClient,
    sleep: Sleep,
) -> Simulator:
    config = SimulatorConfig(seed=seed, applications=(registered(settings),), knobs=knobs)
    return build_simulator(config, clock, wire, sleep)


def _app() -> Any:
    """A fresh app each time: get_functions may be called once per app."""
    from functions import BLUEPRINTS

    app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
    for blueprint in BLUEPRINTS:
        app.register_functions(blueprint)
    return app
