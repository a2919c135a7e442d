"""Sends on which the process dies: retried a few times, then held and told; what died beside them by chance leaves."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shared.domain.errors import Ambiguous, StoreUnavailable
from shared.domain.model import Draft, DraftContent
from shared.ports import Access
from shared.state import keys
from shared.storage.api import QueueMessage
from shared.storage.testing.calls import Call, no_hook
from shared.sync.operators.dead_letters import Wanted, find_letters
from shared.sync.operators.replay import Replayed, replay_letter
from tests.functions.app import App
from tests.functions.fake_mail import FakeMail
from tests.functions.host import QueueJob, workers


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
    assert await letters(ready) == ["given_up:WorkersDied"]
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


# ---- after it may have left


@pytest.mark.parametrize("step", ["send", "locate"])
async def test_a_send_whose_tries_or_looks_kill_is_held_as_unconfirmed(ready: App, step: str) -> None:
    """Five deaths in a row: nobody knows, which is told once; no worker dies again, and operators see it."""
    ready.mail.during[step] = die
    if step == "locate":
        ready.mail.next["send"] = [Ambiguous()]
    message_id = await ready.accepted()
    assert await minutes(ready, 180) <= 8
    assert await ready.standing(message_id) == ("needs_attention", "outcome_unknown")
    assert told_of(ready, message_id) == ["message.unconfirmed"]
    assert await letters(ready) == ["given_up:WorkersDied"]
    assert await minutes(ready, 600) == 0


async def test_a_held_send_is_replayed(ready: App) -> None:
    """Once the fault is mended an operator's replay finds out what became of it, and the truth is told."""
    ready.mail.during["locate"] = die
    ready.mail.next["send"] = [Ambiguous()]
    message_id = await ready.accepted()
    await minutes(ready, 180)
    ready.mail.send_drafts()
    ready.mail.during.clear()
    (letter,) = await find_letters(ready.services, Wanted())
    assert await replay_letter(ready.services, letter) is Replayed.DUE
    await ready.later(minutes=2)
    assert await ready.standing(message_id) == ("sent", None)
    assert told_of(ready, message_id) == ["message.unconfirmed", "message.sent"]


async def test_a_copy_that_is_seen_ends_the_hold(ready: App) -> None:
    """The sent copy of a held send is notified: it is `sent`."""
    ready.mail.during["locate"] = die
    ready.mail.next["send"] = [Ambiguous()]
    message_id = await ready.accepted()
    await minutes(ready, 180)
    ready.mail.send_drafts()
    await ready.arrives("draft-1")
    assert await ready.standing(message_id) == ("sent", None)


async def test_what_dies_beside_it_by_chance_leaves(ready: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three sends in the process that a fourth kills: they leave, and the fourth alone is given up."""
    create = FakeMail.create_draft

    async def kill_or_take_time(self: FakeMail, access: Access, content: DraftContent) -> Draft:
        if content.subject == "killer":
            raise Died
        for _ in range(200):
            await asyncio.sleep(0)
        return await create(self, access, content)

    monkeypatch.setattr(FakeMail, "create_draft", kill_or_take_time)
    others = [await ready.accepted(f"m-{number}") for number in range(3)]
    killer = await ready.accepted("killer", subject="killer")
    deaths = 0
    for _ in range(150):
        ready.clock.forward(minutes=1)
        await ready.tick()
        deaths += not await in_one_process(ready)
    assert deaths == 5
    assert [await ready.standing(other) for other in others] == [("sent", None)] * 3
    assert await ready.standing(killer) == ("failed", "gave_up")


async def in_one_process(app: App) -> bool:
    """All messages of a moment run at the same time in one process; False where it died, with all of them."""
    taken = [(queue, message) for queue in keys.QUEUES for message in await app.queues.receive(queue, 32)]

    async def work(queue: str, message: QueueMessage) -> None:
        await workers()[queue](msg=QueueJob(message))
        await app.queues.delete(queue, message)

    running = [asyncio.create_task(work(queue, message)) for queue, message in taken]
    try:
        await asyncio.gather(*running)
    except Died:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        return False
    return True
