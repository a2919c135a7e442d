"""Held mail and what happens beside it: copies, reports, the user's other addresses, stops, answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.domain.errors import ItemUnreadable
from shared.domain.model import Address, MessageIndex, Thread
from shared.state.keys import MAINTENANCE
from tests.functions.app import ANN_ADDRESS, BEA_ADDRESS, App
from tests.functions.fake_mail import SENT_ITEMS
from tests.functions.host import QueueJob, workers
from tests.functions.racing import interrupted
from tests.functions.test_bounces import arrived, named
from tests.functions.test_making_subscriptions import mailbox


def answer(app: App, sender: str = BEA_ADDRESS, tags: dict[str, Any] | None = None, **more: Any) -> str:
    """An answer to the newest send lies in the mailbox."""
    ours = app.mail.last_sent.internet_message_id
    return app.mail.receive(sender, in_reply_to=ours, tags=tags, **more)


async def held(app: App, number: str) -> str:
    """It arrives and cannot be read; returns its id."""
    app.mail.unreadable[number] = ItemUnreadable()
    await app.arrives(number)
    return number


async def contacts(app: App) -> tuple[str, ...]:
    """The contacts of the thread that was told of last."""
    stored = await app.services.ledger.find(mailbox(app), Thread, app.crm.last["thread_id"])
    assert stored is not None
    return stored.value.participants


async def test_a_copy_of_a_held_mail_ends_its_looks(begun: App) -> None:
    """Where another copy of a held mail is readable it is told once, and nobody looks at the held one any more."""
    first = answer(begun)
    same = {"internet_message_id": begun.mail.mails[first].outline.internet_message_id}
    await held(begun, first)
    await begun.arrives(answer(begun, tags=same))
    await begun.later(minutes=50)
    fetched = begun.mail.calls.count("fetch")
    await begun.later(hours=2)
    assert begun.crm.types()[2:] == ["message.received"]
    assert begun.mail.calls.count("fetch") == fetched


async def test_a_bounce_that_nobody_can_read_is_one(begun: App) -> None:
    """A held bounce is told with its kind and adds no contact; once it is readable it is told as a bounce."""
    sent = begun.crm.last
    number = await held(begun, arrived(begun, named(begun)))
    await begun.later(minutes=50)
    assert (begun.crm.types()[2:], begun.crm.last["kind"]) == (["message.not_synced"], "bounce")
    assert await contacts(begun) == (BEA_ADDRESS,)
    del begun.mail.unreadable[number]
    await begun.later(hours=2)
    assert begun.crm.types()[2:] == ["message.not_synced", "message.bounced"]
    assert begun.crm.last["bounced"]["message_id"] == sent["id"]


async def test_nobody_joins_by_a_mail_that_nobody_can_read(begun: App) -> None:
    """The user's unknown address does not become a contact by a held mail: when it is readable it is the user's."""
    number = await held(begun, answer(begun, "alias@northwind.example", folder_id=SENT_ITEMS))
    await begun.later(minutes=50)
    assert begun.crm.types()[2:] == ["message.not_synced"]
    assert await contacts(begun) == (BEA_ADDRESS,)
    del begun.mail.unreadable[number]
    await begun.later(hours=2)
    assert (begun.crm.types()[-1], begun.crm.last["direction"]) == ("message.sent", "outbound")


CARL = "carl@fourth.example"


@pytest.mark.parametrize("minutes", [25, 90], ids=["untold", "told"])
async def test_who_answers_a_held_mail_of_the_users_is_in_the_thread(begun: App, minutes: int) -> None:
    """Somebody else's answer to a mail that the user forwarded is told once the forwarded one is readable (R3)."""
    number = answer(begun, ANN_ADDRESS, to=(Address(CARL),), folder_id=SENT_ITEMS)
    await held(begun, number)
    await begun.arrives(begun.mail.receive(CARL, in_reply_to=f"<{number}@fabrikam.example>"))
    assert begun.crm.types()[2:] == []
    await begun.later(minutes=minutes)
    del begun.mail.unreadable[number]
    await begun.later(hours=5)
    assert begun.crm.types()[-2:] == ["message.sent", "message.received"]
    assert begun.crm.last["from"]["address"] == CARL


async def test_the_message_id_of_a_mail_that_nobody_can_read_proves_nothing(begun: App) -> None:
    """A mail that names the user and cannot be read may be forged: answers to its Message-ID need a contact (R4)."""
    private = "<private@northwind.example>"
    await held(begun, answer(begun, ANN_ADDRESS, tags={"internet_message_id": private}))
    await begun.later(minutes=50)
    assert begun.crm.types()[2:] == ["message.not_synced"]
    fetched = begun.mail.calls.count("fetch")
    await begun.arrives(begun.mail.receive(CARL, in_reply_to=private))
    assert begun.mail.calls.count("fetch") == fetched
    index = await begun.services.ledger.find(mailbox(begun), MessageIndex, private)
    assert index is not None
    assert not index.value.admits_alone


async def test_what_is_held_while_its_thread_stops_is_told_when_it_goes_on(begun: App) -> None:
    """A mail from before the stop that could not be read is told as soon as the thread was resumed (R12, R14)."""
    thread_id = (await begun.answered())["thread_id"]
    number = await held(begun, answer(begun))
    begun.clock.forward(minutes=1)
    await begun.v1("POST", f"threads/{thread_id}/stop")
    between = await held(begun, answer(begun))
    await begun.later(minutes=50)
    assert "message.not_synced" not in begun.crm.types()
    begun.mail.unreadable.clear()
    await begun.v1("POST", f"threads/{thread_id}/resume")
    await begun.later(minutes=2)
    assert begun.crm.types()[3:] == ["thread.stopped", "thread.resumed", "message.received"]
    told = begun.crm.last["internet_message_id"]
    assert (told == f"<{number}@fabrikam.example>", between in told) == (True, False)


async def test_a_held_mail_that_moved_is_known_among_others_of_its_id(begun: App) -> None:
    """A private mail with the Message-ID of a held one that was moved is not taken for it (R4, R14)."""
    same = {"internet_message_id": "<form@fabrikam.example>"}
    begun.mail.receive("sven@stranger.example", tags=same)
    number = await held(begun, answer(begun, tags=same))
    mail = begun.mail.mails.pop(number)
    moved = replace(mail, outline=replace(mail.outline, graph_message_id="moved"))
    begun.mail.mails["moved"] = moved
    begun.mail.unlisted.add("moved")
    await begun.later(minutes=2)
    assert begun.crm.types()[2:] == ["message.received"]


@pytest.mark.parametrize("at_call", range(2, 20, 3))
async def test_two_workers_at_the_look_that_is_told(begun: App, at_call: int) -> None:
    """A message with the last quick look is handed out twice: the CRM is told once that the mail does not sync."""
    await held(begun, answer(begun))
    await begun.later(minutes=43)
    assert begun.crm.types()[2:] == []
    begun.clock.forward(minutes=3)
    await begun.tick()
    jobs = [QueueJob(message) for message in await begun.queues.receive(MAINTENANCE, 32)]
    [look] = [job for job in jobs if b"look_again" in job.get_body()]
    work = workers()[MAINTENANCE]
    with interrupted(begun, at_call, lambda: work(msg=look)) as seen:
        await work(msg=look)
    await begun.later(minutes=5)
    assert seen.reached
    assert begun.crm.types()[2:] == ["message.not_synced"]
