"""The daily audit in the whole system: what sabotaged notifications and sweeps have missed comes all the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

from sandbox.story.stage import ANN
from shared.domain.listing import Ask
from shared.domain.model import OutlinePage
from shared.ports import Access
from shared.services import Services
from tests.simulation.moves import (
    carla_answers,
    connected,
    crm_sends,
    foreign_bodies_read,
    in_crm,
    stranger_writes,
)
from tests.simulation.test_budgets import FILTERED, HOUR
from tests.simulation.world import OneProcess, one_process

DAY = 24 * HOUR


class _Blind:
    """A mail port whose sweeps list nothing."""

    def __init__(self, real: Any) -> None:
        self.real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    async def sweep(self, access: Access, ask: Ask) -> OutlinePage:
        """Ask Graph, and lose what comes."""
        await self.real.sweep(access, ask)
        return OutlinePage((), None)


def blind(s: Services) -> Services:
    """The product whose sweeps see nothing."""
    return replace(s, mail=_Blind(s.mail))


async def completeness(world: OneProcess) -> dict[str, Any]:
    answer = await world.stage.api("GET", f"/v1/users/{ANN}/connection")
    shown: dict[str, Any] = answer.json()["completeness"]
    return shown


async def hours(world: OneProcess, count: int) -> None:
    for _ in range(count):
        await world.advance(HOUR)


async def test_what_notifications_and_sweeps_missed_is_imported(tmp_path: Path) -> None:
    """With notifications lost and sweeps that see nothing, answers are in the CRM within a day, and nothing foreign."""
    async with one_process(tmp_path, knobs=FILTERED, wrap=blind) as world:
        stage = await connected(world)
        await crm_sends(stage, "Opening.")
        await world.advance(HOUR / 4)
        await carla_answers(stage, "Seen at once.")
        await world.advance(HOUR / 4)
        await stage.control("POST", "notifications", action="drop", count=50)
        await carla_answers(stage, "Missed by all.")
        await stranger_writes(stage, "Nothing for the CRM.")
        await world.advance(HOUR / 2)
        assert await in_crm(stage, "Missed by all.") == []
        await hours(world, 25)
        assert len(await in_crm(stage, "Missed by all.")) == 1
        assert await foreign_bodies_read(stage) == []
        found = await completeness(world)
        assert (found["in_mailbox"], found["told"], found["found_late"]) == (3, 3, 1)
        await hours(world, 24)
        assert len(await in_crm(stage, "Missed by all.")) == 1
        assert (await completeness(world))["found_late"] == 0


async def test_what_an_audit_costs(tmp_path: Path) -> None:
    """An audit costs a list for each fifty mails of a week and one more, a day, and nothing once all is quiet."""
    async with one_process(tmp_path, knobs=FILTERED) as world:
        stage = await connected(world)
        for number in range(3):
            await crm_sends(stage, f"Opening {number}.")
            await world.advance(HOUR / 4)
        assert await _lists(world, 26) <= 4
        assert await _lists(world, 24) == 2
        await world.advance(8 * DAY)
        assert await _lists(world, 24) == 0


async def _lists(world: OneProcess, count: int) -> int:
    """Lists of what was received within so many hours."""
    since, _ = await world.stage.requests()
    await hours(world, count)
    _, log = await world.stage.requests(since)
    return sum("receivedDateTime lt" in unquote_plus(request["query"]) for request in log)
