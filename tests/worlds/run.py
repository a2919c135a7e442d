"""One world by its seed: moves, a rest, and the verdict."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from sandbox.clock import VirtualClock
from tests.concurrency.loop import VirtualLoop
from tests.simulation.explorer import chosen_knobs
from tests.simulation.world import Wrap
from tests.worlds import mails, people, standing, troubles
from tests.worlds.diary import Person, first_word
from tests.worlds.oracle import Evidence, Verdict, judge, judge_connection, judge_sending
from tests.worlds.world import CRMS, Beginning, World, a_world, quiet_logs

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
LONGEST_TICK, LOOKS = HOUR, 24
REST = (
    HOUR,
    5 * HOUR,
    30 * HOUR,
)  # what is held is looked at daily, and a CRM that was down told within 29 hours
OfSomebody = Callable[[World, Person], Awaitable[None]]
OfAll = Callable[[World], Awaitable[Any]]
MOVES: tuple[tuple[OfSomebody, int], ...] = (
    (people.crm_writes, 3), (people.crm_replies, 4), (people.crm_repeats, 1), (people.contact_answers, 8),
    (mails.another_answers, 1), (people.user_answers, 3), (mails.user_forwards, 1), (people.private_mail, 3),
    (mails.mail_goes, 2), (mails.everything_is_moved, 1), (standing.a_thread_stops, 2),
    (people.an_answer_kills, 1), (people.a_send_kills, 1),
)  # fmt: skip
LONG_MOVES: tuple[tuple[OfSomebody, int], ...] = (
    (standing.consent_dies, 2), (standing.disconnects, 1), (standing.updates_email, 2), (standing.signs_in_again, 1),
)  # fmt: skip
TROUBLES: tuple[tuple[OfAll, int], ...] = (
    (troubles.outage_begins, 4), (troubles.a_process_dies, 5), (troubles.all_workers_die, 1),
    (troubles.notifications_fail, 2), (troubles.lifecycle, 1), (troubles.graph_fails, 4),
    (troubles.a_mailbox_is_throttled, 1), (troubles.graphs_clock_is_set, 1), (troubles.endpoints_are_opened, 1),
)  # fmt: skip
PAUSES = (0.0, 0.0, 0.0, 0.3, 0.3, 1.0, 1.0, 5.0, 5.0, 30.0, 90.0, 90.0, 20 * MINUTE, 2 * HOUR)
QUEUES = ("changes", "outbox", "deliveries", "maintenance")


@dataclass(slots=True)
class Result:
    """What came of a world."""

    seed: int
    verdict: Verdict
    tale: list[str]
    days: float = 0.0


@dataclass(slots=True)
class Director:
    """Makes the moves of a world, which go on beside each other."""

    world: World
    busy: set[Person] = field(default_factory=set)
    running: set[asyncio.Task[None]] = field(default_factory=set)
    lies: list[str] = field(default_factory=list)

    async def play(self, moves: int) -> None:
        """Moves, and time between them."""
        dice, world = self.world.dice, self.world
        for _ in range(moves):
            await self._move()
            await self._look()
            await self.pass_time(dice.choice(PAUSES))
            outages = [until for _, _, _, until in world.diary.outages if until - world.now() > LONGEST_TICK]
            if outages and dice.random() < 0.25:
                await self.pass_time((max(outages) - world.now()) / 3)

    async def _move(self) -> None:
        dice, draw = self.world.dice, self.world.dice.random()
        if draw < 0.3:
            await self._trouble()
            return
        person = dice.choice(self.world.diary.people)
        if draw < 0.39 and person not in self.busy:
            act = dice.choices([act for act, _ in LONG_MOVES], weights=[weight for _, weight in LONG_MOVES])[
                0
            ]
            self.busy.add(person)
        else:
            act = dice.choices([act for act, _ in MOVES], weights=[weight for _, weight in MOVES])[0]
        self.world.tell(f"{act.__name__} {person.user_id}")
        self.world.diary.done[act.__name__] += 1
        self._begin(act, person)

    async def _trouble(self) -> None:
        act = self.world.dice.choices(
            [act for act, _ in TROUBLES], weights=[weight for _, weight in TROUBLES]
        )[0]
        self.world.tell(act.__name__)
        self.world.diary.done[act.__name__] += 1
        if act is troubles.notifications_fail:
            self._start(act(self.world))
        else:
            await act(self.world)

    def _begin(self, act: OfSomebody, person: Person) -> None:
        async def go() -> None:
            try:
                await act(self.world, person)
            finally:
                if act in {long for long, _ in LONG_MOVES}:
                    self.busy.discard(person)

        self._start(go())

    def _start(self, act: Any) -> None:
        task = asyncio.ensure_future(act)
        self.running.add(task)

    async def pass_time(self, seconds: float) -> None:
        """The timers fire less often in a long span, as they may."""
        self.world.product.tick_seconds = min(max(MINUTE, seconds / LOOKS), LONGEST_TICK)
        await asyncio.sleep(seconds)
        self.world.product.tick_seconds = MINUTE

    async def rest(self, spans: Sequence[float]) -> None:
        """Everything works again, everybody's act ends, and these seconds pass, enough for all that waits."""
        await troubles.everything_works(self.world)
        self.world.tell("everything works again")
        self.world.network.is_calm = True
        waiting = [task for task in self.running if not task.done()]
        if waiting and (await asyncio.wait(waiting, timeout=2 * DAY))[1]:
            self._note("somebody still waits for an answer two days after everything works again")
        for task in self.running:
            if task.done():
                task.result()
        for seconds in spans:
            await self.pass_time(seconds)
        for stage in self.world.stages:
            await stage.of_crm("POST", "/api/catch-up")
        await self.pass_time(HOUR)
        await self._look()

    async def _look(self) -> None:
        """What the API shows at this moment of somebody's connection and of some send."""
        world, dice = self.world, self.world.dice
        person = dice.choice(world.diary.people)
        before = world.now()
        with suppress(httpx.HTTPError, ValueError, KeyError):
            shown = await world.stage(person).api("GET", f"/v1/users/{person.user_id}/connection")
            if shown.status_code == 200:
                status, mailbox = shown.json()["status"], shown.json()["mailbox"] or {}
                for moment in (before, world.now()):
                    lie = judge_connection(world.diary, person, moment, status, mailbox.get("address"))
                    if lie is None:
                        break
                else:
                    self._note(lie)
        sends = [send for send in world.diary.sends.values() if send.answer == 202]
        if sends:
            await self._look_at(dice.choice(sends))

    async def _look_at(self, send: Any) -> None:
        world = self.world
        known = world.crms[send.person.tenant].store.messages[send.crm_message_id].product_id
        with suppress(httpx.HTTPError, ValueError, KeyError):
            before = await self._left(send)
            shown = await world.stage(send.person).api("GET", f"/v1/messages/{known}")
            if shown.status_code == 200:
                status = shown.json()["status"]
                after = await self._left(send)
                lies = [judge_sending(send, status, left=left) for left in (before, after)]
                if all(lies):
                    self._note(str(lies[0]))

    def _note(self, lie: str) -> None:
        self.world.tell(f"LIE: {lie}")
        self.lies.append(lie)

    async def _left(self, send: Any) -> bool:
        stage = self.world.stages[0]
        boxes = [await stage.mailbox(each) for each in (send.person.address, send.person.second)]
        outside = [mail for contact in send.contacts for mail in await stage.outside(contact)]
        inside = [mail for box in boxes for mail in box if not mail["is_draft"]]
        return any(first_word(mail["html"]) == send.word for mail in (*inside, *outside))


