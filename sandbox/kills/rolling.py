"""A deployment under load: this version, then the next one beside it, then the next one alone; then the verdict."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Final

from sandbox.kills.load import Load
from sandbox.kills.running import ROUND_SECONDS, WRITERS, commit, prepare, settle
from sandbox.kills.verdict import Verdict
from sandbox.processes import GRACE_SECONDS, free_ports
from sandbox.story.playing import staged
from sandbox.world import World, WorldOptions
from sandbox.world.programs import dev_host
from sandbox.world.running import READY_SECONDS, answers

NEXT_HOOK: Final = "sandbox.kills.next_version:install"
OUTAGE: Final = 12  # events that the CRM does not take at first
STEPS: Final = 3
THIS, NEXT = "devhost", "devhost-next"


async def run(seconds: float, seed: int) -> int:
    """Play it, each of the three stages for that long; print the figures; return the exit code."""
    began = time.monotonic()
    print(f"make rolling SECONDS={seconds:g} SEED={seed}  # at commit {commit()}", flush=True)
    async with World.start(WorldOptions(seed=seed, one_process=True)) as world, staged(world) as stage:
        await prepare(stage)
        load = Load(stage, random.Random(f"load {seed}"))
        async with asyncio.TaskGroup() as group:
            for _ in range(WRITERS):
                group.create_task(load.run())
            await asyncio.sleep(seconds)
            await asyncio.to_thread(_launch_next, world)
            print("  both versions run", flush=True)
            # What fails becomes due work, which each version writes in its own way and meets the other's of.
            await stage.of_crm("POST", "/__control/outage", count=OUTAGE)
            for _ in range(STEPS):
                await asyncio.sleep(seconds / STEPS)
                await stage.advance(ROUND_SECONDS)
            await asyncio.to_thread(_replace_this, world)
            print("  the next version runs alone", flush=True)
            await asyncio.sleep(seconds)
            load.stopping = True
        verdict: Verdict = await settle(stage, load)
        left = (world.logs_dir / f"{THIS}.log").read_text(encoding="utf-8").count("left_to_newer")
        print(f"  this version met {left} times what it left to the next", flush=True)
    print(
        f"{verdict}\n{'all well' if verdict.is_good else 'FAILED'} after {time.monotonic() - began:.0f} s",
        flush=True,
    )
    return 0 if verdict.is_good else 1


def _command(world: World, port: int) -> list[str]:
    """The next version's host on that port."""
    command = dev_host(world.place, world.options, world.addresses)
    command[command.index("--port") + 1] = str(port)
    command[command.index("--bootstrap") + 1] = NEXT_HOOK
    return command


def _launch_next(world: World) -> None:
    """Start the next version beside this one; it is not asked by anybody, but takes from the same queues."""
    (port,) = free_ports(1)
    process = world.launch(NEXT, _command(world, port), world.env)
    process.wait_until(lambda: answers(f"http://localhost:{port}/admin/host/ping"), READY_SECONDS)


def _replace_this(world: World) -> None:
    """End this version as a deployment does, and let the next one answer at its address."""
    world.kill(THIS, grace_seconds=GRACE_SECONDS)
    process = world.launch(THIS, _command(world, world.place.ports.app), world.env)
    process.wait_until(lambda: world.is_ready(THIS), READY_SECONDS)
