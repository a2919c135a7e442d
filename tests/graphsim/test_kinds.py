"""Mail of other kinds: reports, automatic answers, receipts, meetings, recalls, as Graph shows them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.graphsim.conftest import ANN, CAT, IMMUTABLE, App, Json, Lab, at, draft, to, where

CLASS = "singleValueExtendedProperties($filter=id eq 'String 0x001A')"
LOST = "nobody@bounces.example"


async def send(lab: Lab, app: App, *people: str) -> Json:
    """Ann's mail to these people, as it lies in Sent Items."""
    made = await app.ok("POST", "me/messages", draft(toRecipients=to(*people)), **IMMUTABLE)
    await app("POST", f"{at(made['id'])}/send", **{"Content-Length": "0"})
    await lab.pass_time()
    return next(mail for mail in await lab.mailbox(ANN) if mail["folder"] == "sentitems")


async def reports(lab: Lab) -> list[Json]:
    return [mail for mail in await lab.mailbox(ANN) if mail["folder"] == "inbox"]


async def read(app: App, mail: Json, **options: str) -> Json:
    return await app.ok("GET", f"{at(mail['id'])}?{where(expand=CLASS, **options)}")


def class_of(found: Json) -> Any:
    return found["singleValueExtendedProperties"][0]["value"]


async def reply(lab: Lab, kind: str) -> Json:
    """Cat's program answers the newest mail that she got; the mail as it lies in Ann's inbox."""
    got = (await lab.outside())[-1]
    wanted = {"internet_message_id": got["internet_message_id"], "html": "<p>Away</p>", "kind": kind}
    sent = await lab.control("POST", f"outside/{CAT}/reply", wanted)
    await lab.pass_time()
    return next(m for m in await lab.mailbox(ANN) if m["internet_message_id"] == sent["internet_message_id"])


async def test_exchanges_report(lab: Lab, app: App) -> None:
    """Exchange reports in the original's conversation, by its own sender, class, headers and wording."""
    sent = await send(lab, app, LOST)
    (report,) = await reports(lab)
    found = await read(app, report)
    assert (report["conversation_id"], report["in_reply_to"]) == (sent["conversation_id"], None)
    assert report["from"].startswith("MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e@")
    assert class_of(found) == "REPORT.IPM.Note.NDR"
    assert "550 5.1.1 &lt;nobody@bounces.example&gt;" in found["body"]["content"]
    assert sent["internet_message_id"].strip("<>") in found["body"]["content"]
    assert [file["content_type"] for file in report["attachments"]] == ["message/rfc822"]


async def test_a_report_of_another_mail_system(lab: Lab, app: App) -> None:
    """Another mail system reports in plain text, in no conversation, with RFC 3464's parts where Graph shows them."""
    await lab.knobs(
        bounce_writer="remote", report_parts="files", bounce_in_reply_to="present", null_members="none"
    )
    sent = await send(lab, app, LOST)
    (report,) = await reports(lab)
    found = await read(app, report, select="from,body,internetMessageHeaders")
    assert (report["from"], class_of(found)) == ("MAILER-DAEMON@bounces.example", "IPM.Note")
    assert (found["body"]["contentType"], report["in_reply_to"]) == ("text", sent["internet_message_id"])
    assert report["conversation_id"] != sent["conversation_id"]
    assert {"name": "Return-Path", "value": "<>"} in found["internetMessageHeaders"]
    listed = await app.ok("GET", f"{at(report['id'])}/attachments?{where(select='contentType')}")
    parts = {file["contentType"]: file["id"] for file in listed["value"]}
    assert set(parts) == {"message/delivery-status", "text/rfc822-headers"}
    status = await app("GET", f"{at(report['id'])}/attachments/{parts['message/delivery-status']}/$value")
    assert "Final-Recipient: rfc822;nobody@bounces.example\nAction: failed\nStatus: 5.1.1\n" in status.text


async def test_reports_of_several_and_of_slow_recipients(lab: Lab, app: App) -> None:
    """One report names all who cannot be reached; a slow one is reported as delayed, and gets the mail later."""
    await send(lab, app, LOST, "gone@bounces.example", "late@slow.example", CAT)
    late, lost = sorted(await reports(lab), key=lambda report: str(report["subject"]))
    assert (late["subject"], late["message_class"]) == ("Delivery delayed: Offer", "REPORT.IPM.Note.Delayed")
    assert "nobody@bounces.example, gone@bounces.example" in lost["html"]
    assert len(await lab.outside()) == 1
    assert await lab.outside("late@slow.example") == []
    await lab.pass_time(600)
    assert len(await lab.outside("late@slow.example")) == 1


