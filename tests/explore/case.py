"""One case: a flow, a seed of the interleaving, and the faults that it meets; played, drained and judged."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

from sandbox.story.stage import ANN_ADDRESS, Lie
from tests.explore import oracle
from tests.explore.faults import Crossing, Fault
from tests.explore.flows import FLOWS
from tests.explore.platform import HOUR, MINUTE
from tests.explore.truth import Truth
from tests.explore.world import Explored

DRAINED_HOURS = 3
# Longer than what nobody needs may stay: a week until the walk that finds it, and a day. Nothing runs meanwhile.
STANDSTILLS_HOURS = (9 * 24, 25)


@dataclass(frozen=True, slots=True)
class Case:
    """What to play."""

    flow: str
    seed: int
    plan: tuple[Fault, ...] = ()

    def __str__(self) -> str:
        return f"{self.flow}/{self.seed}/{'|'.join(str(fault) for fault in self.plan)}"

    @classmethod
    def read(cls, text: str) -> Case:
        """The inverse of `str`. Raises ValueError for what is no case."""
        flow, seed, plan = text.split("/", 2)
        if flow not in FLOWS:
            msg = f"{flow} is no flow"
            raise ValueError(msg)
        return cls(flow, int(seed), tuple(Fault.read(fault) for fault in plan.split("|") if fault))


@dataclass(slots=True)
class Outcome:
    """What came of it. `made`: the calls in their order; `hit`: how many of the faults were met."""

    case: str
    found: dict[str, list[str]] = field(default_factory=dict)
    made: list[Crossing] = field(default_factory=list)
    hit: int = 0
    attempted: int = 0
    acknowledged: int = 0
    deaths: int = 0
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """For the pipe between processes."""
        made = [[crossing.site, crossing.number, crossing.writes] for crossing in self.made]
        return {**{name: getattr(self, name) for name in self.__slots__}, "made": made}

    @classmethod
    def read(cls, document: dict[str, Any]) -> Outcome:
        """The inverse of `as_json`."""
        return cls(**{**document, "made": [Crossing(*crossing) for crossing in document["made"]]})


async def prepare(world: Explored, flow: str) -> Truth:
    """The world in which the flow begins; nothing is counted yet."""
    truth = Truth(world)
    await FLOWS[flow].prepare(truth)
    return truth


async def play(truth: Truth, case: Case, *, show: bool = False) -> Outcome:
    """The flow with its faults; then all is well and time passes; then what must still work; then the judgement."""
    began, world, flow = time.perf_counter(), truth.world, FLOWS[case.flow]
    truth.attempted = truth.acknowledged = 0
    world.begin(case.seed, list(case.plan), show=show)
    outcome = Outcome(str(case))
    try:
        await flow.play(truth)
        await asyncio.sleep(flow.minutes * MINUTE)
        world.crossings.on = False
        world.tell("all is well from here on")
        await drain(world)
        await epilogue(truth)
        outcome.found = await oracle.judge(truth)
    except Lie as err:
        outcome.found = {"stuck": [str(err)]}
    outcome.made, outcome.hit = world.crossings.made, len(world.crossings.hit)
    outcome.attempted, outcome.acknowledged = truth.attempted, truth.acknowledged
    outcome.deaths, outcome.seconds = world.processes.deaths, time.perf_counter() - began
    return outcome


async def drain(world: Explored) -> None:
    """Time for all that waits."""
    calm = {"reauthorization_events": "none", "subscription_pauses_with_token": "no"}
    await world.stage.control("PUT", "knobs", **calm)
    world.platform.slow_down()
    await asyncio.sleep(DRAINED_HOURS * HOUR)
    for hours in STANDSTILLS_HOURS:
        world.clock.advance(hours * HOUR)
        world.platform.slow_down()
        await asyncio.sleep(12 * MINUTE)


async def epilogue(truth: Truth) -> None:
    """Whatever went wrong: what is connected still sends, and still brings the answer."""
    if truth.status != "connected":
        return
    truth.world.platform.slow_down()
    await truth.crm_sends("SendZx")
    await asyncio.sleep(6 * MINUTE)
    await truth.contact_answers("AnswerZx", "SendZx")
    if "Answer0x" in truth.shown:
        same = truth.address == ANN_ADDRESS
        await truth.contact_answers("AnswerYx", "Send0x", where="shown" if same else "kept_out")
    await asyncio.sleep(8 * MINUTE)
