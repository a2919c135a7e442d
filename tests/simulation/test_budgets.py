"""What a mail costs at Graph, counted by the simulator's own log, with basic notifications.

The budgets: a foreign mail 1 call of at most 1 kB; an inbound CRM message 2, and 1 for each file; a new send 2 with its
files inside, a reply 3, files added later 1 each and 1 to compare; 1 more for the echo of a send.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sandbox.graphsim.knobs import Value
from sandbox.story.acts import PDF, attached
from tests.simulation.moves import carla_answers, connected, crm_sends, shown, stranger_writes
from tests.simulation.world import OneProcess, one_process

HOUR = 3600.0
PDFS = [attached("a.pdf", "application/pdf", PDF), attached("b.pdf", "application/pdf", PDF)]
QUIET: dict[str, Value] = {
    "notification_duplicates": "never",
    "reauthorization_events": "none",
    "list_500": "never",
    "list_504": "never",
    "access_token_seconds": 86_400,
}
FILTERED = QUIET | {"subscription_is_draft_filter": "accepted"}
NEW_SEND = {"message.create": 1, "message.send": 1, "message.get": 1}
REPLY = {"message.createReply": 1, "message.update": 1, "message.send": 1, "message.get": 1}


@dataclass(slots=True)
class Meter:
    """Calls to Graph that something causes."""

    world: OneProcess

    async def log(self, doing: Awaitable[Any], seconds: float = 120.0) -> list[dict[str, Any]]:
        """Every call within that time; sweeps stay out of it, they do not depend on the mail."""
        since, _ = await self.world.stage.requests()
        await doing
        await self.world.advance(seconds)
        _, log = await self.world.stage.requests(since)
        return [request for request in log if request["operation"] not in {"entra.token", "message.list"}]

    async def calls(self, doing: Awaitable[Any]) -> Counter[str]:
        """Calls by operation."""
        return Counter(request["operation"] for request in await self.log(doing))


async def _warm(world: OneProcess) -> tuple[Meter, dict[str, Any]]:
    """A thread is open, and everything that is asked once has been asked."""
    stage = await connected(world)
    first = await crm_sends(stage, "Warm.")
    await world.advance(120.0)
    await carla_answers(stage, "Warmer.", PDFS)
    await world.advance(120.0)
    return Meter(world), await shown(stage, first)


async def test_a_foreign_mail(tmp_path: Path) -> None:
    """A foreign mail costs one call of at most 1 kB for its outline, and a flag set later costs nothing."""
    async with one_process(tmp_path, knobs=FILTERED) as world:
        meter, _ = await _warm(world)
        log = await meter.log(stranger_writes(world.stage, "Nothing for the CRM."))
        assert [request["operation"] for request in log] == ["message.get"]
        assert log[0]["bytes"] <= 1000
        inbox = [mail for mail in await world.stage.mailbox() if mail["folder"] == "inbox"]
        read = f"mailboxes/ann@northwind.example/messages/{inbox[-1]['ordinary_id']}/read"
        assert not await meter.log(world.stage.control("POST", read, is_read=True))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (0, {"message.get": 2}),
        (1, {"message.get": 2, "attachment.value": 1}),
        (2, {"message.get": 2, "attachment.value": 2}),
    ],
)
async def test_an_inbound_message(tmp_path: Path, files: int, expected: dict[str, int]) -> None:
    """An inbound message costs two calls and one more for each file; the list of files comes with the mail."""
    async with one_process(tmp_path, knobs=FILTERED) as world:
        meter, _ = await _warm(world)
        assert await meter.calls(carla_answers(world.stage, "Yes.", PDFS[:files])) == expected


@pytest.mark.parametrize("files", [0, 2])
async def test_a_new_send(tmp_path: Path, files: int) -> None:
    """A new send costs two calls with its files inside, and one for its echo."""
    async with one_process(tmp_path, knobs=FILTERED) as world:
        meter, _ = await _warm(world)
        assert await meter.calls(crm_sends(world.stage, "New.", attachments=PDFS[:files])) == NEW_SEND


@pytest.mark.parametrize(("files", "more"), [(0, {}), (1, {"attachment.create": 1, "attachment.list": 1})])
async def test_a_reply(tmp_path: Path, files: int, more: dict[str, int]) -> None:
    """A reply costs three calls and one for its echo, and with a file two more."""
    async with one_process(tmp_path, knobs=FILTERED) as world:
        meter, first = await _warm(world)
        sending = crm_sends(world.stage, "Reply.", first, attachments=PDFS[:files])
        assert await meter.calls(sending) == REPLY | more


async def test_a_send_where_drafts_are_notified(tmp_path: Path) -> None:
    """Where Graph refuses the filter, the notified draft of a send costs one call more."""
    async with one_process(tmp_path, knobs=QUIET) as world:
        meter, first = await _warm(world)
        log = await meter.log(crm_sends(world.stage, "New."), HOUR / 4)
        assert Counter(request["operation"] for request in log) == NEW_SEND | {"message.get": 2}
        log = await meter.log(crm_sends(world.stage, "Reply.", first), HOUR / 4)
        assert Counter(request["operation"] for request in log) == REPLY | {"message.get": 2}


async def test_sweeps_of_a_day(tmp_path: Path) -> None:
    """A mailbox without a thread is not swept, an active one each 15 minutes, and a quiet one each 6 hours."""
    async with one_process(tmp_path, knobs=FILTERED) as world:
        stage = await connected(world)
        assert await _sweeps(world, 24) == 0
        await crm_sends(stage, "Active.")
        assert 90 <= await _sweeps(world, 24) <= 110
        await world.advance(8 * 24 * HOUR)
        assert 3 <= await _sweeps(world, 24) <= 5


async def _sweeps(world: OneProcess, hours: int) -> int:
    since, _ = await world.stage.requests()
    for _ in range(hours):
        await world.advance(HOUR)
    _, log = await world.stage.requests(since)
    return len([request for request in log if request["operation"] == "message.list"])
