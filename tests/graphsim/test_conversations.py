"""Conversations: which mails belong together, in each mailbox by its own ids."""

from __future__ import annotations

import base64

import pytest

from tests.graphsim.conftest import BEN, CAT, App, Lab, at, draft, to


async def sent_to(lab: Lab, app: App, address: str, **changes: object) -> dict[str, object]:
    """Ann's mail, delivered; returns her copy."""
    await app("POST", "me/sendMail", {"Message": draft(toRecipients=to(address), **changes)})
    await lab.pass_time()
    return next(mail for mail in await lab.mailbox() if mail["folder"] == "sentitems")


async def test_the_index_grows(lab: Lab, app: App) -> None:
    """A conversation's index has 22 bytes and five more for each reply."""
    mail = await lab.arrives()
    first = await app.ok("GET", at(mail["id"]))
    reply = await app.ok("POST", f"{at(mail['id'])}/createReply")
    again = await app.ok("POST", f"{at(reply['id'])}/createReply")
    indexes = [base64.b64decode(message["conversationIndex"]) for message in (first, reply, again)]
    assert [len(index) for index in indexes] == [22, 27, 32]
    assert indexes[0][0] == 1
    assert all(index.startswith(indexes[0]) for index in indexes)


async def test_two_mailboxes_of_exchange(lab: Lab, app: App) -> None:
    """Ben's reply lands in Ann's conversation, for which each mailbox has its own id."""
    sent = await sent_to(lab, app, BEN)
    (received,) = await lab.mailbox(BEN)
    ben = await lab.app(BEN)
    reply = await ben.ok("POST", f"{at(received['id'])}/createReply")
    assert reply["conversationId"] == received["conversation_id"] != sent["conversation_id"]
    await ben("POST", f"{at(reply['id'])}/send")
    await lab.pass_time()
    (answer,) = [mail for mail in await lab.mailbox() if mail["folder"] == "inbox"]
    assert answer["conversation_id"] == sent["conversation_id"]
    assert answer["in_reply_to"] == sent["internet_message_id"]


@pytest.mark.parametrize(("knob", "same"), [("new", False), ("matched", True)])
async def test_a_reply_from_elsewhere(lab: Lab, app: App, knob: str, same: bool) -> None:
    """A reply without Thread-Index names what it answers, and by the knob begins a conversation of its own."""
    await lab.knobs(external_reply_conversation=knob)
    sent = await sent_to(lab, app, CAT)
    body = {"internet_message_id": sent["internet_message_id"], "text": "Yes"}
    await lab.control("POST", f"outside/{CAT}/reply", body)
    await lab.pass_time()
    (answer,) = [mail for mail in await lab.mailbox() if mail["folder"] == "inbox"]
    assert (answer["in_reply_to"], answer["references"]) == (
        sent["internet_message_id"],
        [sent["internet_message_id"]],
    )
    assert answer["subject"] == "AW: Offer"
    assert (answer["conversation_id"] == sent["conversation_id"]) is same


async def test_a_reply_that_keeps_the_index(lab: Lab, app: App) -> None:
    """With the knob a program that writes Thread-Index back answers into the conversation."""
    await lab.knobs(contact_thread_index="present")
    sent = await sent_to(lab, app, CAT)
    body = {"internet_message_id": sent["internet_message_id"], "text": "Yes"}
    await lab.control("POST", f"outside/{CAT}/reply", body)
    await lab.pass_time()
    (answer,) = [mail for mail in await lab.mailbox() if mail["folder"] == "inbox"]
    assert answer["conversation_id"] == sent["conversation_id"]


async def test_another_subject_is_another_conversation(lab: Lab, app: App) -> None:
    """Another subject is another conversation, in a draft too; prefixes of replies and case do not count."""
    mail = await lab.arrives(subject="Quote")
    reply = await app.ok("POST", f"{at(mail['id'])}/createReply")
    for subject, same in {"AW: Re: quote": True, "Quotes": False, "RE: Quote": True}.items():
        changed = await app.ok("PATCH", at(reply["id"]), {"subject": subject})
        assert (changed["conversationId"] == mail["conversation_id"]) is same, subject


async def test_mails_without_relation(lab: Lab, app: App) -> None:
    """Two mails with the same subject are two conversations."""
    first, second = await lab.arrives(), await lab.arrives()
    assert first["conversation_id"] != second["conversation_id"]
