"""Copies of one mail that two workers take at the same time: the mail is told once, whoever is faster (E-15)."""

from __future__ import annotations

from typing import Any

import pytest

from shared.domain.errors import ItemUnreadable
from shared.domain.model import Address
from tests.functions.app import ANN_ADDRESS, BEA_ADDRESS, App
from tests.functions.fake_mail import SENT_ITEMS
from tests.functions.racing import at_once, interrupted, work

LIST = "dev@lists.example"
TRAVELLED = (("Received", "from mail.relay.example"),)
LISTED = (*TRAVELLED, ("List-Id", "<dev.lists.example>"))
OWN = {"sender": ANN_ADDRESS, "folder_id": SENT_ITEMS, "to": (Address(BEA_ADDRESS), Address(ANN_ADDRESS))}
COPIES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "the user is on copy": (OWN, {"sender": ANN_ADDRESS, "headers": TRAVELLED}),
    "a list brings it back": (OWN, {"sender": LIST, "headers": LISTED, "reply_to": (Address(ANN_ADDRESS),)}),
    "a contact's, and a list's": (
        {"sender": BEA_ADDRESS, "headers": TRAVELLED},
        {"sender": LIST, "headers": LISTED, "reply_to": (Address(BEA_ADDRESS),)},
    ),
}
BOTH = [*COPIES, *(f"{name}, the other first" for name in COPIES)]


def arrived(app: App, names: str, message_id: str) -> list[str]:
    """Both copies of an answer to the newest send lie in the mailbox; their ids, as they are taken."""
    pair = COPIES[names.removesuffix(", the other first")]
    tags = {"in_reply_to": app.mail.last_sent.internet_message_id, "internet_message_id": message_id}
    ids = [app.mail.receive(tags=tags, **copy) for copy in pair]
    return ids if names in COPIES else ids[::-1]


def told(app: App) -> int:
    """How many mails the CRM was told of since the first send."""
    return len([kind for kind in app.crm.types()[2:] if kind.startswith("message.")])


@pytest.mark.parametrize("names", BOTH)
async def test_a_copy_is_taken_at_any_call_of_another(begun: App, names: str) -> None:
    """At each call of the tables the whole import of the other copy comes in between: one of the two is told."""
    at_call, reached = 0, True
    while reached:
        at_call += 1
        before = told(begun)
        for number in arrived(begun, names, f"<copies-{at_call}@northwind.example>"):
            await begun.notify(number)
        with interrupted(begun, at_call, lambda: work(begun, 1)) as seen:
            await work(begun, 1)
        reached = seen.reached
        assert told(begun) == before + 1, f"at call {at_call}"
    assert at_call > 5


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("names", COPIES)
async def test_copies_at_once(begun: App, names: str, seed: int) -> None:
    """Workers that take turns at every call of a store tell one of the copies."""
    for number in arrived(begun, names, "<copies@northwind.example>"):
        await begun.notify(number, number)
    await at_once(begun, seed)
    assert told(begun) == 1


@pytest.mark.parametrize("at_call", range(2, 14, 3))
async def test_a_copy_that_is_told_as_unreadable_in_between(begun: App, at_call: int) -> None:
    """A readable copy beside which another is just told as unreadable is judged again, and takes its place."""
    sent = begun.mail.last_sent.internet_message_id
    tags = {"in_reply_to": sent, "internet_message_id": "<held@fabrikam.example>"}
    held = begun.mail.receive(BEA_ADDRESS, tags=tags)
    begun.mail.unreadable[held] = ItemUnreadable()
    await begun.arrives(held)
    await begun.later(minutes=16)
    copy = begun.mail.receive(BEA_ADDRESS, tags={**tags, "received_at": begun.mail.mails[held].received_at})
    begun.mail.unlisted.add(copy)
    await begun.notify(copy)
    with interrupted(begun, at_call, lambda: begun.later(minutes=32)):
        await work(begun, 1)
    events = dict(zip(begun.crm.ids[2:], begun.crm.told[2:], strict=True))  # each may be delivered again
    kinds = [str(event["type"]) for event in events.values()]
    assert kinds.count("message.received") == 1
    assert kinds[-1] == "message.received"
    assert len({event["data"]["id"] for event in events.values()}) == 1


async def test_a_users_alias_that_a_list_shows_first(begun: App) -> None:
    """The user's own mail from an alias that nobody knows, met first as a list's copy, is told once and as sent."""
    alias = "the.archer@northwind.example"
    tags = {"in_reply_to": begun.mail.last_sent.internet_message_id, "internet_message_id": "<own@x.example>"}
    listed = begun.mail.receive(alias, tags=tags, headers=LISTED)
    begun.mail.receive(alias, tags=tags, folder_id=SENT_ITEMS)
    await begun.arrives(listed)
    await begun.later(minutes=20)
    assert begun.crm.types()[2:] == ["message.sent"]
    assert begun.crm.last["direction"] == "outbound"
    await begun.arrives(begun.mail.receive(alias, tags={"in_reply_to": "<own@x.example>"}))
    assert begun.crm.last["direction"] == "outbound"
