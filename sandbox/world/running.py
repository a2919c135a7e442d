"""Start a world step by step, watch its processes, and stop them all."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    ExitStack,
    contextmanager,
    suppress,
)
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from sandbox import processes
from sandbox.azurite import Azurite, Secured, start_azurite
from sandbox.certificates import LOOPBACK, make_certificates
from sandbox.clock import OffsetClock
from sandbox.processes import ROOT, Process, ProcessDied, Reaper
from sandbox.world import addresses, azure, programs
from sandbox.world.addresses import Addresses, local_addresses
from sandbox.world.azure import azure_environment
from sandbox.world.options import WorldOptions
from sandbox.world.places import Place, prepared
from sandbox.world.secrets import CLIENT_ID, make_product_environment, own_environment, write_environment

READY_SECONDS = 90.0
LOOK_EVERY_SECONDS = 0.2


@dataclass(slots=True)
class World:
    """A running world: addresses, secrets and the clock."""

    place: Place
    options: WorldOptions
    clock: OffsetClock
    addresses: Addresses
    env: Mapping[str, str] = field(default_factory=dict)
    operator_env: Mapping[str, str] = field(default_factory=dict)
    """The environment of the operator's commands: the app's own, or with `profile="azure"` that of a person."""
    connection_string: str = ""
    """Of the storage; with `profile="azure"` there is none."""
    azure_url: str = ""
    """The controls of the stand-ins for Azure, with `profile="azure"`."""
    tenant_id: str = ""
    api_key: str = ""
    webhook_secret: str = ""
    processes: dict[str, Process] = field(default_factory=dict)
    ended: threading.Event = field(default_factory=threading.Event)
    """Set when a process has died unexpectedly."""
    _commands: dict[str, tuple[list[str], Mapping[str, str]]] = field(default_factory=dict)
    _reaper: Reaper = field(default_factory=Reaper)
    _expected_dead: set[str] = field(default_factory=set)

    @classmethod
    def start(cls, options: WorldOptions | None = None) -> _Starting:
        """Start a world for the length of a `with` or `async with` block; raises ProcessDied or NotReady."""
        return _Starting(options or WorldOptions())

    @property
    def app_url(self) -> str:
        """The address of the product."""
        return self.addresses.app

    @property
    def sim_http_url(self) -> str:
        """The address of the simulator's pages and controls."""
        return f"http://localhost:{self.place.ports.sim_http}"

    @property
    def crm_url(self) -> str:
        """The address of the demo CRM."""
        return self.addresses.crm

    @property
    def ca_file(self) -> Path:
        """The certificate of this world's certificate authority."""
        return self.place.tls / "ca.pem"

    @property
    def logs_dir(self) -> Path:
        """The folder of log files, one for each process."""
        return self.place.logs

    def launch(self, name: str, command: list[str], environ: Mapping[str, str]) -> Process:
        """Start a program of the world and watch it."""
        self._commands[name] = (command, environ)
        process = processes.start(name, command, self.logs_dir / f"{name}.log", environ)
        self.adopt(process)
        return process

    def adopt(self, process: Process) -> None:
        """Watch a process that was started elsewhere."""
        self.processes[process.name] = process
        self._expected_dead.discard(process.name)
        self._reaper.watch(process)

    def kill(self, name: str, *, grace_seconds: float = 0.0) -> None:
        """Kill a program at once, as a crash would, or after it had that long to end by itself."""
        self._expected_dead.add(name)
        self._reaper.forget(self.processes[name])
        processes.stop([self.processes[name]], grace_seconds=grace_seconds)

    def restart(self, name: str) -> Process:
        """Start a program again that `kill` ended, and wait until it answers."""
        process = self.launch(name, *self._commands[name])
        process.wait_until(lambda: self.is_ready(name), READY_SECONDS)
        return process

    def health_url(self, name: str) -> str:
        """The address on this machine that answers when a program is ready."""
        ports, scheme = self.place.ports, "https" if self.addresses.names else "http"
        return {
            "simulator": f"{self.sim_http_url}/__control/health",
            "azure": f"{self.azure_url}/__control/health",
            "devhost": f"{scheme}://localhost:{ports.app}/admin/host/ping",
            "crm": f"{scheme}://127.0.0.1:{ports.crm}/conversations",
        }[name]

    def is_ready(self, name: str) -> bool:
        """Whether a program answers."""
        return answers(self.health_url(name), self.addresses.verify())

    def dead(self) -> list[Process]:
        """The processes that ended unexpectedly."""
        return [
            process
            for name, process in self.processes.items()
            if name not in self._expected_dead and not process.alive
        ]

    def watch(self, stopping: threading.Event) -> None:
        """Until stopped, report each process that has died, with the end of its log."""
        while not stopping.wait(LOOK_EVERY_SECONDS):
            for process in self.dead():
                self._expected_dead.add(process.name)
                self.options.told(f"\n{process.death_report()}\n")
                self.ended.set()

    def close(self) -> None:
        """Stop all processes."""
        processes.stop(list(self.processes.values()))
        self._reaper.close()


class _Starting(AbstractContextManager[World], AbstractAsyncContextManager[World]):
    """The context manager of a world, for `with` and for `async with`."""

    def __init__(self, options: WorldOptions) -> None:
        self._options = options
        self._stack = ExitStack()
        self._worlds: list[World] = []

    def __enter__(self) -> World:
        return self._stack.enter_context(_run_world(self._options, self._worlds.append))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    async def __aenter__(self) -> World:
        starting = asyncio.ensure_future(asyncio.to_thread(self.__enter__))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            # Ctrl-C while starting: without its processes the start fails at once.
            for world in self._worlds:
                await asyncio.to_thread(processes.stop, list(world.processes.values()))
            await asyncio.gather(starting, return_exceptions=True)
            self._stack.close()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self._stack.close)


