"""Mail of the mailbox: what is brought into the CRM, by which evidence, and what is never looked into (R2 to R4)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.model import Address
from shared.state import keys
from tests.functions.app import ANN_ADDRESS, BEA_ADDRESS, App

STRANGER = "eve@evil.example"


async def test_a_reply_is_shown_in_the_crm(begun: App) -> None:
    """A contact's reply reaches the CRM with text, people, the CRM's ids and the evidence for its thread."""
    told = await begun.answered()
    assert begun.crm.types()[-1] == "message.received"
    assert (told["direction"], told["origin"], told["evidence"]) == ("inbound", "mailbox", "in_reply_to")
    assert told["from"] == {"address": BEA_ADDRESS, "name": ""}
    assert (told["body"]["html"], told["body"]["text"]) == ("<p>Yes.</p>", "Yes.")
    assert (told["crm_thread_id"], told["crm_context"], told["contact_ids"]) == (
        "c-7",
        {"deal": "d-42"},
        ["k-9"],
    )
    shown = (await begun.v1("GET", f"messages/{told['id']}")).json()
    assert (shown["status"], shown["message"]["subject"]) == ("received", "Re: Your offer")


def _tags(app: App, kind: str) -> dict[str, Any]:
    """Threading tags of a mail that belongs to the newest send in that way."""
    ours = app.mail.last_sent
    return {
        "in_reply_to": {"in_reply_to": ours.internet_message_id},
        "references": {"references": ("<far@x.example>", str(ours.internet_message_id), "<lost@x.example>")},
        "both, the nearer unknown": {
            "in_reply_to": "<lost@x.example>",
            "references": (str(ours.internet_message_id), "<lost@x.example>"),
        },
        "conversation": {"conversation_id": ours.conversation_id},
        "conversation, its tags unknown": {
            "conversation_id": ours.conversation_id,
            "in_reply_to": "<lost@x.example>",
        },
    }[kind]


EVIDENCE = {
    "in_reply_to": "in_reply_to",
    "references": "references",
    "both, the nearer unknown": "references",
    "conversation": "conversation",
    "conversation, its tags unknown": "conversation",
}


@pytest.mark.parametrize(("kind", "evidence"), EVIDENCE.items())
async def test_evidence_in_its_order(begun: App, kind: str, evidence: str) -> None:
    """In-Reply-To counts before References, then the conversation with a known person, and the CRM is told which."""
    number = begun.mail.receive(BEA_ADDRESS, tags=_tags(begun, kind))
    await begun.arrives(number)
    assert (begun.crm.types()[-1], begun.crm.last["evidence"]) == ("message.received", evidence)
    assert ("people" in begun.mail.calls) == (evidence == "conversation")


async def test_message_ids_have_one_form(begun: App) -> None:
    """A mail whose Message-ID came bare is answered by it in brackets, and the CRM hears it as it came."""
    ours = str(begun.mail.last_sent.internet_message_id)
    tags = {"internet_message_id": "7@fabrikam.example", "references": (ours.strip("<>"),)}
    first = begun.mail.receive(BEA_ADDRESS, tags=tags)
    second = begun.mail.receive(BEA_ADDRESS, in_reply_to="<7@fabrikam.example>")
    await begun.arrives(first)
    assert begun.crm.last["internet_message_id"] == "7@fabrikam.example"
    await begun.arrives(second)
    assert (begun.crm.types()[-1], begun.crm.last["evidence"]) == ("message.received", "in_reply_to")


async def test_every_parent_is_looked_up(begun: App) -> None:
    """In-Reply-To may name a person before the mail that is answered."""
    ours = str(begun.mail.last_sent.internet_message_id)
    tags = {"in_reply_to": "<bea@fabrikam.example>", "other_parents": (ours,)}
    await begun.arrives(begun.mail.receive(BEA_ADDRESS, tags=tags))
    assert (begun.crm.types()[-1], begun.crm.last["evidence"]) == ("message.received", "in_reply_to")


async def test_anybody_who_answers_our_mail_is_in_the_thread(begun: App) -> None:
    """A colleague to whom a contact forwarded our mail is in the thread: the tag proves it, not the person (R3)."""
    told = await begun.answered("cal@fabrikam.example")
    assert (begun.crm.types()[-1], told["from"]["address"]) == ("message.received", "cal@fabrikam.example")


FOREIGN: dict[str, dict[str, Any]] = {
    "no tags at all": {},
    "a reply to somebody else's": {"in_reply_to": "<theirs@x.example>"},
    "a long foreign thread": {"references": tuple(f"<{n}@x.example>" for n in range(80))},
    "our Message-ID in another case": {"in_reply_to": "<DRAFT-1@NORTHWIND.EXAMPLE>"},
    "without ids": {"internet_message_id": None, "conversation_id": None},
}


@pytest.mark.parametrize("tags", FOREIGN.values(), ids=FOREIGN)
@pytest.mark.parametrize("sender", [BEA_ADDRESS, STRANGER, ANN_ADDRESS], ids=["contact", "stranger", "self"])
async def test_foreign_mail_is_never_looked_into(begun: App, tags: dict[str, Any], sender: str) -> None:
    """Foreign mail with a thread's subject costs one look at its ids and tags and leaves no row (R4)."""
    before, rows = len(begun.mail.looks()), await _rows(begun)
    number = begun.mail.receive(sender, subject="Re: Your offer", tags=tags)
    await begun.arrives(number)
    assert begun.mail.looks()[before:] == ["outline"]
    assert await _rows(begun) == rows
    assert begun.crm.types() == ["connection.connected", "message.sent"]


