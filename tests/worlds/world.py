"""A world: several mailboxes of one or two tenants, a product of several processes, and what may go wrong with them."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import unquote

import httpx
import structlog

from sandbox.democrm.app import build_app
from sandbox.democrm.crm import Config, Crm, build_crm
from sandbox.democrm.model import User
from sandbox.graphsim.app import Simulator, SimulatorConfig, build_simulator
from sandbox.graphsim.knobs import Value
from sandbox.story.stage import Stage
from shared import bootstrap
from shared.ops import create_storage, create_tenant
from shared.security.api_keys import ApiKeyring
from shared.services import Services
from shared.settings import Settings
from shared.storage.stores import Stores
from shared.storage.testing import Call, MemoryBlobs, MemoryQueues, MemoryTables
from shared.sync.events.endpoint import open_endpoint
from tests.concurrency.processes import OfRunningProcess, cross, mortal, running_in, start_in
from tests.simulation.parts import APP, SIM, SeededRandom
from tests.simulation.world import Wrap, environment, registered
from tests.worlds.clocks import LoopClock
from tests.worlds.diary import Diary, Person
from tests.worlds.network import Front, Network
from tests.worlds.outages import Outages
from tests.worlds.product import Product

CRMS = ("http://127.0.0.1:7080", "http://127.0.0.1:7081")
NAMES = ("ann", "bob", "cyd", "dan", "eve", "fay")


@dataclass(frozen=True, slots=True)
class Beginning:
    """How a world begins: `wrong_by` is how far Graph's clock is from everybody else's."""

    seed: int
    knobs: Mapping[str, Value] = field(default_factory=dict)
    mailboxes: int = 3
    wrong_by: timedelta = timedelta()


async def _nothing() -> None:
    return


@dataclass(slots=True)
class World:
    """Everything that runs, and what was done to it."""

    seed: int
    dice: random.Random
    clock: LoopClock
    graph_clock: LoopClock
    simulator: Simulator
    network: Network
    outages: Outages
    product: Product
    stores: Stores
    crms: list[Crm] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)
    open_endpoints: Callable[[], Awaitable[None]] = _nothing
    diary: Diary = field(default_factory=Diary)
    knobs: Mapping[str, Value] = field(default_factory=dict)
    tale: list[str] = field(default_factory=list)
    kills: bool = True  # whether mails that are to kill do so

    def now(self) -> float:
        """Seconds of the world."""
        return asyncio.get_running_loop().time()

    async def pause(self, seconds: float) -> None:
        """Whoever acts here waits."""
        await asyncio.sleep(seconds)

    def stage(self, person: Person) -> Stage:
        """Where the CRM and the API key of that person's tenant are."""
        return self.stages[person.tenant]

    def tell(self, text: str) -> None:
        """A line of the tale."""
        self.tale.append(f"{self.clock.now():%d %H:%M:%S} {text}")


@asynccontextmanager
async def a_world(folder: Path, beginning: Beginning, wrap: Wrap | None = None) -> AsyncIterator[World]:
    """Build and start it, run the block, end it. Runs in a `VirtualLoop`; `wrap` is how the product is sabotaged."""
    seed, knobs, wrong_by = beginning.seed, beginning.knobs, beginning.wrong_by
    dice = random.Random(f"world {seed}")
    tokens = random.Random(f"tokens {seed}")
    settings = Settings.load({**environment(folder), "LOCAL_ORIGINS": ",".join(CRMS)})
    clock, graph_clock = LoopClock(), LoopClock(wrong_by)
    stores = Stores(MemoryTables(), MemoryBlobs(clock=clock), MemoryQueues(clock=clock))
    outages = Outages(random.Random(f"outages {seed}"))
    network = Network(random.Random(f"network {seed}"), outages)
    numbers = iter(range(1, 1_000_000))

    def services() -> Services:
        parts = bootstrap.Parts(
            clock=clock, random=SeededRandom(seed * 1_000 + next(numbers)), sleep=mortal(asyncio.sleep),
            stores=stores, http=network, wrap=wrap,
        )  # fmt: skip
        return bootstrap.build(settings, parts)

    async with AsyncExitStack() as stack:
        # The CRM's own ids would otherwise differ from run to run, and with them the order of rows.
        stack.enter_context(mock.patch("secrets.token_hex", lambda size=32: tokens.randbytes(size).hex()))
        client = await stack.enter_async_context(httpx.AsyncClient(transport=network))
        simulator = _simulator(settings, seed, knobs, graph_clock, client)
        product = Product(random.Random(f"product {seed}"), stores.queues, outages, services, clock)
        world = World(
            seed, dice, clock, graph_clock, simulator, network, outages, product, stores, knobs=knobs
        )
        front = Front(random.Random(f"front {seed}"), lambda: product.alive(product.fronts), product.serving)
        inner = {
            "localhost:7444": httpx.ASGITransport(simulator.app),
            "localhost:7443": httpx.ASGITransport(simulator.app),
            "localhost:7071": front,
        }
        network.programs.update(inner)
        await _add_tenants(world, services(), stack)
        _add_people(world, beginning.mailboxes)
        _disturb(world)
        stack.enter_context(bootstrap.replaced(OfRunningProcess.as_services()))
        product.start()
        running = start_in(None, lambda: _run_simulator(world))
        try:
            yield world
        finally:
            await product.stop()
            running.cancel()