@contextmanager
def _run_world(options: WorldOptions, on_created: Callable[[World], None]) -> Iterator[World]:
    started_at = time.monotonic()
    with ExitStack() as stack:
        place = stack.enter_context(prepared(options))
        options.told(f"starting a world in {place.folder}")
        world = World(place, options, OffsetClock(place.clock_file), local_addresses(place))
        stack.callback(lambda: options.told("the world has ended"))
        stack.callback(world.close)
        on_created(world)
        _launch_all(world)
        stopping = threading.Event()
        watcher = threading.Thread(target=world.watch, args=[stopping], daemon=True)
        watcher.start()
        stack.callback(watcher.join)
        stack.callback(stopping.set)
        options.told(f"  the world is up after {time.monotonic() - started_at:.1f} s")
        yield world


def _launch_all(world: World) -> None:
    """Start storage and simulator, register the application, create resources and tenant, start CRM and host."""
    told = world.options.told
    own = _start_azure(world) if world.options.profile == "azure" else _start_local(world)
    if world.options.sabotage:
        own["SANDBOX_SABOTAGE"] = world.options.sabotage
    write_environment(own, world.place.environment_file)
    world.env = (azure_environment() if world.addresses.names else own_environment()) | own
    world.operator_env = world.operator_env or world.env
    told("  application registered at the simulator")
    _run_command(world, "create-storage", programs.create_storage(world.place, world.addresses))
    told("  storage resources created")
    made = json.loads(
        _run_command(world, "create-tenant", programs.create_tenant(world.place, world.addresses))
    )
    world.tenant_id, world.api_key, world.webhook_secret = (
        str(made[name]) for name in ("tenant_id", "api_key", "webhook_secret")
    )
    told("  tenant 'Northwind' created")
    _write_crm_config(world)
    crm = world.launch("crm", programs.crm(world.place, world.addresses), own_environment())
    host = world.launch("devhost", programs.dev_host(world.place, world.options, world.addresses), world.env)
    _wait_until_ready(world, crm)
    _wait_until_ready(world, host)


def _start_local(world: World) -> dict[str, str]:
    """Storage and simulator on ports of this machine; return the product's settings."""
    _start_storage(world, None)
    own = make_product_environment(world.place, world.connection_string, world.options)
    _start_simulator(world)
    body = {"client_secret": own["ENTRA_CLIENT_SECRET"], "redirect_uris": _redirect_uris(world)}
    url = f"{world.sim_http_url}/__control/applications"
    httpx.post(url, json={"client_id": CLIENT_ID, **body}, trust_env=False).raise_for_status()
    return own


def _start_azure(world: World) -> dict[str, str]:
    """Storage, simulator and the stand-ins for Azure under their public names; return the product's settings."""
    place = world.place
    certificates = make_certificates(place.tls, [*LOOPBACK, *addresses.CERTIFIED])
    accounts = (addresses.HOST_ACCOUNT, addresses.DATA_ACCOUNT)
    azurite = _start_storage(world, Secured(certificates, accounts))
    ports, config, names = azure.prepare(place, certificates, azurite)
    world.addresses = addresses.azure_addresses(names, certificates.leaf)
    world.azure_url = ports.url
    command = programs.azure(place, world.addresses, ports.identity, ports.vault)
    _wait_until_ready(world, world.launch("azure", command, own_environment()))
    _start_simulator(world)
    world.operator_env = azure.operator_environment(place, ports)
    azure.register_application(world.sim_http_url, ports.url, _redirect_uris(world))
    return azure.product_environment(ports, config, names)


def _start_storage(world: World, secured: Secured | None) -> Azurite:
    log = world.logs_dir / "azurite.log"
    azurite = start_azurite(world.place.folder / "azurite", log, in_memory=True, secured=secured)
    for process in azurite.processes:
        world.adopt(process)
    world.connection_string = "" if secured else azurite.connection_string
    ports = (azurite.blob_port, azurite.queue_port, azurite.table_port)
    world.options.told(f"  storage ready on ports {', '.join(map(str, ports))}")
    return azurite


def _start_simulator(world: World) -> None:
    command = programs.simulator(world.place, world.options, world.addresses)
    _wait_until_ready(world, world.launch("simulator", command, own_environment()))


def _redirect_uris(world: World) -> list[str]:
    return [f"{world.app_url}/api/oauth/{path}" for path in ("callback", "admin-consent")]


def _wait_until_ready(world: World, process: Process) -> None:
    process.wait_until(lambda: world.is_ready(process.name), READY_SECONDS)
    address = world.health_url(process.name)
    world.options.told(
        f"  {process.name} ready at {address.rsplit('/__control', 1)[0].rsplit('/admin', 1)[0]}"
    )


def answers(url: str, verify: ssl.SSLContext | bool = True) -> bool:
    """Whether a GET of the address succeeds."""
    with suppress(httpx.HTTPError):
        return httpx.get(url, timeout=5.0, trust_env=False, verify=verify).is_success
    return False


def _run_command(world: World, name: str, command: list[str]) -> str:
    """Run one of the operator's commands; return its standard output. Raises ProcessDied."""
    done = subprocess.run(
        command,
        env=dict(world.operator_env),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=READY_SECONDS,
        check=False,
    )
    if done.returncode:
        raise ProcessDied(f"{name} failed with exit code {done.returncode}:\n{done.stderr[-4000:]}")
    return done.stdout


def _write_crm_config(world: World) -> None:
    config: dict[str, Any] = {
        "api_key": world.api_key,
        "webhook_secret": world.webhook_secret,
        "data_dir": str(world.place.folder / "crm"),
    }
    path = world.place.folder / "crm.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(config), encoding="utf-8")
