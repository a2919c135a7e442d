"""One mailbox with a backlog beside another with three mails: the small one does not wait for the large one."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox.clock import VirtualClock
from sandbox.graphsim.people import reply_as_outsider
from tests.concurrency.loop import VirtualLoop
from tests.worlds import people
from tests.worlds.diary import Person
from tests.worlds.outages import Outage
from tests.worlds.world import Beginning, World, a_world

MANY, FEW = 5_000, 3
MANY_IN_AN_OUTAGE = 300  # each fails once before, which takes 20 ms; 5,000 would take minutes
MINUTE = 60.0
CALL_SECONDS = 5.0  # of the large mailbox, so that minutes of work are hours


@dataclass(frozen=True, slots=True)
class Seen:
    """How many of their mails were shown, and how many seconds after they came."""

    seconds: float
    large: int
    small: int


async def _answer(world: World, person: Person, word: str, count: int) -> None:
    """So many answers at one moment to the user's first mail."""
    writer, mail = (await people.received_from(world, person))[0]
    for number in range(count):
        wanted = {"internet_message_id": mail["internet_message_id"], "html": f"<p>{word} {number}</p>"}
        reply_as_outsider(world.simulator.world, writer, wanted)
    world.network.called()


async def _backlog(folder: Path, how: str, many: int) -> tuple[Seen, Seen]:
    """What is seen when the small mailbox is done, after ten minutes at most, and a minute later."""
    async with a_world(folder, Beginning(seed=5, mailboxes=2)) as world:
        await people.begin(world)
        world.network.is_calm = True
        await world.pause(2 * MINUTE)
        ann, bob = world.diary.people
        stage = world.stages[0]
        world.network.slow[ann.address] = CALL_SECONDS
        if how == "sweep":
            await stage.control("POST", "notifications", action="drop", count=2 * many)
        if how == "outage":
            world.outages.plan.append(Outage("graph", "503", world.now() + 10 * MINUTE))
        await _answer(world, ann, "Large", many)
        await _answer(world, bob, "Small", FEW)
        if how == "outage":
            await world.pause(10 * MINUTE)
        came = world.now()
        if how == "sweep":
            for each in (await stage.control("GET", "subscriptions"))["subscriptions"]:
                await stage.control("POST", f"subscriptions/{each['id']}/lifecycle", event="missed")

        def seen() -> Seen:
            shown = [str(message.html or "")[:20] for message in world.crms[0].store.messages.values()]
            large, small = (sum(word in text for text in shown) for word in ("Large", "Small"))
            return Seen(world.now() - came, large, small)

        while seen().small < FEW and world.now() - came < 10 * MINUTE:
            await world.pause(10.0)
        done = seen()
        await world.pause(MINUTE)
        return done, seen()


@pytest.mark.parametrize(
    ("how", "many"), [("notifications", MANY), ("sweep", MANY), ("outage", MANY_IN_AN_OUTAGE)]
)
def test_a_small_mailbox_does_not_wait_for_a_large_backlog(tmp_path: Path, how: str, many: int) -> None:
    """Of a mailbox's mails, which take 15 minutes or hours, another's three are shown within five minutes (kind 12).

    Told by notifications, found by a sweep after none came, or told in an outage, which leaves work for each. The large
    mailbox goes on meanwhile.
    """
    order = random.Random("fairness")
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(VirtualClock(), dice=order)) as runner:
        done, later = runner.run(_backlog(tmp_path, how, many))
    assert done.small == FEW
    assert done.seconds <= 5 * MINUTE
    assert done.large < many
    assert done.large < later.large < many