async def _add_tenants(world: World, services: Services, stack: AsyncExitStack) -> None:
    await create_storage(services)
    tenants: list[str] = []

    async def open_endpoints() -> None:
        """What an operator does once a CRM that has said 410 is there again."""
        for tenant_id in tenants:
            await open_endpoint(services, tenant_id)

    world.open_endpoints = open_endpoints
    keyring = services.api_keys
    assert isinstance(keyring, ApiKeyring)
    for address in CRMS:
        name = httpx.URL(address).netloc.decode()
        tenant = await create_tenant(
            services, keyring, f"Tenant {name}", f"{address}/webhooks/postbraid", [address]
        )
        tenants.append(tenant.tenant_id)
        crm = build_crm(Config(tenant.api_key, tenant.webhook_secret), APP, world.clock, world.network)
        world.crms.append(crm)
        world.network.programs[name] = httpx.ASGITransport(build_app(crm))
        clients = [
            await stack.enter_async_context(httpx.AsyncClient(base_url=base, transport=world.network))
            for base in (APP, SIM, address)
        ]
        world.stages.append(Stage(*clients, tenant.api_key, asyncio.sleep, _settle, _nothing))
    world.network.crms = {httpx.URL(address).netloc.decode(): address for address in CRMS}


async def _settle(_check: Any, _seconds: float) -> Any:
    msg = "nobody waits in a world: it goes on by itself"
    raise NotImplementedError(msg)


def _add_people(world: World, mailboxes: int) -> None:
    for number in range(mailboxes):
        tenant, name = number % 2 if mailboxes > 3 else 0, NAMES[number]
        domain = f"{('northwind', 'fourthcoffee')[tenant]}.example"
        person = Person(tenant, f"u_{name}", f"{name}@{domain}", f"{name}.two@{domain}")
        world.diary.people.append(person)
        store = world.crms[tenant].store
        store.put("users", person.user_id, User(person.user_id, name.title(), person.address))


def _disturb(world: World) -> None:
    """The stores of a process may fail, and at each of their calls the others may go on and the process may die."""
    dice = random.Random(f"stores {world.seed}")

    async def before(call: Call) -> None:
        if running_in() is not None:
            await cross()
            world.outages.before_store(call)
            await asyncio.sleep(dice.choice((0, 0, 0, 0.002, 0.01)))

    async def after(call: Call) -> None:
        if call.port == "queue" and call.writes:
            world.product.news()
        if running_in() is not None:
            await asyncio.sleep(dice.choice((0, 0, 0, 0.002, 0.01)))
            await cross()
            world.outages.after_store(call)

    for store in (world.stores.tables, world.stores.blobs, world.stores.queues):
        store.before, store.after = before, after  # type: ignore[attr-defined]  # the in-memory ones have hooks
    entra, mailbox_of = world.simulator.world.entra, world.simulator.world.store.mailbox

    def owner(request: httpx.Request) -> str | None:
        grant = entra.peek(request.headers.get("authorization"))
        return grant.user.address if grant else None

    def fatal(request: httpx.Request) -> bool:
        return _kills(world, request, owner, mailbox_of)

    world.network.owner, world.network.fatal = owner, fatal


def _kills(world: World, request: httpx.Request, owner: Any, mailbox_of: Any) -> bool:
    """Whether a process dies of the answer: it read a mail that kills, or has built the draft of a send that does."""
    words = [mail.word for mail in world.diary.mails.values() if mail.kills]
    words += [send.word for send in world.diary.sends.values() if send.kills]
    if not words or not world.kills or "/messages" not in request.url.path:
        return False
    if request.method == "GET":
        address = owner(request)
        mailbox = mailbox_of(address) if address else None
        segments = [unquote(part) for part in request.url.path.split("/")]
        found = mailbox.message(segments[-1]) if mailbox else None
        reads = "body" in unquote(str(request.url.query))
        return bool(found and reads and any(word in found.body.partition("<blockquote")[0] for word in words))
    return any(word.encode() in request.content for word in words)


async def _run_simulator(world: World) -> None:
    """Jobs of the simulator when they are due."""
    news = asyncio.Event()

    def called() -> None:
        nonlocal news
        news.set()

    world.network.called = called
    while True:
        news = asyncio.Event()
        await world.simulator.run_due()
        due = world.simulator.next_due_at()
        seconds = 3600.0 if due is None else max(0.0, (due - world.graph_clock.now()).total_seconds())
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):  # `wait_for` may swallow a cancellation before Python 3.12
                await news.wait()


def _simulator(
    settings: Settings, seed: int, knobs: Mapping[str, Value], clock: LoopClock, wire: httpx.AsyncClient
) -> Simulator:
    config = SimulatorConfig(seed=seed, applications=(registered(settings),), knobs=knobs, concurrent=True)
    return build_simulator(config, clock, wire)


def quiet_logs() -> None:
    """What the host says of failures that are wanted here."""
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
