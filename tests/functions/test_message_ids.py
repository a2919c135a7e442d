"""Message-IDs that several mails share: copies, forged ones, and those of private mail."""

from __future__ import annotations

from typing import Any

import pytest

from shared.domain.model import Address, MessageIndex
from shared.state import keys
from shared.state.ledger import new
from shared.storage.testing.calls import Call, no_hook
from tests.functions.app import ANN_ADDRESS, BEA_ADDRESS, App
from tests.functions.test_send_ends import mailbox_of

CAL, STRANGER = "cal@fabrikam.example", "stan@elsewhere.example"
TRAVELLED = (("Received", "from mail.relay.example"),)
SHARED = "<shared@fabrikam.example>"


def shared(app: App, **more: Any) -> dict[str, Any]:
    """Tags of an answer to the newest send, with a Message-ID that others have too."""
    return {"in_reply_to": app.mail.last_sent.internet_message_id, "internet_message_id": SHARED, **more}


def messages(app: App) -> list[str]:
    """What the CRM was told of mails since the first send."""
    return [kind for kind in app.crm.types() if kind.startswith("message.")][1:]


async def arrives(app: App, sender: str, tags: dict[str, Any], **more: Any) -> str:
    """A mail with these tags arrives; its id."""
    number = app.mail.receive(sender, tags=tags, **{"headers": TRAVELLED, **more})
    await app.arrives(number)
    return number


# ---- copies


async def test_a_forged_message_id_does_not_hide_the_true_mail(begun: App) -> None:
    """A mail whose Message-ID somebody else has just used is brought in, and a copy of either is not (E-15)."""
    await arrives(begun, CAL, shared(begun))
    await arrives(begun, BEA_ADDRESS, shared(begun))
    assert messages(begun) == ["message.received", "message.received"]
    assert begun.crm.last["from"]["address"] == BEA_ADDRESS
    for sender in (BEA_ADDRESS, CAL, BEA_ADDRESS.upper()):
        await arrives(begun, sender, shared(begun))
    assert messages(begun) == ["message.received", "message.received"]


async def test_a_program_that_uses_one_message_id_for_everything(begun: App) -> None:
    """Mails of one sender that share a Message-ID over time are each brought in once (E-15)."""
    for _ in range(3):
        await arrives(begun, BEA_ADDRESS, shared(begun))
        await arrives(begun, BEA_ADDRESS, shared(begun))
        begun.clock.forward(minutes=11)
    assert messages(begun) == ["message.received"] * 3


@pytest.mark.parametrize("hours", [0, 9])
@pytest.mark.parametrize("sender", [ANN_ADDRESS, "ann+list@northwind.example"])
async def test_the_users_own_mail_that_a_list_brings_back(begun: App, hours: int, sender: str) -> None:
    """The user's own mail that comes back from a list, however late, is not shown twice."""
    await arrives(begun, sender, shared(begun), headers=(), to=(Address("list@lists.example"),))
    begun.clock.forward(hours=hours)
    await arrives(begun, sender, shared(begun), to=(Address("list@lists.example"),))
    assert messages(begun) == ["message.sent"]


@pytest.mark.parametrize("hours", [0, 9])
async def test_a_send_that_its_user_gets_too(begun: App, hours: int) -> None:
    """The copy of a CRM send that comes to its own user, at once or late, is not shown, and its body never read."""
    sent = begun.mail.last_sent
    begun.clock.forward(hours=hours)
    looks = len(begun.mail.looks())
    tags = {"internet_message_id": sent.internet_message_id, "conversation_id": sent.conversation_id}
    await arrives(begun, ANN_ADDRESS, tags, to=(Address(BEA_ADDRESS),), cc=(Address(ANN_ADDRESS),))
    assert messages(begun) == []
    assert begun.mail.looks()[looks:] == ["outline", "people"]


