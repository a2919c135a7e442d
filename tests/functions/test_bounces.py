"""Bounces: told once, in the thread of the mail that came back, with as much as the report says for certain."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.domain.errors import ItemGone
from shared.domain.model import Address, RemoteFile
from tests.functions.app import ANN_ADDRESS, BEA_ADDRESS, App
from tests.functions.test_reply_targets import the_thread
from tests.unit.domain.test_bounces import EXCHANGE, STATUS

REPORTER = "MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e@northwind.example"
NDR = {
    "message_class": "REPORT.IPM.Note.NDR",
    "html": None,
    "text": EXCHANGE,
    "subject": "Undeliverable: Your offer",
}
REPORT = (("Content-Type", "multipart/report; report-type=delivery-status"),)
ITEM = RemoteFile("item", "Your offer", "message/rfc822", 9_000, inline=False, kind="item")


def arrived(app: App, tags: dict[str, Any], sender: str = REPORTER, **mail: Any) -> str:
    """A report lies in the mailbox."""
    return app.mail.receive(sender, tags=tags, **{**NDR, **mail})


def named(app: App) -> dict[str, Any]:
    """It names the newest send."""
    return {"in_reply_to": app.mail.last_sent.internet_message_id}


def in_conversation(app: App) -> dict[str, Any]:
    """It only lies in the conversation of the newest send."""
    return {"conversation_id": app.mail.last_sent.conversation_id}


@pytest.mark.parametrize(("tags", "evidence"), [(named, "in_reply_to"), (in_conversation, "conversation")])
async def test_a_bounce_is_told_with_its_original(begun: App, tags: Any, evidence: str) -> None:
    """A bounce is told by message.bounced in the thread of its original, and the send shows it; status stays sent."""
    sent = begun.crm.last
    number = arrived(
        begun,
        tags(begun),
        text=EXCHANGE.replace("<ours@northwind.example>", str(sent["internet_message_id"])),
    )
    await begun.arrives(number)
    told = begun.crm.last
    assert (begun.crm.types()[-1], told["kind"], told["automatic"], told["evidence"]) == (
        "message.bounced",
        "bounce",
        True,
        evidence,
    )
    assert told["thread_id"] == sent["thread_id"]
    assert told["bounced"] == {
        "recipient": BEA_ADDRESS,
        "status": "5.1.10",
        "diagnostic_code": "550 5.1.10 RESOLVER.ADR.RecipientNotFound; not found",
        "action": "failed",
        "message_id": sent["id"],
        "crm_message_id": sent["crm_message_id"],
        "others": [],
    }
    shown = (await begun.v1("GET", f"messages/{sent['id']}")).json()
    (bounce,) = shown["bounces"]
    assert (shown["status"], bounce["recipient"], bounce["action"]) == ("sent", BEA_ADDRESS, "failed")
    assert bounce["message_id"] == told["id"]
    report = (await begun.v1("GET", f"messages/{told['id']}")).json()
    assert (report["kind"], report["message"]["bounced"]) == ("bounce", told["bounced"])


async def test_a_bounce_is_told_once(begun: App) -> None:
    """A bounce that is notified again, and swept besides, is told once."""
    number = arrived(begun, named(begun))
    await begun.arrives(number, number)
    await begun.arrives(number)
    await begun.later(minutes=40)
    assert begun.crm.types().count("message.bounced") == 1


async def test_a_bounce_that_is_faster_than_the_sent_copy(ready: App) -> None:
    """A bounce that names the Message-ID of a sent copy that was not seen yet waits for it, and tells its send."""
    await ready.accepted()
    await ready.pump()
    text = EXCHANGE.replace("<ours@northwind.example>", "<real@northwind.example>")
    await ready.arrives(arrived(ready, in_conversation(ready), text=text))
    assert "message.bounced" not in ready.crm.types()
    ready.mail.renamed_on_send[next(iter(ready.mail.sent))] = "<real@northwind.example>"
    await ready.later(minutes=3)
    assert ready.crm.types()[-2:] == ["message.sent", "message.bounced"]
    assert ready.crm.last["bounced"]["crm_message_id"] == "m-1"


async def test_a_delay_is_no_failure_until_one_follows(begun: App) -> None:
    """A delayed report says so; the failure that follows takes its place at the send."""
    sent = begun.crm.last
    delayed = {"message_class": "REPORT.IPM.Note.Delayed", "text": f"{BEA_ADDRESS}: 451 4.4.1 timeout"}
    await begun.arrives(arrived(begun, named(begun), **delayed))
    assert (begun.crm.types()[-1], begun.crm.last["bounced"]["action"]) == ("message.bounced", "delayed")
    begun.clock.forward(hours=1)
    await begun.arrives(arrived(begun, named(begun)))
    shown = (await begun.v1("GET", f"messages/{sent['id']}")).json()
    assert [(bounce["action"], bounce["status"]) for bounce in shown["bounces"]] == [("failed", "5.1.10")]


def with_parts(app: App, *parts: tuple[str, bytes], tags: dict[str, Any]) -> str:
    """A report of RFC 3464 from outside with these parts, (type, content), and the original as an item."""
    number = arrived(
        app, tags, "mailer-daemon@mx.example", text="Prose.", message_class="IPM.Note", headers=REPORT
    )
    files = [
        (RemoteFile(f"p{n}", f"part{n}", kind, len(content), inline=False, kind="file"), content)
        for n, (kind, content) in enumerate(parts)
    ]
    app.mail.files_of[number] = [*files, (ITEM, b"")]
    return number


async def test_the_parts_of_a_report_are_read_and_are_nobodys_files(begun: App) -> None:
    """The report part tells of every recipient; parts and the attached original keep no bounce out (R8)."""
    parts = [("message/delivery-status", STATUS), ("text/rfc822-headers", b"Message-ID: <x@y>\n")]
    await begun.arrives(with_parts(begun, *parts, tags=named(begun)))
    told = begun.crm.last
    assert (begun.crm.types()[-1], begun.mail.calls.count("file_content")) == ("message.bounced", 2)
    assert [
        (each["recipient"], each["action"]) for each in (told["bounced"], *told["bounced"]["others"])
    ] == [
        ("bea@fabrikam.example", "failed"),
        ("cal@contoso.example", "delayed"),
    ]
    assert {file["omitted"] for file in told["attachments"]} == {"report_part"}


async def test_a_report_of_success_is_an_automatic_reply(begun: App) -> None:
    """A delivery report that says delivered is told as received, and marks nothing at the send."""
    sent = begun.crm.last
    success = STATUS.replace(b"failed", b"delivered").replace(b"delayed", b"relayed")
    await begun.arrives(with_parts(begun, ("message/delivery-status", success), tags=named(begun)))
    assert (begun.crm.types()[-1], begun.crm.last["kind"]) == ("message.received", "automatic_reply")
    assert (await begun.v1("GET", f"messages/{sent['id']}")).json()["bounces"] == []


async def test_a_part_that_is_gone_says_nothing(begun: App) -> None:
    """A report whose part Graph does not give any more is told all the same."""
    number = with_parts(begun, ("message/delivery-status", STATUS), tags=named(begun))
    begun.mail.next["file_content"] = [ItemGone()]
    await begun.arrives(number)
    assert (begun.crm.types()[-1], begun.crm.last["bounced"]["recipient"]) == ("message.bounced", None)


async def test_prose_leaves_the_rest_open(begun: App) -> None:
    """A report that says nothing for certain is told with what is known: the mail that it answers."""
    await begun.arrives(arrived(begun, named(begun), text="Leider nein.", message_class=None, headers=REPORT))
    bounced = begun.crm.last["bounced"]
    assert bounced["crm_message_id"] == "m-1"
    assert {bounced[name] for name in ("recipient", "status", "diagnostic_code", "action")} == {None}


async def test_a_bounce_of_the_users_own_mail(begun: App) -> None:
    """A mail that the user wrote in Outlook shows its bounce too; it is no send of the CRM."""
    own = await begun.answered(ANN_ADDRESS, to=(Address(BEA_ADDRESS),))
    await begun.arrives(arrived(begun, {"in_reply_to": own["internet_message_id"]}))
    bounced = begun.crm.last["bounced"]
    assert (bounced["message_id"], bounced["crm_message_id"]) == (own["id"], None)
    shown = (await begun.v1("GET", f"messages/{own['id']}")).json()
    assert (shown["status"], shown["bounces"][0]["recipient"]) == ("sent", BEA_ADDRESS)


FOREIGN: dict[str, tuple[dict[str, Any], list[str]]] = {
    "no evidence at all": ({}, ["outline"]),
    "of somebody else's mail": ({"in_reply_to": "<private@northwind.example>"}, ["outline"]),
}


@pytest.mark.parametrize(("tags", "looks"), FOREIGN.values(), ids=FOREIGN)
async def test_a_foreign_bounce_is_never_read(begun: App, tags: dict[str, Any], looks: list[str]) -> None:
    """A bounce that no evidence leads to a thread is not looked into, whatever it may be about."""
    await begun.arrives(arrived(begun, tags))
    assert (begun.mail.looks(), begun.crm.types()[-1]) == (looks, "message.sent")


@pytest.mark.parametrize(
    ("sender", "message_class"),
    [("eve@evil.example", "REPORT.IPM.Note.NDR"), (REPORTER, "IPM.Note"), (REPORTER, None)],
    ids=["not of a mail system", "of no report's class", "without a class"],
)
async def test_the_conversation_alone_admits_only_exchanges_reports(
    begun: App, sender: str, message_class: str | None
) -> None:
    """In a known conversation people and class are read; without both signs of a report it stays foreign."""
    await begun.arrives(arrived(begun, in_conversation(begun), sender, message_class=message_class))
    assert begun.mail.looks() == ["outline", "people"]
    assert begun.crm.types()[-1] == "message.sent"


async def test_a_private_mails_bounce_in_the_conversation_is_not_told(begun: App) -> None:
    """A report in the conversation that names only somebody who is not of the thread is told to nobody."""
    text = "Your message to dan@private.example failed: 550 5.1.1 <dan@private.example> unknown"
    await begun.arrives(arrived(begun, in_conversation(begun), text=text))
    assert begun.crm.types()[-1] == "message.sent"


async def test_nobody_is_answered_and_nobody_joins(begun: App) -> None:
    """A CRM reply after a bounce answers what it would have answered, and no reporter joins the thread."""
    thread_id = begun.crm.last["thread_id"]
    before = (await the_thread(begun, thread_id)).value
    await begun.arrives(arrived(begun, named(begun)))
    after = (await the_thread(begun, thread_id)).value
    assert (after.newest_graph_message_id, after.participants) == (
        before.newest_graph_message_id,
        before.participants,
    )
    assert after.sequence == before.sequence + 1


FILES = {
    "of an unlisted type": ("offer.docm", 10),
    "too large": ("offer.pdf", 9_000_000),
    "not what it says": ("offer.pdf", 10),
}


@pytest.mark.parametrize(("name", "size"), FILES.values(), ids=FILES)
async def test_no_file_keeps_a_bounce_out(begun: App, name: str, size: int) -> None:
    """What lies on a bounce nobody sent: the bounce is told at once, and the file is noted (R8)."""
    number = arrived(begun, named(begun))
    file = RemoteFile("x", name, "application/octet-stream", size, inline=False, kind="file")
    begun.mail.files_of[number] = [(file, b"MZ")]
    await begun.arrives(number)
    assert begun.crm.types()[2:] == ["message.bounced"]
    assert [each["omitted"] is not None for each in begun.crm.last["attachments"]] == [True]


async def test_a_report_without_a_sender_is_one(begun: App) -> None:
    """A report of Exchange's class whose sender Graph does not give is told by its conversation."""
    number = arrived(begun, in_conversation(begun))
    begun.mail.mails[number] = replace(begun.mail.mails[number], sender=None)
    await begun.arrives(number)
    assert begun.crm.types()[2:] == ["message.bounced"]


