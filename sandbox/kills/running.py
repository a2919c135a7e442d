"""Start a world, let people write, kill its workers meanwhile, let everything settle, and judge."""

from __future__ import annotations

import asyncio
import random
import subprocess
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import httpx

from sandbox.kills.killing import children_of, kill_any
from sandbox.kills.load import CONTACTS, Load, token_of
from sandbox.kills.verdict import Verdict, judge, read_facts
from sandbox.processes import ROOT
from sandbox.story.connecting import connect
from sandbox.story.playing import poll, staged
from sandbox.story.stage import ANN_ADDRESS, STRANGER, Lie, Stage
from sandbox.world import World, WorldOptions

BETWEEN_KILLS_SECONDS: Final = (0.05, 1.5)
LOOK_EVERY_SECONDS: Final = 0.05
IDLE_AT_MOST_SECONDS: Final = 10.0
QUIET_AT_MOST_SECONDS: Final = 60.0
WRITERS: Final = 3
TOLD_EVERY: Final = 10
BACK_SECONDS: Final = 90.0
ROUND_SECONDS: Final = 6 * 60.0  # of the world's clock: longer than a send waits before it is asked about
MOST_ROUNDS: Final = 40
QUIET_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How many processes are killed, by what seed, and how: `kill`, `term` or `mixed`."""

    kills: int
    seed: int
    how: str = "kill"
    sabotage: str | None = None

    @property
    def command(self) -> str:
        """What plays it again. Moments differ, for processes are real; moves, victims and pauses are the same."""
        more = f" DEATH={self.how}" if self.how != "kill" else ""
        return f"make kills KILLS={self.kills} SEED={self.seed}{more}"


async def run(plan: Plan) -> int:
    """Play the plan; print the figures; return the exit code: 0, or 1 when anything is wrong."""
    began = time.monotonic()
    print(f"{plan.command}  # at commit {commit()}", flush=True)
    options = WorldOptions(seed=plan.seed, sabotage=plan.sabotage)
    async with World.start(options) as world, staged(world) as stage:
        await prepare(stage)
        load = Load(stage, random.Random(f"load {plan.seed}"))
        async with asyncio.TaskGroup() as group:
            for _ in range(WRITERS):
                group.create_task(load.run())
            killed = await _kill(world, plan, load)
            load.stopping = True
        print(f"killed {sum(killed.values())}: {_counted(killed)}", flush=True)
        await _wait_until_back(world)
        verdict = await settle(stage, load)
        for line in await explain(stage, [*verdict.lost, *verdict.stuck]):
            print(line, flush=True)
    print(verdict, flush=True)
    print(
        f"{'all well' if verdict.is_good else 'FAILED: ' + plan.command} after {time.monotonic() - began:.0f} s"
    )
    return 0 if verdict.is_good else 1


async def prepare(stage: Stage) -> None:
    """Ann is connected, and a first mail has opened a thread, so that there is a subscription."""
    await stage.control("POST", "users", address=ANN_ADDRESS, display_name="Ann Archer")
    for address in (*CONTACTS, STRANGER):
        await stage.control("POST", "contacts", address=address, name=address)
    await connect(stage)


async def _kill(world: World, plan: Plan, load: Load) -> Counter[str]:
    """Kill at random moments, each after something has been written since the last."""
    dice, killed = random.Random(f"kills {plan.seed}"), Counter[str]()
    supervisors = [world.processes["devhost"].popen.pid]
    while sum(killed.values()) < plan.kills:
        written, until = len(load.written), time.monotonic() + IDLE_AT_MOST_SECONDS
        await asyncio.sleep(dice.uniform(*BETWEEN_KILLS_SECONDS))
        while len(load.written) == written and time.monotonic() < until:  # noqa: ASYNC110 - nobody sets an event
            await asyncio.sleep(LOOK_EVERY_SECONDS)
        if victim := kill_any(dice, supervisors, plan.how):
            killed[victim] += 1
            if sum(killed.values()) % TOLD_EVERY == 0:
                print(f"  {sum(killed.values())} killed, {len(load.written)} mails written", flush=True)
    return killed


async def _wait_until_back(world: World) -> None:
    """Every group has a process again, and it answers."""
    pid, groups = world.processes["devhost"].popen.pid, 0

    async def is_back() -> bool:
        nonlocal groups
        alive = len(children_of(pid))
        is_steady, groups = alive == groups, alive
        return is_steady and alive > 1 and await asyncio.to_thread(world.is_ready, "devhost")

    if not await poll(is_back, BACK_SECONDS):
        raise Lie("the host's processes did not come back")


async def settle(stage: Stage, load: Load) -> Verdict:
    """Time passes until nothing is wrong any more, or for four hours; then one more sweep, for what comes late."""
    for _ in range(MOST_ROUNDS):
        await _wait_until_quiet(stage)
        with suppress(httpx.HTTPError, Lie):
            if judge(load.written, await read_facts(stage)).is_good:
                break
        await stage.advance(ROUND_SECONDS)
    await stage.advance(16 * 60.0)
    await _wait_until_quiet(stage)
    return judge(load.written, await read_facts(stage))


async def _wait_until_quiet(stage: Stage) -> None:
    """Until nobody has called Graph for a while: a clock that jumps under a worker takes it for dead."""
    until, known, since = time.monotonic() + QUIET_AT_MOST_SECONDS, -1, time.monotonic()
    while time.monotonic() < until and time.monotonic() - since < QUIET_SECONDS:
        count, _ = await stage.requests(max(known, 0))
        known, since = count, since if count == known else time.monotonic()
        await asyncio.sleep(LOOK_EVERY_SECONDS * 4)


async def explain(stage: Stage, tokens: list[str]) -> list[str]:
    """How the product says that these sends stand."""
    lines = []
    for message in await stage.crm_messages():
        if token_of(message) in tokens:
            shown = await stage.api("GET", f"/v1/messages/{message['product_id']}")
            lines.append(f"  {token_of(message)}, to the CRM {message['status']}: {shown.text}")
    return lines


def commit() -> str:
    """The commit that is checked out, for a replay."""
    command = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _counted(killed: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(killed.items()))


def fresh_seed() -> int:
    """A seed that nobody chose."""
    return random.SystemRandom().randrange(1, 1_000_000)
