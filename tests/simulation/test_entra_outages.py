"""A long outage of Entra: how often a mailbox with waiting work asks for a token, and that all of it goes on after."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import httpx

from sandbox.clock import VirtualClock
from sandbox.graphsim.knobs import Value
from tests.simulation.moves import carla_answers, connected, crm_sends, in_crm, shown, stranger_writes
from tests.simulation.world import OneProcess, one_process

HOUR = 3600.0
KNOBS: dict[str, Value] = {"access_token_seconds": 3_600, "list_500": "never", "list_504": "never"}
SENDS, ANSWERS, PRIVATE = 8, 4, 20
MOST_AN_HOUR = 16


@dataclass(slots=True)
class Entra(httpx.AsyncBaseTransport):
    """Microsoft, whose sign-in refuses connections while `down`; it counts by the hour how often it is asked then."""

    inner: httpx.AsyncBaseTransport
    clock: VirtualClock
    down: bool = False
    began: datetime | None = None
    asked: Counter[int] = field(default_factory=Counter)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Graph goes on."""
        if self.down and not request.url.path.startswith(("/v1.0/", "/api/v2.0/")):
            self.began = self.began or self.clock.now()
            self.asked[int((self.clock.now() - self.began).total_seconds() // HOUR)] += 1
            raise httpx.ConnectError("refused", request=request)
        return await self.inner.handle_async_request(request)


async def hours(world: OneProcess, count: int) -> None:
    """Time, with both timers every two and a half minutes."""
    for _ in range(count):
        await world.advance(HOUR)


async def test_a_day_without_entra_costs_few_calls(tmp_path: Path) -> None:
    """However much of a mailbox waits for a token, one is asked for 16 times an hour at most; then all of it goes on.

    With eight sends and 24 mails that wait it was 252 times, each of which holds a thread until Entra's time is over.
    """
    async with one_process(tmp_path, knobs=KNOBS) as world:
        stage = await connected(world)
        entra = Entra(world.router.hosts["localhost:7443"], world.clock)
        world.router.hosts["localhost:7443"] = entra
        await crm_sends(stage, "First")
        await world.advance(300)
        entra.down = True
        await hours(world, 1)
        sends = [await crm_sends(stage, f"Waits{number}x") for number in range(SENDS)]
        for number in range(ANSWERS):
            await carla_answers(stage, f"Answer{number}x")
        for number in range(PRIVATE):
            await stranger_writes(stage, f"Private{number}x")
        await hours(world, 23)
        assert max(entra.asked.values()) <= MOST_AN_HOUR, entra.asked
        assert len(entra.asked) >= 23, (
            "it is asked again in every hour, so that it is found as soon as it is back"
        )
        entra.down = False
        await world.advance(1_800)
        assert {(await shown(stage, each))["status"] for each in sends} == {"sent"}
        assert [len(await in_crm(stage, f"Answer{number}x")) for number in range(ANSWERS)] == [1] * ANSWERS