async def in_a_shared_conversation(app: App) -> tuple[dict[str, Any], str]:
    """Two threads share the conversation of the first one's mail; returns what was told of it, and a report of it."""
    first, conversation = app.crm.last, app.mail.last_sent.conversation_id
    await app.sent("m-2", crm_thread_id="c-8")
    await app.answered(tags={"conversation_id": conversation})
    text = EXCHANGE.replace("<ours@northwind.example>", str(first["internet_message_id"]))
    return first, arrived(app, {"conversation_id": conversation}, text=text)


async def test_a_bounce_is_told_in_the_thread_of_what_it_names(begun: App) -> None:
    """Where two threads share a conversation, a report that only lies in it is of the mail that it names."""
    first, number = await in_a_shared_conversation(begun)
    await begun.arrives(number)
    assert begun.crm.types()[-1] == "message.bounced"
    assert begun.crm.last["thread_id"] == first["thread_id"]
    assert begun.crm.last["bounced"]["message_id"] == first["id"]


async def test_a_bounce_of_a_stopped_thread_is_told_in_no_other(begun: App) -> None:
    """What comes back in a stopped thread is not told in one that shares its conversation (R12)."""
    first, number = await in_a_shared_conversation(begun)
    await begun.v1("POST", f"threads/{first['thread_id']}/stop")
    await begun.arrives(number)
    assert "message.bounced" not in begun.crm.types()
