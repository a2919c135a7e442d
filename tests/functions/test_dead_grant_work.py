"""While a consent is dead a mailbox makes next to no work, however much arrives or waits (R9)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from shared.domain.model import Task, TaskKind
from shared.state import keys
from tests.functions.app import BEA_ADDRESS, App
from tests.functions.fakes import FakeCrm
from tests.functions.test_connection_truth import status
from tests.functions.test_grants import die
from tests.functions.test_send_ends import mailbox_of


async def looks_to_come(app: App) -> list[Task]:
    """Tasks for mails that will be looked at again."""
    found = await app.services.ledger.tasks(mailbox_of(app), app.clock.now() + timedelta(days=9), limit=None)
    return [task.value for task in found if task.value.kind is TaskKind.RETRY_IMPORT]


async def test_mail_that_arrives_meanwhile_is_no_work(begun: App) -> None:
    """Mail that arrives while the consent is dead costs no row and no question to Entra.

    The sweep after the repair brings in what belongs to a thread.
    """
    await die(begun)
    asked = begun.sign_in.calls.count("refresh")
    answer = begun.mail.receive(BEA_ADDRESS, in_reply_to=begun.mail.last_sent.internet_message_id)
    for number in [answer, *[begun.mail.receive("else@x.example") for _ in range(20)]]:
        await begun.arrives(number)
    assert await looks_to_come(begun) == []
    assert begun.sign_in.calls.count("refresh") == asked
    await begun.later(minutes=30)
    begun.sign_in.dead = False
    await begun.connect()
    await begun.later(minutes=2)
    assert await status(begun) == "connected"
    assert begun.crm.types().count("message.received") == 1


async def test_a_reply_to_a_waiting_send_waits_as_well(ready: App) -> None:
    """A reply to a send that waits for the consent waits with it, and leaves behind it once the consent works again."""
    opening = await ready.accepted("m-1")
    ready.clock.forward(hours=2)
    ready.sign_in.dead = True
    await ready.pump()
    thread_id = (await ready.v1("GET", f"messages/{opening}")).json()["thread_id"]
    await ready.accepted("m-2", thread_id=thread_id, crm_thread_id=None)
    jobs = 0
    for _ in range(60):
        ready.clock.forward(minutes=1)
        await ready.tick()
        jobs += await ready.pump()
    assert jobs <= 7  # two of them tell the CRM that its sends wait
    ready.sign_in.dead = False
    await ready.connect()
    await ready.later(minutes=5)
    assert ready.crm.types().count("message.sent") == 2
    assert list(ready.mail.parents.values()) == [next(iter(ready.mail.sent))]


async def test_work_that_is_put_off_during_the_repair_is_woken(
    ready: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that found the consent dead puts a send off until tomorrow after the repair has woken what waits.

    It looks at the consent once more, and the send leaves at once.
    """
    ready.clock.forward(hours=2)
    ready.sign_in.dead = True
    await ready.accepted("m-1")
    await ready.pump()
    ready.clock.forward(minutes=6)
    await ready.tick()
    deliver, repairs = FakeCrm.deliver, list[str]()

    async def repair_meanwhile(self: FakeCrm, url: str, event_id: str, body: bytes, *more: Any) -> Any:
        if b"message.waiting" in body and not repairs:
            repairs.append(event_id)
            ready.sign_in.dead = False
            await ready.connect()
            await ready.pump(keys.MAINTENANCE)
        return await deliver(self, url, event_id, body, *more)

    monkeypatch.setattr(FakeCrm, "deliver", repair_meanwhile)
    await ready.pump()
    await ready.later(minutes=2)
    assert repairs
    assert ready.crm.types().count("message.sent") == 1