async def _evidence(world: World) -> Evidence:
    states = [await stage.of_crm("GET", "/__control/state") for stage in world.stages]
    addresses = [address for person in world.diary.people for address in (person.address, person.second)]
    outside = [
        {**mail, "reader": contact}
        for contact in people.CONTACTS
        for mail in await world.stages[0].outside(contact)
    ]
    reads = [
        request
        for request in world.simulator.world.log.since(0)["requests"]
        if request["method"] == "GET" and (request["reads_body"] or "subject" in request["fields"])
    ]
    return Evidence(
        diary=world.diary,
        messages=[state["messages"] for state in states],
        events=[state["events"] for state in states],
        feeds=[await _feed(world, tenant) for tenant in range(len(states))],
        endpoints=list(CRMS),
        outside=outside,
        mailboxes={address: await world.stages[0].mailbox(address) for address in addresses},
        reads=reads,
        waiting={
            queue: await world.stores.queues.count(queue)
            for name in QUEUES
            for queue in (name, f"{name}-poison")
        },
    )


async def _feed(world: World, tenant: int) -> list[str]:
    found: list[str] = []
    after = ""
    while True:
        page = (await world.stages[tenant].api("GET", f"/v1/events?limit=100{after}")).json()
        found += [event["id"] for event in page["events"]]
        if not page.get("has_more"):
            return found
        after = f"&after={page['next']}"


Play = Callable[[Director], Awaitable[None]]


def begins(seed: int) -> Beginning:
    """How the world of a seed begins."""
    dice = random.Random(f"beginning {seed}")
    knobs = chosen_knobs(dice) if dice.random() < 0.7 else {}
    knobs.pop(
        "refresh_token_days", None
    )  # a consent that ends by itself is no move, so the diary would not know it
    if knobs.get("access_token_seconds") == 600:
        del knobs["access_token_seconds"]  # by Graph's clock such a token would be over before it begins
    wrong_by = timedelta(minutes=dice.choice((0, 0, dice.uniform(-20, 20))))
    return Beginning(seed, knobs, dice.randint(3, 6), wrong_by)


async def _play(
    folder: Path, beginning: Beginning, play: Play, rest: Sequence[float], wrap: Wrap | None
) -> Result:
    async with a_world(folder, beginning, wrap) as world:
        world.tell(str(beginning))
        director = Director(world)
        try:
            await people.begin(world)
            await play(director)
            await director.rest(rest)
            verdict = judge(await _evidence(world))
        except Exception as error:  # noqa: BLE001 - a world that breaks is told with its tale
            verdict = Verdict()
            verdict.add("stuck", f"the world broke: {error!r}")
        for lie in director.lies:
            verdict.add("lies about status", lie)
        verdict.figures.update(world.diary.figures(), deaths=world.product.deaths)
        return Result(beginning.seed, verdict, world.tale, world.now() / DAY)


def run(
    beginning: Beginning, play: Play, *, rest: Sequence[float] = REST, wrap: Wrap | None = None
) -> Result:
    """Let `play` happen in that world, then a rest, and judge."""
    order = random.Random(f"loop {beginning.seed}")
    with (
        TemporaryDirectory() as folder,
        asyncio.Runner(loop_factory=lambda: VirtualLoop(VirtualClock(), dice=order)) as runner,
    ):
        return runner.run(_play(Path(folder), beginning, play, rest, wrap))


def run_seed(seed: int, moves: int) -> Result:
    """So many random moves in the world of that seed."""
    quiet_logs()
    return run(begins(seed), lambda director: director.play(moves))
