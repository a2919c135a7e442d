"""Workers and requests that run at the same time, interleaved at every call of a store by a seed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from shared.domain.errors import PostbraidError
from shared.domain.model import MailboxRef
from shared.state import keys
from shared.storage.api import QueueMessage
from shared.storage.testing import Call
from shared.storage.testing.calls import no_hook
from tests.functions.answers import Answer
from tests.functions.app import App
from tests.functions.host import QueueJob
from tests.functions.host import workers as functions

TURNS = (0, 0, 1, 2, 3, 5, 8, 13, 34)
MOST_TURNS_BEFORE = 400


@contextmanager
def interleaved(app: App, seed: int) -> Iterator[list[tuple[str, ...]]]:
    """Before and after each call of a store the others may have their turns, as many as the dice say.

    Gives partition and rows of each transaction, in the order in which they were committed.
    """
    dice, commits = random.Random(seed), list[tuple[str, ...]]()

    async def give_way(_: Call) -> None:
        app.clock.forward(milliseconds=1)
        for _turn in range(dice.choice(TURNS)):
            await asyncio.sleep(0)

    async def note(call: Call) -> None:
        if call.operation == "transact":
            commits.append(call.place[1:])
        await give_way(call)

    stores = (app.tables, app.queues, app.blobs)
    for store in stores:
        store.before, store.after = give_way, note
    try:
        yield commits
    finally:
        for store in stores:
            store.before = store.after = no_hook


@dataclass(slots=True)
class Interruption:
    """What was seen of it: whether there were so many calls, and the transactions in the order of their commits."""

    calls: int = 0
    reached: bool = False
    commits: list[tuple[str, ...]] = field(default_factory=list)


async def work(app: App, workers: int = 4) -> None:
    """As many workers as that, each with one message at a time, until all of them find nothing to do."""

    async def one() -> None:
        while taken := await _take(app):
            queue, message = taken
            with suppress(PostbraidError):  # the host lets the queue repeat it
                await functions()[queue](msg=QueueJob(message))
                await app.queues.delete(queue, message)

    await asyncio.gather(*(one() for _ in range(workers)))


async def _take(app: App) -> tuple[str, QueueMessage] | None:
    for queue in keys.QUEUES:
        if found := await app.queues.receive(queue, 1):
            return queue, found[0]
    return None


async def until_done(request: Callable[[], Awaitable[Answer]]) -> Answer:
    """A caller repeats what was answered with 503, as it is told to."""
    for _ in range(20):
        answer = await request()
        if answer.status != 503:
            return answer
    raise AssertionError(answer.text)


async def at_once(app: App, seed: int, *acts: Callable[[], Awaitable[object]]) -> list[tuple[str, ...]]:
    """These acts and three workers run at the same time; then what is left is worked off alone.

    Returns partition and rows of each transaction that was committed meanwhile, in their order.
    """
    dice = random.Random(f"beginnings {seed}")

    async def begin(act: Callable[[], Awaitable[object]]) -> None:
        for _ in range(dice.randrange(MOST_TURNS_BEFORE)):
            await asyncio.sleep(0)
        await act()

    with interleaved(app, seed) as commits:
        await asyncio.gather(work(app), *(begin(act) for act in acts))
        await work(app, 1)
    return commits


def happened(app: App, commits: list[tuple[str, ...]], ref: MailboxRef, thread_id: str = "") -> list[str]:
    """What was committed in that mailbox, in its order: new events, `closed`, `sending` for a last step of a send.

    With `thread_id` only sends of that thread count. Types are known of the events that the CRM was told.
    """
    types = {event_id: str(event["type"]) for event, event_id in zip(app.crm.told, app.crm.ids, strict=True)}
    found, known = list[str](), set[str]()
    for partition, *rows in commits:
        if partition != keys.mailbox_partition(ref):
            continue
        events = [row for row in rows if row.startswith("event:")]
        threads = [row.removeprefix("thread:") for row in rows if row.startswith("thread:")]
        kinds = {row.partition(":")[0] for row in rows}
        leaves = {"out", "fence"} <= kinds and not kinds & {"event", "msg"}  # the first try, or another
        found += [types.get(row.rpartition("|")[2], "") for row in events if row not in known]
        closes = any("|close|" in row for row in rows) and any(row.startswith("fence:") for row in rows)
        found += ["closed"] if closes else []
        found += ["sending"] if leaves and (not thread_id or not threads or thread_id in threads) else []
        known.update(events)
    return found


@contextmanager
def interrupted(app: App, at_call: int, act: Callable[[], Awaitable[object]]) -> Iterator[Interruption]:
    """At that call of the tables the others run: the whole of `act`, while whoever called stands still."""
    seen = Interruption()

    async def interrupt(_: Call) -> None:
        seen.calls += 1
        if seen.calls == at_call:
            app.tables.before = no_hook
            await act()

    def note(call: Call) -> None:
        if call.operation == "transact":
            seen.commits.append(call.place[1:])

    app.tables.before, app.tables.after = interrupt, note
    try:
        yield seen
    finally:
        app.tables.before = app.tables.after = no_hook
    seen.reached = seen.calls >= at_call


def overtake(
    app: App, operation: str, table: str, act: Callable[[], Awaitable[object]], when: str = "before"
) -> None:
    """At the next such call of the tables, once: a second passes, and the whole of `act` comes first."""

    async def give_way(call: Call) -> None:
        if (call.operation, call.place[0]) == (operation, table):
            setattr(app.tables, when, no_hook)
            app.clock.forward(seconds=1)
            await act()

    setattr(app.tables, when, give_way)
