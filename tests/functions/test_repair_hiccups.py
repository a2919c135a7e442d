"""One failed call of a store around a repaired consent, and a lost message: what waited leaves within minutes (R9)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from shared.domain.errors import OutcomeUnknown, StoreUnavailable
from shared.state import keys
from shared.storage.testing import Call
from shared.storage.testing.calls import no_hook
from tests.functions.app import App
from tests.functions.host import QueueJob, workers
from tests.functions.test_grants import die
from tests.functions.world import open_app

# What comes before is the confirming, which tests/functions/test_connecting_interrupted.py covers; HICCUPS=all: it too.
FIRST_CALL = 0 if os.environ.get("HICCUPS") == "all" else 50


@contextmanager
def hiccup(app: App, at_call: int, when: str) -> Iterator[list[Call]]:
    """The call of that number fails, `before` or `after` it was carried out. Gives the calls that were made."""
    made: list[Call] = []

    def fail(call: Call) -> None:
        if call.operation == "receive":
            return
        made.append(call)
        if len(made) == at_call:
            raise OutcomeUnknown if when == "after" and call.writes else StoreUnavailable

    stores = (app.tables, app.queues, app.blobs)
    for store in stores:
        setattr(store, when, fail)
    try:
        yield made
    finally:
        for store in stores:
            setattr(store, when, no_hook)


async def work_and_lose(app: App) -> None:
    """Workers take all messages; one that fails is lost, as after five deliveries, for it is only a hint (E-1)."""
    while taken := [
        (queue, message) for queue in keys.QUEUES for message in await app.queues.receive(queue, 32)
    ]:
        for queue, message in taken:
            with suppress(StoreUnavailable, OutcomeUnknown):
                await workers()[queue](msg=QueueJob(message))
            with suppress(StoreUnavailable, OutcomeUnknown):
                await app.queues.delete(queue, message)


async def repaired_with_a_hiccup(app: App, at_call: int, when: str) -> tuple[bool, list[str]]:
    """Two sends wait for the consent; it is repaired, and a call fails. Whether there were so many, and the sends."""
    await app.connect()
    await app.sent()
    await die(app)
    message_ids = [await app.accepted("m-2"), await app.accepted("m-3")]
    await app.later(minutes=7)
    app.sign_in.dead = False
    cookie = await app.signed_in(await app.page_session())
    with hiccup(app, at_call, when) as made:
        with suppress(AssertionError):  # the page said that it failed: the person signs in again below
            await app.confirmed(cookie)
        await work_and_lose(app)
    return len(made) >= at_call, message_ids


async def waits_after_repair(folder: Path, at_call: int, when: str) -> str | None:
    """What still waits a quarter of an hour after the repair; None where there were fewer calls."""
    async with open_app(folder) as app:
        reached, message_ids = await repaired_with_a_hiccup(app, at_call, when)
        if not reached:
            return None
        if (await app.v1("GET", "users/u_ann/connection")).json()["status"] != "connected":
            await app.connect()
        await app.later(minutes=12)
        left = [await app.standing(message_id) for message_id in message_ids]
        return "" if left == [("sent", None)] * 2 else f"{when} {at_call}: {left}"


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("first", range(1, 9))
async def test_one_failed_call_delays_no_send_by_a_day(tmp_path: Path, first: int, when: str) -> None:
    """Whichever call of a store fails once, before or after it was done, both sends leave within minutes."""
    late = []
    for at_call in range(FIRST_CALL + first, 400, 8):
        found = await waits_after_repair(tmp_path, at_call, when)
        if found is None:
            break
        late += [found] if found else []
    assert late == []
