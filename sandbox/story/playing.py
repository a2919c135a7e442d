"""Play the story on the processes of a world: print a line for each act, stop at the first failed check."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import httpx

from sandbox.devhost.app_packages import ForeignModules
from sandbox.names import http_transport
from sandbox.processes import GRACE_SECONDS
from sandbox.story import acts
from sandbox.story.secretless import nothing_secret
from sandbox.story.stage import Check, Lie, Stage
from sandbox.story.telling import Told
from sandbox.world import World, WorldOptions

POLL_SECONDS = 0.2
QUIET_SECONDS = 3.0


async def run(
    sabotage: str | None = None,
    profile: Literal["local", "azure"] = "local",
    package: Path | None = None,
) -> int:
    """Start a new world, play every act, stop it. Return the exit code: 0, or 1 when a check failed."""
    options = WorldOptions(sabotage=sabotage, profile=profile, package=package)
    async with World.start(options) as world:
        async with staged(world) as stage:
            await acts.seed(stage)
            code = await play(stage)
        return code or await asyncio.to_thread(check_package, world)


def check_package(world: World) -> int:
    """Stop the host and read what each process says of where its modules came from; return 1 when one had others.

    Nothing to check, and 0, when the world does not run a package.
    """
    if world.options.package is None:
        return 0
    world.kill("devhost", grace_seconds=GRACE_SECONDS)
    lines = world.processes["devhost"].log_path.read_text(encoding="utf-8").splitlines()
    foreign = [line for line in lines if ForeignModules.__name__ in line]
    alone = [line for line in lines if line.endswith(f"all from {world.options.package}")]
    print(
        "\n".join(foreign or [f"{len(alone)} processes had nothing but the package, as in {alone[:1]}"]),
        flush=True,
    )
    return 1 if foreign or not alone else 0


async def play(stage: Stage) -> int:
    """Play all acts in order, on Azure's stand-ins one more; return the exit code: 0, or 1 when a check failed."""
    told, story = Told(), (*acts.STORY, *([nothing_secret] if stage.azure else []))
    begun = time.monotonic()
    for number, act in enumerate(story, 1):
        started, title = time.monotonic(), (act.__doc__ or "").rstrip(".")
        try:
            await act(stage, told)
        except (Lie, KeyError, IndexError, httpx.HTTPError) as err:
            print(f"{number:2}. {title} … FAILED: {err!r}", flush=True)
            return 1
        print(f"{number:2}. {title} … ok ({time.monotonic() - started:.1f} s)", flush=True)
    print(f"{len(story)} passed, 0 failed", flush=True)
    print(f"the story took {time.monotonic() - begun:.0f} s", file=sys.stderr)
    return 0


@asynccontextmanager
async def staged(world: World) -> AsyncIterator[Stage]:
    """The stage on a world's processes: HTTP clients for its programs, and waiting by polling."""
    async with AsyncExitStack() as stack:

        async def client(base: str) -> httpx.AsyncClient:
            transport = http_transport(world.addresses.names)
            fresh = httpx.AsyncClient(base_url=base, timeout=30.0, trust_env=False, transport=transport)
            return await stack.enter_async_context(fresh)

        azure = await client(world.azure_url) if world.azure_url else None
        app, sim, crm = (
            await client(world.app_url),
            await client(world.sim_http_url),
            await client(world.crm_url),
        )

        async def advance(seconds: float) -> None:
            world.clock.advance(seconds)
            await asyncio.sleep(1.0)

        async def quiet() -> None:
            await asyncio.sleep(QUIET_SECONDS)

        yield Stage(app, sim, crm, world.api_key, advance, poll, quiet, azure=azure)


async def poll(check: Check, seconds: float) -> Any:
    """Call `check` until its result is truthy or the time is over; return the last result."""
    until = time.monotonic() + seconds
    while not (found := await check()) and time.monotonic() < until:  # noqa: ASYNC110 - other processes set no event
        await asyncio.sleep(POLL_SECONDS)
    return found
