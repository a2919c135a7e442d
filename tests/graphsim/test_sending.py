"""Sending: what 202 means, where the copy goes, how mail reaches others, and what comes back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest

from tests.graphsim.conftest import ANN, BEN, HTTPS, IMMUTABLE, MARK, App, Lab, at, draft, file, to


async def send_draft(lab: Lab, app: App, **changes: object) -> dict[str, object]:
    """A draft is made and sent; returns it as it was."""
    made = await app.ok("POST", "me/messages", draft(**changes), **IMMUTABLE)
    answer = await app("POST", f"{at(str(made['id']))}/send")
    assert (answer.status_code, answer.content) == (202, b"")
    return made


async def folder(lab: Lab, name: str, address: str = ANN) -> list[dict[str, object]]:
    return [mail for mail in await lab.mailbox(address) if mail["folder"] == name]


async def test_the_copy_comes_later(lab: Lab, app: App) -> None:
    """After the 202 there is neither draft nor copy for a while, then the copy with other ids in Sent Items."""
    made = await send_draft(lab, app)
    assert await app.refused("GET", at(str(made["id"]))) == (404, "ErrorItemNotFound")
    await lab.pass_time(1.9)
    assert await lab.mailbox() == []
    await lab.pass_time(0.2)
    (copy,) = await lab.mailbox()
    assert (copy["folder"], copy["is_draft"]) == ("sentitems", False)
    assert copy["id"] != made["id"]
    assert copy["internet_message_id"] != made["internetMessageId"]
    assert copy["conversation_id"] == made["conversationId"]


async def test_the_kinder_side(lab: Lab, app: App) -> None:
    """With the knobs a sent draft stays to be seen, and its copy keeps both ids."""
    await lab.knobs(sent_copy_id="kept", sent_message_id="kept", sent_copy_gap="draft")
    made = await send_draft(lab, app)
    assert (await app.ok("GET", at(str(made["id"])), **IMMUTABLE))["isDraft"] is True
    await lab.pass_time()
    copy = await app.ok("GET", at(str(made["id"])), **IMMUTABLE)
    assert (copy["isDraft"], copy["internetMessageId"]) == (False, made["internetMessageId"])


async def test_a_property_marks_the_copy(lab: Lab, app: App) -> None:
    """An extended property survives sending unless the knob loses it, and never leaves the mailbox."""
    marked = {"singleValueExtendedProperties": [{"id": MARK, "value": "k"}]}
    await send_draft(lab, app, toRecipients=to(BEN), **marked)
    await lab.pass_time()
    assert [list(mail["extended"].values()) for mail in await folder(lab, "sentitems")] == [["k"]]  # type: ignore[attr-defined]
    assert [mail["extended"] for mail in await folder(lab, "inbox", BEN)] == [{}]
    await lab.knobs(sent_copy_extended_properties="lost")
    await send_draft(lab, app, **marked)
    await lab.pass_time()
    assert sorted(len(mail["extended"]) for mail in await folder(lab, "sentitems")) == [0, 1]  # type: ignore[arg-type]


async def test_sending_twice(lab: Lab, app: App) -> None:
    """A second send of a draft is refused in each state and sends nothing."""
    made = await send_draft(lab, app)
    assert await app.refused("POST", f"{at(str(made['id']))}/send") == (404, "ErrorItemNotFound")
    await lab.knobs(sent_copy_id="kept", sent_copy_gap="draft")
    made = await send_draft(lab, app)
    assert await app.refused("POST", f"{at(str(made['id']))}/send") == (409, "ErrorIrresolvableConflict")
    await lab.pass_time()
    assert await app.refused("POST", f"{at(str(made['id']))}/send") == (400, "ErrorInvalidOperation")
    await lab.pass_time()
    assert len(await lab.outside()) == 2


async def test_received_mail_is_not_sent(lab: Lab, app: App) -> None:
    """A received message cannot be sent."""
    mail = await lab.arrives()
    assert await app.refused("POST", f"{at(mail['id'])}/send") == (400, "ErrorInvalidOperation")


async def test_send_takes_an_empty_object(lab: Lab, app: App) -> None:
    """A send with `{}` as its body is a send, as clients in the field write it."""
    made = await app.ok("POST", "me/messages", draft())
    assert (await app("POST", f"{at(made['id'])}/send", {})).status_code == 202
    assert not await folder(lab, "drafts")


async def test_send_takes_no_body(lab: Lab, app: App) -> None:
    """A send with a body, or without a Content-Length, is refused and the draft stays."""
    made = await app.ok("POST", "me/messages", draft())
    for body in ({"a": 1}, [], "x"):
        assert (await app.refused("POST", f"{at(made['id'])}/send", body))[0] == 400

    async def chunks() -> AsyncIterator[bytes]:
        yield b""

    headers = {"Authorization": f"Bearer {app.token}"}
    answer = await lab.http.post(f"{HTTPS}/v1.0/{at(made['id'])}/send", content=chunks(), headers=headers)
    assert answer.status_code == 411
    assert len(await folder(lab, "drafts")) == 1


@pytest.mark.parametrize(
    "people", [[], to("no address"), to("a@b"), to(*(f"p{n}@x.example" for n in range(501)))]
)
async def test_wrong_recipients(lab: Lab, app: App, people: list[object]) -> None:
    """A send to nobody, to nonsense or to more than 500 people is refused and the draft stays."""
    made = await app.ok("POST", "me/messages", draft(toRecipients=people))
    assert await app.refused("POST", f"{at(made['id'])}/send") == (400, "ErrorInvalidRecipients")
    assert len(await folder(lab, "drafts")) == 1


async def test_a_mail_too_large(lab: Lab, app: App) -> None:
    """A send of more than 35 MB is refused and the draft stays."""
    made = await app.ok("POST", "me/messages", draft(attachments=[file()]), **IMMUTABLE)
    stored = lab.simulator.world.store.mailboxes[ANN].messages[made["id"]]
    stored.attachments[0].content = b"x" * 36 * 1024 * 1024
    assert await app.refused("POST", f"{at(made['id'])}/send") == (413, "ErrorMessageSizeExceeded")
    assert len(await folder(lab, "drafts")) == 1


async def test_mail_in_one_call(lab: Lab, app: App) -> None:
    """The action sendMail sends without a draft and files a copy unless told not to."""
    for body in (
        {"Message": draft(subject="1")},
        {"message": draft(subject="2"), "saveToSentItems": "false"},
    ):
        answer = await lab.http.post(
            f"{HTTPS}/v1.0/me/sendMail", json=body, headers={"Authorization": f"Bearer {app.token}"}
        )
        assert (answer.status_code, answer.content) == (202, b"")
    answer = await app("POST", "me/sendMail", {"Message": draft(subject="3"), "SaveToSentItems": False})
    assert answer.status_code == 202
    await lab.pass_time()
    assert [mail["subject"] for mail in await lab.outside()] == ["1", "2", "3"]
    assert [(mail["folder"], mail["subject"]) for mail in await lab.mailbox()] == [("sentitems", "1")]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "ErrorInvalidRequest"),
        ({"Message": draft(colour="red")}, "RequestBodyRead"),
        ({"Message": draft(), "Urgent": True}, "RequestBodyRead"),
        ({"Message": draft(toRecipients=[])}, "ErrorInvalidRecipients"),
    ],
)
async def test_wrong_mail_in_one_call(lab: Lab, app: App, body: dict[str, object], code: str) -> None:
    """A sendMail that is refused sends nothing."""
    assert await app.refused("POST", "me/sendMail", body) == (400, code)
    await lab.pass_time()
    assert await lab.outside() == []


async def test_everybody_gets_it(lab: Lab, app: App) -> None:
    """To, Cc and Bcc receive the same Message-ID, and a Bcc is seen on the sender's copy only."""
    await lab.knobs(inline_flag="right")
    await send_draft(
        lab, app, ccRecipients=to(BEN), bccRecipients=to("dan@fabrikam.example"), attachments=[file()]
    )
    await lab.pass_time()
    (sent,), (bens,), (cats,) = (
        await folder(lab, "sentitems"),
        await folder(lab, "inbox", BEN),
        await lab.outside(),
    )
    (dans,) = await lab.outside("dan@fabrikam.example")
    ids = {mail["internet_message_id"] for mail in (sent, bens, cats, dans)}
    assert len(ids) == 1
    assert (sent["bcc"], bens["bcc"]) == (["dan@fabrikam.example"], [])
    assert "bcc" not in cats
    assert bens["attachments"] == sent["attachments"]
    assert (bens["is_read"], bens["from"]) == (False, ANN)
    assert bens["id"] != sent["id"]
    assert bens["conversation_id"] != sent["conversation_id"]