async def test_a_stranger_in_a_known_conversation_is_foreign(begun: App) -> None:
    """A stranger's mail in a known conversation is foreign: its people are read, its body never."""
    tags = {"conversation_id": begun.mail.last_sent.conversation_id}
    number = begun.mail.receive(STRANGER, subject="Re: Your offer", tags=tags)
    before = len(begun.mail.looks())
    await begun.arrives(number)
    assert begun.mail.looks()[before:] == ["outline", "people"]
    assert begun.crm.types()[-1] == "message.sent"


async def test_nothing_syncs_before_the_first_send(ready: App) -> None:
    """A connected mailbox without a thread has no subscription and no sweep (R2)."""
    ready.mail.receive(BEA_ADDRESS)
    await ready.later(hours=7)
    assert set(ready.mail.calls) <= {"profile", "probe"}
    assert ready.crm.types() == ["connection.connected"]


async def test_a_thread_begun_in_the_mailbox_never_syncs(begun: App) -> None:
    """Neither a mail that the user begins in the mailbox nor the contact's answer to it is brought in (R4)."""
    own = begun.mail.receive(ANN_ADDRESS, to=(Address(BEA_ADDRESS),))
    answer = begun.mail.receive(BEA_ADDRESS, in_reply_to=begun.mail.mails[own].outline.internet_message_id)
    await begun.arrives(own, answer)
    assert begun.crm.types()[-1] == "message.sent"
    assert "fetch" not in begun.mail.calls


async def test_the_users_own_reply_from_outlook_is_outbound(begun: App) -> None:
    """The user's own reply from Outlook is told as outbound, and the answer to it is in the same thread (R3)."""
    inbound = await begun.answered()
    told = await begun.answered(ANN_ADDRESS, to=(Address(BEA_ADDRESS),))
    assert begun.crm.types()[-1] == "message.sent"
    assert (told["direction"], told["origin"], told["crm_message_id"]) == ("outbound", "mailbox", None)
    assert told["thread_id"] == inbound["thread_id"]
    own = begun.mail.mails["AAMk-2"].outline.internet_message_id
    number = begun.mail.receive(BEA_ADDRESS, in_reply_to=own)
    await begun.arrives(number)
    assert (begun.crm.last["in_reply_to"], begun.crm.last["thread_id"]) == (own, inbound["thread_id"])
    assert [event["data"]["sequence"] for event in begun.crm.told[1:]] == [1, 2, 3, 4]


async def test_our_own_send_is_recognised(ready: App) -> None:
    """A notification of our own send confirms it once under the copy's id, even before the worker asks."""
    accepted = (await ready.v1("POST", "messages", json=_body())).json()
    await ready.pump()
    (number,) = ready.mail.sent
    await ready.arrives(number)
    assert ready.crm.types() == ["connection.connected", "message.sent"]
    assert (ready.crm.last["id"], ready.crm.last["origin"]) == (accepted["id"], "crm")
    assert "fetch" not in ready.mail.calls
    await ready.arrives(number)
    await ready.later(minutes=20)
    assert ready.crm.types() == ["connection.connected", "message.sent"]


def _body() -> dict[str, Any]:
    return {
        "crm_message_id": "m-1",
        "user_id": "u_ann",
        "to": [{"address": BEA_ADDRESS}],
        "subject": "Your offer",
        "body": {"text": "Here it is."},
    }