@pytest.mark.parametrize(
    ("knob", "value"),
    [("bounce_conversation", "new"), ("report_parts", "none"), ("message_class_tag", "absent")],
)
async def test_what_a_report_may_lack(lab: Lab, app: App, knob: str, value: str) -> None:
    """By its knobs a report has a conversation of its own, no parts, or no class that can be asked for."""
    await lab.knobs(**{knob: value})
    sent = await send(lab, app, LOST)
    (report,) = await reports(lab)
    found = await read(app, report)
    lacks = {
        "bounce_conversation": report["conversation_id"] != sent["conversation_id"],
        "report_parts": not report["attachments"],
        "message_class_tag": "singleValueExtendedProperties" not in found,
    }
    assert {name for name, missing in lacks.items() if missing} == {knob}


MEETINGS = {
    "meeting_request": ("eventMessageRequest", "meetingRequest", "IPM.Schedule.Meeting.Request", "AW: Offer"),
    "meeting_cancellation": ("eventMessage", "meetingCancelled", "IPM.Schedule.Meeting.Canceled", "Canceled: Offer"),
    "meeting_response": ("eventMessageResponse", "meetingAccepted", "IPM.Schedule.Meeting.Resp.Pos", "Accepted: Offer"),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "shown"), MEETINGS.items())
async def test_meeting_mail(lab: Lab, app: App, kind: str, shown: tuple[str, str, str, str]) -> None:
    """Meeting mail is of its own type in lists and alone, whatever is selected, and of its class."""
    await send(lab, app, CAT)
    mail = await reply(lab, kind)
    graph_type, meeting, message_class, subject = shown
    found = await read(app, mail)
    assert (found["@odata.type"], found["meetingMessageType"]) == (f"#microsoft.graph.{graph_type}", meeting)
    assert (class_of(found), found["subject"]) == (message_class, subject)
    listed = await app.ok("GET", f"me/messages?{where(select='subject')}")
    assert {item.get("@odata.type") for item in listed["value"]} == {None, f"#microsoft.graph.{graph_type}"}
    assert "meetingMessageType" not in await read(app, mail, select="subject")


@pytest.mark.parametrize("kept", ["kept", "plain"])
@pytest.mark.parametrize(
    ("kind", "message_class"),
    [
        ("automatic_reply", "IPM.Note.Rules.OofTemplate.Microsoft"),
        ("read_receipt", "REPORT.IPM.Note.IPNRN"),
        ("recall", "IPM.Outlook.Recall"),
    ],
)
async def test_other_kinds_from_outside(lab: Lab, app: App, kept: str, kind: str, message_class: str) -> None:
    """Automatic answers, receipts and recalls come from outside as plain mail, or by the knob in their class."""
    await lab.knobs(outside_message_class=kept)
    await send(lab, app, CAT)
    mail = await reply(lab, kind)
    assert class_of(await read(app, mail)) == (message_class if kept == "kept" else "IPM.Note")


@pytest.mark.parametrize(("mark", "submitted"), [("return_path", False), ("auto_submitted", True)])
async def test_marks_of_an_automatic_answer(lab: Lab, app: App, mark: str, *, submitted: bool) -> None:
    """An automatic answer has an empty return path, and by the knob says so in Auto-Submitted too."""
    await lab.knobs(automatic_reply_mark=mark)
    await send(lab, app, CAT)
    mail = await reply(lab, "automatic_reply")
    headers = (await read(app, mail, select="internetMessageHeaders"))["internetMessageHeaders"]
    assert {"name": "Return-Path", "value": "<>"} in headers
    assert ("Auto-Submitted" in {header["name"] for header in headers}) is submitted
    assert mail["subject"] == "Automatic reply: Offer"


async def test_any_class_and_no_unknown_kind(lab: Lab, app: App) -> None:
    """A mail may have a class of somebody's own; a kind that is not known is refused."""
    mail = await lab.arrives(message_class="IPM.Note.Custom")
    assert class_of(await read(app, mail)) == "IPM.Note.Custom"
    refused = await lab.http.post(
        f"http://localhost:7444/__control/outside/{CAT}/compose", json={"to": [ANN], "kind": "fax"}
    )
    assert (refused.status_code, "automatic_reply" in refused.text) == (400, True)
