"""Held mail and what happens beside it: copies, reports, the user's other addresses, stops, answers."""

from __future__ import annotations

from typing import Any

from shared.domain.errors import ItemUnreadable
from shared.domain.model import Thread
from tests.functions.app import BEA_ADDRESS, App
from tests.functions.fake_mail import SENT_ITEMS
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
