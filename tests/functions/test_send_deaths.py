"""Sends on which the process dies: retried a few times, then held and told; what died beside them by chance leaves."""

from __future__ import annotations

from typing import Any

import pytest

from shared.domain.errors import StoreUnavailable
from shared.state import keys
from shared.storage.testing.calls import Call, no_hook
from tests.functions.app import App


class Died(BaseException):
    """The process ends here: out of memory, or killed."""


async def die() -> None:
    """The process dies at this step."""
    raise Died


async def minutes(app: App, number: int) -> int:
    """Time passes minute by minute; a process that dies is started anew. Returns how often one died."""
    deaths = 0
    for _ in range(number):
        app.clock.forward(minutes=1)
        await app.tick()
        while True:
            try:
                await app.pump()
                break
            except Died:
                deaths += 1
    return deaths


async def letters(app: App) -> list[str]:
    """Causes of the dead letters of sends."""
    found = [kept.letter async for kept in app.services.dead_letters.all()]
    return [letter.cause for letter in found if letter.queue == keys.OUTBOX]


def told_of(app: App, message_id: str) -> list[Any]:
    """Types of the events of that message."""
    return [event["type"] for event in app.crm.told if event["data"].get("id") == message_id]


async def test_a_draft_that_kills_each_worker_is_given_up(ready: App) -> None:
    """Five deaths over at least half an hour end the send: told once, shown to operators, and no worker dies again."""
    ready.mail.during["create_draft"] = die
    message_id = await ready.accepted()
    assert await minutes(ready, 20) <= 4
    assert await ready.standing(message_id) == ("sending", None)
    assert await minutes(ready, 100) <= 4
    assert await ready.standing(message_id) == ("failed", "gave_up")
    assert told_of(ready, message_id) == ["message.failed"]
    (letter,) = await letters(ready)
    assert "given_up:WorkersDied" in letter
    assert await minutes(ready, 30) == 0
    assert ready.mail.calls.count("create_draft") == 5


async def test_one_death_delays_a_send_by_its_lease(ready: App) -> None:
    """After a single death the send leaves as soon as the lease has ended."""
    ready.mail.during["create_draft"] = die
    message_id = await ready.accepted()
    with pytest.raises(Died):
        await ready.pump()
    ready.mail.during.clear()
    await ready.later(minutes=4)
    assert await ready.standing(message_id) == ("sent", None)


async def test_a_failing_store_is_no_death(ready: App) -> None:
    """A store that fails in the middle of each build, for hours, ends no send: its workers live, and say so."""

    def fail(call: Call) -> None:
        if call.operation == "transact" and ready.mail.drafts and any("fence" in row for row in call.place):
            raise StoreUnavailable

    message_id = await ready.accepted()
    ready.tables.before = fail
    for _ in range(60):
        ready.clock.forward(minutes=1)
        await ready.tick()
        try:
            await ready.pump()
        except StoreUnavailable:
            continue
    ready.tables.before = no_hook
    assert ready.mail.calls.count("create_draft") > 5
    await ready.later(minutes=5)
    assert await ready.standing(message_id) == ("sent", None)
    assert await letters(ready) == []