async def test_a_desktop_program_may_change_the_message_id_of_our_send(ready: App) -> None:
    """When a sent copy bears another Message-ID than its draft, replies to either are brought in."""
    await ready.v1("POST", "messages", json=_body())
    await ready.pump()
    (number,) = ready.mail.sent
    draft = ready.mail.last_sent
    ready.mail.receive(
        ANN_ADDRESS, tags={**_outline(draft), "internet_message_id": "<real@northwind.example>"}
    )
    await ready.arrives("AAMk-1")
    assert ready.crm.last["internet_message_id"] == "<real@northwind.example>"
    for ancestor in (draft.internet_message_id, "<real@northwind.example>"):
        await ready.arrives(ready.mail.receive(BEA_ADDRESS, in_reply_to=ancestor))
        assert (ready.crm.types()[-1], ready.crm.last["in_reply_to"]) == ("message.received", ancestor)
    assert number in ready.mail.sent


def _outline(of: Any) -> dict[str, Any]:
    return {"key": of.key, "conversation_id": of.conversation_id}


# ---- notifications are hints


async def test_a_doubled_notification_changes_nothing(begun: App) -> None:
    """A mail that is notified several times and swept besides is fetched once and told by one event (E-16)."""
    number = begun.mail.receive(BEA_ADDRESS, in_reply_to=begun.mail.last_sent.internet_message_id)
    await begun.notify(number, number)
    await begun.notify(number)
    await begun.pump()
    await begun.arrives(number)
    assert begun.mail.looks() == ["outline", "fetch"]
    await begun.later(minutes=40)
    assert begun.crm.types().count("message.received") == 1
    assert begun.mail.calls.count("fetch") == 1


async def test_a_dropped_notification_is_made_up_for_by_the_sweep(begun: App) -> None:
    """A mail whose notification was lost is brought in by the next sweep; foreign mail beside it is not looked at."""
    ours = begun.mail.last_sent.internet_message_id
    begun.mail.receive(BEA_ADDRESS, in_reply_to=ours)
    begun.mail.receive(STRANGER)
    await begun.later(minutes=21)
    assert begun.crm.types()[-1] == "message.received"
    assert begun.mail.looks() == ["fetch"]


async def test_a_mail_that_is_not_there_yet_is_looked_for_again(begun: App) -> None:
    """A notified mail that Graph does not show yet is looked for again and brought in when it is there."""
    ours = begun.mail.last_sent.internet_message_id
    await begun.arrives("AAMk-1")
    assert begun.crm.types()[-1] == "message.sent"
    begun.mail.receive(
        BEA_ADDRESS, in_reply_to=ours, tags={"last_modified_at": begun.clock.now() - timedelta(days=1)}
    )
    await begun.later(minutes=3)
    assert begun.crm.types()[-1] == "message.received"


async def test_a_mail_that_vanished_is_given_up(begun: App) -> None:
    """A notified mail that never appears is looked for four times and then given up."""
    await begun.arrives("AAMk-never")
    await begun.later(minutes=60)
    assert begun.mail.calls.count("outline") == 4


async def test_a_hint_of_an_older_generation_costs_nothing(begun: App) -> None:
    """A notification for another generation or an unknown mailbox causes no call to Graph (G-2)."""
    version, mailbox, _, nonce = begun.mail.client_states[-1].rsplit(".", 1)[0].split(".")
    old = begun.services.client_states.mint(mailbox, 7, nonce)
    number = begun.mail.receive(BEA_ADDRESS, in_reply_to=begun.mail.last_sent.internet_message_id)
    before = len(begun.mail.calls)
    await begun.notify(number, clientState=old)
    unknown = begun.services.client_states.mint("nobody-here", 1, nonce)
    await begun.notify(number, clientState=unknown)
    await begun.pump()
    assert version == "v1"
    assert len(begun.mail.calls) == before


async def test_a_draft_is_nothing_yet(begun: App) -> None:
    """A user's draft in the thread is not brought in until it is sent."""
    tags = {"is_draft": True, "in_reply_to": begun.mail.last_sent.internet_message_id}
    number = begun.mail.receive(ANN_ADDRESS, tags=tags)
    await begun.arrives(number)
    assert begun.crm.types()[-1] == "message.sent"
    begun.mail.mails[number] = replace(
        begun.mail.mails[number], outline=replace(begun.mail.mails[number].outline, is_draft=False)
    )
    await begun.arrives(number)
    assert (begun.crm.last["origin"], begun.crm.last["direction"]) == ("mailbox", "outbound")


async def _rows(app: App) -> int:
    """How many rows all mailboxes have."""
    return len([row async for row in app.tables.query_partitions(keys.MAILBOX, "", "\uffff")])
