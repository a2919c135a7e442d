"""One fault at one call of a store, wherever: weeks later no blob is left of what was begun (D-1).

Every call of an upload, a send with files, its confirmation and an answer with a file is made to fail once, before or
after it was carried out. A share of them runs each time; all of them: `LITTER_FAULTS=all`.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest

from shared.domain.errors import OutcomeUnknown, PostbraidError, StoreUnavailable
from shared.storage.testing import Call
from tests.functions.answers import Answer
from tests.functions.app import BEA_ADDRESS, App, send_body
from tests.functions.test_litter import found_in_stores
from tests.functions.world import open_app

STRIDE = 1 if os.environ.get("LITTER_FAULTS") == "all" else 11
MOST_CALLS = 400
WORDS = ("okapiword", "gnuname", "tapirword")
LARGE = "é" * 30_000


class FaultAt:
    """The call with that number fails: before it is carried out, or after."""

    def __init__(self, app: App, number: int, *, after: bool) -> None:
        self.app = app
        self.number = number
        self.seen = 0
        for store in (app.tables, app.blobs, app.queues):
            store.before = self.count
            if after:
                store.after = self.lose
        self.after = after

    def count(self, call: Call) -> None:
        self.seen += 1
        if self.seen == self.number and not self.after:
            raise StoreUnavailable

    def lose(self, call: Call) -> None:
        if self.seen == self.number and call.writes:
            raise OutcomeUnknown

    @property
    def reached(self) -> bool:
        return self.seen >= self.number


async def worked(app: App) -> None:
    """The workers; a message that fails comes again."""
    for _ in range(3):
        with suppress(PostbraidError):
            await app.pump()
        app.clock.forward(seconds=35)


async def asked(app: App, path: str, **more: object) -> Answer | None:
    """A request of the CRM, which gives up where it is not answered."""
    with suppress(PostbraidError):
        return await app.v1("POST", path, **more)
    return None


async def played(app: App) -> None:
    """An upload that is sent, one that is not, a send that leaves and is confirmed, an answer with a file."""
    ids = []
    for name in ("gnuname.txt", "gnuname2.txt"):
        headers = {"content-disposition": f'attachment; filename="{name}"'}
        answer = await asked(app, "files", body=b"okapiword", headers=headers)
        ids += [answer.json()["id"]] if answer is not None and answer.status == 201 else []
    body = send_body("m-2", body={"html": f"<p>okapiword</p><p>{LARGE}</p>"})
    files = [{"file_id": file_id} for file_id in ids[:1]]
    files.append({"name": "gnuname.txt", "content_base64": "b2thcGl3b3Jk"})
    await asked(app, "messages", json={**body, "attachments": files})
    await worked(app)
    app.clock.forward(seconds=61)
    await worked(app)
    answers = app.mail.last_sent.internet_message_id
    number = app.mail.receive(
        BEA_ADDRESS, in_reply_to=answers, text=f"tapirword {LARGE}", files=[("gnuname.txt", b"tapirword")]
    )
    with suppress(PostbraidError):
        await app.notify(number)
    await worked(app)


async def weeks_pass(app: App) -> None:
    """The stores work again, and the workers have their days."""
    app.store_up()
    for store in (app.tables, app.blobs, app.queues):
        store.after = lambda _: None
    await app.later(minutes=20)
    for days in (1, 1, 6, 1, 1, 30, 1, 8, 1):
        app.clock.forward(days=days)
        for _ in range(2):
            await app.tick()
            await app.pump()
            app.clock.forward(minutes=2)


async def calls_of_the_story(folder: Path) -> int:
    async with open_app(folder) as app:
        await app.connect()
        await app.sent()
        fault = FaultAt(app, MOST_CALLS, after=False)
        await played(app)
        return fault.seen


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_fault_leaves_no_bytes_behind(tmp_path: Path, *, after: bool) -> None:
    """Whichever call fails: after weeks no blob is left, and no word in any row."""
    count = await calls_of_the_story(tmp_path)
    assert 100 < count < MOST_CALLS
    left = []
    for number in range(1 + (STRIDE // 2 if after else 0), count + 1, STRIDE):
        async with open_app(tmp_path) as app:
            await app.connect()
            await app.sent()
            fault = FaultAt(app, number, after=after)
            await played(app)
            await weeks_pass(app)
            if await app.staged() or await found_in_stores(app, WORDS):
                left.append((number, await app.staged(), await found_in_stores(app, WORDS)))
            assert fault.reached
    assert left == []