def returned(app: App, **more: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Tags and content of the newest send, received by its own user under a Message-ID that nothing here knows."""
    sent = app.mail.sent[list(app.mail.sent)[-1]]
    tags = {
        "internet_message_id": "<given@relay.example>",
        "conversation_id": app.mail.last_sent.conversation_id,
    }
    people = {"to": sent.to, "cc": (*sent.cc, Address(ANN_ADDRESS))}
    return tags, {**people, "subject": sent.subject, "html": sent.html, **more}


ON_COPY = [{"address": ANN_ADDRESS}]


async def test_a_send_that_its_user_gets_before_its_sent_copy(begun: App) -> None:
    """A send with its own user on copy, received under another Message-ID before its sent copy, is told once."""
    message_id = await begun.accepted("m-2", cc=ON_COPY)
    await begun.pump("outbox")
    tags, content = returned(begun, cc=(Address(ANN_ADDRESS),))
    await arrives(begun, ANN_ADDRESS, tags, **content)
    await begun.later(minutes=20)
    assert messages(begun) == ["message.sent"]
    assert (begun.crm.last["id"], begun.crm.last["origin"]) == (message_id, "crm")
    assert begun.mail.calls.count("send") == 2


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, []),
        ({"headers": ()}, ["message.sent"]),
        ({"html": "<p>In other words.</p>"}, ["message.sent"]),
        ({"subject": "Lunch"}, ["message.sent"]),
    ],
    ids=["the send", "written here", "other words", "another subject"],
)
async def test_a_send_that_comes_back_renamed(begun: App, changes: dict[str, Any], told: list[str]) -> None:
    """A send that is over comes back under another Message-ID and is not shown again; another mail of the user is."""
    await begun.sent("m-2", cc=ON_COPY, thread_id=begun.crm.last["thread_id"])
    before = len(messages(begun))
    tags, content = returned(begun, cc=(Address(ANN_ADDRESS),), **changes)
    await arrives(begun, ANN_ADDRESS, tags, **content)
    assert messages(begun)[before:] == told


@pytest.mark.parametrize("sender", [ANN_ADDRESS, BEA_ADDRESS, STRANGER])
async def test_a_known_message_id_is_no_evidence(begun: App, sender: str) -> None:
    """Of a foreign mail with a Message-ID of the thread neither people nor words are read (R4)."""
    looks = len(begun.mail.looks())
    await arrives(begun, sender, {"internet_message_id": begun.mail.last_sent.internet_message_id})
    assert begun.mail.looks()[looks:] == ["outline"]
    assert messages(begun) == []


async def test_a_copy_leaves_nothing_behind(begun: App) -> None:
    """The files of a copy are not read again, and nothing of it is staged."""
    for _ in range(2):
        await begun.arrives(begun.mail.receive(BEA_ADDRESS, tags=shared(begun), files=[("a.txt", b"hello")]))
    assert begun.mail.calls.count("file_content") == 1
    assert messages(begun) == ["message.received"]


@pytest.mark.parametrize(("author", "told"), [(BEA_ADDRESS, 0), (CAL, 1)])
async def test_a_copy_that_another_worker_brings_in_meanwhile(begun: App, author: str, told: int) -> None:
    """Of two copies that are worked on at once one is brought in; another's mail with that Message-ID is besides."""
    row = MessageIndex(SHARED, "thr_x", "msg_x", begun.clock.now(), author)

    async def change(call: Call) -> None:
        if call.operation == "transact" and call.place[0] == keys.MAILBOX:
            begun.tables.before = no_hook
            await begun.services.ledger.write(mailbox_of(begun), new(row))

    begun.tables.before = change
    await arrives(begun, BEA_ADDRESS, shared(begun))
    assert messages(begun) == ["message.received"] * told


# ---- Message-IDs of private mail


async def foisted(app: App, sender: str = BEA_ADDRESS) -> None:
    """A mail of the thread has the Message-ID of a private mail of the user's."""
    await arrives(app, sender, shared(app))


@pytest.mark.parametrize("tags", [{"in_reply_to": SHARED}, {"references": ("<x@x.example>", SHARED)}])
@pytest.mark.parametrize("sender", [BEA_ADDRESS, ANN_ADDRESS], ids=["a contact", "a contact as the user"])
async def test_private_answers_are_not_drawn_in(begun: App, sender: str, tags: dict[str, Any]) -> None:
    """Who takes the Message-ID of a private mail gets none of its answers into the CRM (R4).

    The forger may write in the user's name as well.
    """
    await foisted(begun, sender)
    told, looks = begun.crm.types(), len(begun.mail.looks())
    await arrives(begun, STRANGER, tags)
    await arrives(begun, ANN_ADDRESS, tags, to=(Address(STRANGER),), headers=())
    assert begun.crm.types() == told
    assert set(begun.mail.looks()[looks:]) == {"outline", "people"}


COMPANY: list[tuple[str, dict[str, Any], dict[str, Any], int]] = [
    ("a contact writes", {}, {"sender": BEA_ADDRESS}, 1),
    ("a contact is copied", {}, {"sender": CAL, "cc": (Address(BEA_ADDRESS),)}, 1),
    ("in a conversation of the thread", {"conversation_id": "conv-AAMk-1"}, {"sender": CAL}, 0),
]


@pytest.mark.parametrize(("_case", "tags", "more", "people"), COMPANY, ids=[case[0] for case in COMPANY])
async def test_an_answer_to_a_contacts_mail(
    begun: App, _case: str, tags: dict[str, Any], more: dict[str, Any], people: int
) -> None:
    """An answer to an inbound mail counts with a contact on it or in its conversation, by that tag's evidence (R3)."""
    await foisted(begun)
    looks = begun.mail.calls.count("people")
    await arrives(begun, tags={"in_reply_to": SHARED, **tags}, **more)
    assert (begun.crm.types()[-1], begun.crm.last["evidence"]) == ("message.received", "in_reply_to")
    assert begun.mail.calls.count("people") - looks == people


async def test_a_send_of_ours_further_up_is_enough(begun: App) -> None:
    """A mail that names a send of ours besides an inbound mail needs nobody else, and its people are not asked for."""
    await foisted(begun)
    await arrives(
        begun,
        CAL,
        {"in_reply_to": SHARED, "references": (str(begun.mail.last_sent.internet_message_id), SHARED)},
    )
    assert (begun.crm.types()[-1], begun.crm.last["evidence"]) == ("message.received", "references")
    assert "people" not in begun.mail.calls


async def test_an_answer_to_the_users_own_mail_needs_nobody_else(begun: App) -> None:
    """What the user wrote in the thread leads there alone, even where a contact took its Message-ID before."""
    await foisted(begun)
    begun.clock.forward(minutes=30)
    await arrives(begun, ANN_ADDRESS, shared(begun), headers=(), to=(Address(CAL),))
    await arrives(begun, CAL, {"in_reply_to": SHARED})
    assert messages(begun) == ["message.received", "message.sent", "message.received"]
    assert "people" not in begun.mail.calls


LISTED = (*TRAVELLED, ("List-Id", "<dev.lists.example>"))
AUTHORS: dict[str, dict[str, Any]] = {
    "Reply-To": {"headers": LISTED, "reply_to": (Address(ANN_ADDRESS),)},
    "X-Original-From": {"headers": (*LISTED, ("X-Original-From", f"Ann <{ANN_ADDRESS}>"))},
}


@pytest.mark.parametrize("changes", AUTHORS.values(), ids=AUTHORS)
async def test_a_list_that_stands_in_from_brings_back_the_users_mail(
    begun: App, changes: dict[str, Any]
) -> None:
    """The user's own mail is not shown again when a list brings it back with its own address in From."""
    lists = Address("dev@lists.example")
    await arrives(begun, ANN_ADDRESS, shared(begun), headers=(), to=(lists, Address(BEA_ADDRESS)))
    begun.clock.forward(hours=2)
    await arrives(begun, lists.address, shared(begun), **changes)
    assert messages(begun) == ["message.sent"]


async def test_a_list_that_stands_in_from_does_not_double_a_contacts_mail(begun: App) -> None:
    """A contact's mail that a list brings besides is shown once; somebody else's with its Message-ID is another."""
    await arrives(begun, BEA_ADDRESS, shared(begun))
    of_bea = {"headers": LISTED, "reply_to": (Address(BEA_ADDRESS),)}
    await arrives(begun, "dev@lists.example", shared(begun), **of_bea)
    await arrives(begun, STRANGER, shared(begun), reply_to=(Address(BEA_ADDRESS),))
    assert messages(begun) == 2 * ["message.received"]
