"""Sends of a mailbox that takes no key: they leave, and what became of them is told by other witnesses."""

from __future__ import annotations

from typing import Any

import pytest

from shared.domain.errors import Ambiguous, KeyRefused, MessageRefused
from shared.domain.model import Address
from tests.functions.app import ANN_ADDRESS, BEA_ADDRESS, App

HTML = "<p>Here it is.</p>"


async def keyless(app: App, **changes: Any) -> str:
    """A send that has left without a key, whose draft is gone without a trace."""
    app.mail.takes_no_key = True
    message_id = await app.accepted(**changes)
    await app.pump()
    app.mail.lost |= app.mail.sent
    app.mail.sent.clear()
    return message_id


async def seen_in_sent_items(app: App, conversation: str = "conv-draft-1", **changes: Any) -> None:
    """A mail of the user's own is notified, with another id and Message-ID than the draft had."""
    given = {"to": (Address(BEA_ADDRESS),), "subject": "Your offer", "html": HTML, **changes}
    number = app.mail.receive(ANN_ADDRESS, tags={"conversation_id": conversation}, **given)
    await app.arrives(number)


async def test_a_send_leaves_without_a_key(ready: App) -> None:
    """A mailbox that takes no key is sent from without one, after one refused call, and the copy confirms by its id."""
    ready.mail.takes_no_key = True
    message_id = await ready.accepted()
    await ready.later(minutes=3)
    assert await ready.standing(message_id) == ("sent", None)
    assert [content.key for content in ready.mail.sent.values()] == [None]
    assert ready.mail.calls.count("create_draft") == 2
    assert "find_by_key" not in ready.mail.calls


async def test_a_reply_leaves_without_a_key(begun: App) -> None:
    """A reply to such a mailbox's thread leaves without a key, threaded as ever."""
    told = await begun.answered()
    begun.mail.takes_no_key = True
    message_id = await begun.accepted("m-2", thread_id=told["thread_id"])
    await begun.later(minutes=3)
    assert await begun.standing(message_id) == ("sent", None)
    assert begun.mail.parents[list(begun.mail.sent)[-1]] == "AAMk-1"


async def test_a_copy_is_recognised_by_its_message_id(ready: App) -> None:
    """A sent copy without a key and under another id confirms its send by the draft's Message-ID."""
    message_id = await keyless(ready)
    ready.mail.receive(ANN_ADDRESS, tags={"internet_message_id": "<draft-1@northwind.example>"})
    await ready.later(minutes=10)
    assert await ready.standing(message_id) == ("sent", None)
    assert ready.mail.calls.count("send") == 1


async def test_a_copy_is_recognised_by_its_thread_people_and_words(ready: App) -> None:
    """A copy of which neither id nor Message-ID is left confirms its send, and is not told as the user's own mail."""
    message_id = await keyless(ready)
    await seen_in_sent_items(ready)
    assert await ready.standing(message_id) == ("sent", None)
    assert ready.crm.types()[1:] == ["message.sent"]
    assert ready.crm.last["id"] == message_id


OTHERS: list[dict[str, Any]] = [
    {"html": "<p>By the way: Here it is.</p>"},
    {"subject": "Lunch"},
    {"to": (Address(BEA_ADDRESS), Address("cal@contoso.example"))},
]


@pytest.mark.parametrize("changes", OTHERS, ids=lambda changes: next(iter(changes)))
async def test_another_mail_of_the_user_is_not_taken_for_the_copy(
    ready: App, changes: dict[str, Any]
) -> None:
    """The user's own mail in the thread with other words, people or subject is told as such; the send stays unknown."""
    message_id = await keyless(ready)
    await seen_in_sent_items(ready, **changes)
    assert ready.crm.types()[1:] == ["message.sent"]
    assert ready.crm.last["id"] != message_id
    assert await ready.standing(message_id) == ("sending", None)


async def test_without_a_witness_it_is_unconfirmed_and_never_sent_again(ready: App) -> None:
    """A send without a key and without any trace is told as unconfirmed with its own reason, and not sent again."""
    message_id = await keyless(ready)
    await ready.later(hours=3)
    assert ready.crm.types()[1:] == ["message.unconfirmed"]
    assert ready.crm.last["reason"]["code"] == "named_properties_spent"
    assert await ready.standing(message_id) == ("needs_attention", "named_properties_spent")
    assert ready.mail.calls.count("send") == 1


async def test_a_draft_that_lies_there_is_the_witness_for_a_second_try(ready: App) -> None:
    """A send without an answer is tried again where its draft, found by the id we recorded, has not left."""
    ready.mail.takes_no_key = True
    ready.mail.next["send"] = [Ambiguous()]
    message_id = await ready.accepted()
    await ready.later(minutes=10)
    assert await ready.standing(message_id) == ("sent", None)
    assert (ready.mail.calls.count("create_draft"), list(ready.mail.sent)) == (2, ["draft-1"])


async def test_a_mailbox_that_is_full_says_so(ready: App) -> None:
    """A mailbox that refuses the draft without a key too is full, and the send ends with that reason."""
    ready.mail.next["create_draft"] = [KeyRefused(), MessageRefused("mailbox_full")]
    message_id = await ready.accepted()
    await ready.pump()
    assert await ready.standing(message_id) == ("failed", "mailbox_full")