async def test_mail_to_oneself(lab: Lab, app: App) -> None:
    """A mail to oneself lies in Inbox and Sent Items under the same Message-ID."""
    await send_draft(lab, app, toRecipients=to(ANN))
    await lab.pass_time()
    both = await lab.mailbox()
    assert sorted(mail["folder"] for mail in both) == ["inbox", "sentitems"]
    assert len({mail["internet_message_id"] for mail in both}) == 1


async def test_a_relay_may_rewrite(lab: Lab, app: App) -> None:
    """With the knob recipients see another Message-ID than the sender's copy has."""
    await lab.knobs(relay_message_id="rewritten")
    await send_draft(lab, app)
    await lab.pass_time()
    (sent,), (seen,) = await folder(lab, "sentitems"), await lab.outside()
    assert seen["internet_message_id"] != sent["internet_message_id"]


@pytest.mark.parametrize(("knob", "named"), [("absent", False), ("present", True)])
async def test_a_bounce(lab: Lab, app: App, knob: str, named: bool) -> None:
    """A mail to an address that does not exist brings a report, which by the knob names the original."""
    await lab.knobs(bounce_in_reply_to=knob)
    await send_draft(lab, app, toRecipients=to("nobody@bounces.example"))
    await lab.pass_time()
    (report,) = await folder(lab, "inbox")
    (sent,) = await folder(lab, "sentitems")
    assert report["subject"] == "Undeliverable: Offer"
    assert report["in_reply_to"] == (sent["internet_message_id"] if named else None)


async def test_thirty_a_minute(lab: Lab, app: App) -> None:
    """Transport takes 30 mails of a mailbox a minute, and the others wait and get there."""
    started = lab.clock.now()
    for _ in range(61):
        assert (await app("POST", "me/sendMail", {"Message": draft()})).status_code == 202
    counts = []
    for _ in range(4):
        await lab.pass_time(30)
        counts.append(len(await lab.outside()))
    assert counts == [30, 30, 60, 60]
    await lab.pass_time(30)
    assert len(await lab.outside()) == 61
    arrivals = [datetime.fromisoformat(str(mail["at"])) for mail in await lab.outside()]
    assert arrivals[-1] - started > timedelta(minutes=2)


async def test_no_limit_of_transport(lab: Lab, app: App) -> None:
    """With the knobs transport takes any number of mails, and delivers them after the chosen delay."""
    await lab.knobs(transport_per_minute=0, delivery_delay_seconds=20)
    for _ in range(35):
        await app("POST", "me/sendMail", {"Message": draft()})
    await lab.pass_time(19)
    assert await lab.outside() == []
    await lab.pass_time(2)
    assert len(await lab.outside()) == 35


async def test_times_of_the_copy(lab: Lab, app: App) -> None:
    """A sent copy is created with its draft, dated when it was sent, and changed when it was filed."""
    await lab.knobs(sent_copy_delay_seconds=600)
    made = await app.ok("POST", "me/messages", draft())
    lab.clock.advance(100)
    await app("POST", f"{at(made['id'])}/send")
    await lab.pass_time(700)
    (copy,) = (await app.ok("GET", "me/mailFolders/sentitems/messages"))["value"]
    made_at = datetime.fromisoformat(made["createdDateTime"])
    names = ("createdDateTime", "sentDateTime", "receivedDateTime", "lastModifiedDateTime")
    passed = [(datetime.fromisoformat(copy[name]) - made_at).total_seconds() for name in names]
    assert passed == [0, 100, 100, 700]
