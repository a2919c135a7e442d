"""The article as a story: what a CRM user, a contact and a stranger do, and what must be true after each step."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from sandbox.story.connecting import connect
from sandbox.story.stage import ANN, ANN_ADDRESS, CARLA, STRANGER, Stage, expect

PDF = b"%PDF-1.7\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n"
PNG = bytes.fromhex("89504e470d0a1a0a0000000d49484452") + b"\0" * 64
THREE_MB = 3_145_728
DAY = 86_400.0


@dataclass(slots=True)
class Told:
    """What the story remembers from step to step."""

    conversation_id: str = ""
    thread_id: str = ""
    first_message_id: str = ""
    newest_outside: dict[str, Any] = field(default_factory=dict)
    log_from: int = 0


async def seed(stage: Stage) -> None:
    """Ann has a mailbox at Microsoft; Carla and a stranger are people elsewhere."""
    await stage.control("POST", "users", address=ANN_ADDRESS, display_name="Ann Archer")
    await stage.control("POST", "contacts", address=CARLA, name="Carla Cliente")
    await stage.control("POST", "contacts", address=STRANGER, name="Sven Stranger")


async def connecting(stage: Stage, told: Told) -> None:
    """connect: settings page, Microsoft, confirm page, status."""
    del told
    declined = await connect(stage, decision="decline")
    expect("saying no connects nothing", "Nothing was connected" in declined)
    text = await connect(stage)
    expect("the last page says connected", "connected" in text.lower())
    shown = (await stage.api("GET", f"/v1/users/{ANN}/connection")).json()
    expect("the status is connected", shown["status"] == "connected")
    expect("the status shows the address", shown["mailbox"]["address"] == ANN_ADDRESS)
    subscriptions = await stage.control("GET", "subscriptions")
    expect("no subscription before the first send (R2)", not subscriptions["subscriptions"])

    async def announced() -> object:
        return await stage.crm_events("connection.connected")

    await stage.until("the CRM hears of the connection", announced)


async def sending(stage: Stage, told: Told) -> None:
    """The CRM sends: the mail leaves through the mailbox and opens a thread."""
    sent = await stage.of_crm(
        "POST",
        "/api/messages",
        user_id=ANN,
        to=CARLA,
        subject="Offer for spring",
        html="<p>Dear Carla, here is our offer.</p>",
        attachments=[attached("offer.pdf", "application/pdf", PDF)],
    )
    shown = await _sent(stage, sent["id"])
    told.conversation_id, told.thread_id = shown["conversation_id"], shown["thread_id"]
    told.first_message_id = shown["product_id"]
    got = await _reached(stage, 1)
    expect("Carla got the mail exactly once", len(got) == 1)
    expect("the file came along", [one["name"] for one in got[0]["attachments"]] == ["offer.pdf"])
    told.newest_outside = got[0]
    copies = [one for one in await stage.mailbox() if one["folder"] == "sentitems"]
    expect("one copy lies in Sent Items", len(copies) == 1)
    subscriptions = await stage.control("GET", "subscriptions")
    expect("one subscription exists now", len(subscriptions["subscriptions"]) == 1)
    status = (await stage.api("GET", f"/v1/messages/{told.first_message_id}")).json()
    expect("the message status says sent", status["status"] == "sent")
    expect("the mapping names the thread", status["thread_id"] == told.thread_id)


async def contact_replies(stage: Stage, told: Told) -> None:
    """The contact replies with a picture: it appears in the CRM."""
    await _outside_reply(
        stage, told, "<p>Thank you, one question.</p>", [attached("plan.png", "image/png", PNG)]
    )
    found = await _in_crm(stage, told, "one question")
    expect("it is shown as received", (found["status"], found["direction"]) == ("received", "inbound"))
    expect("the picture is listed", [one["name"] for one in found["attachments"]] == ["plan.png"])
    link = str(found["attachments"][0]["url"])
    file = await stage.app.get("/api/" + link.split("/api/", 1)[1])
    expect("the picture can be fetched whole", file.content == PNG)


async def user_replies(stage: Stage, told: Told) -> None:
    """The user answers in Outlook, from a draft begun earlier: it appears in the CRM."""
    inbox = [one for one in await stage.mailbox() if one["folder"] == "inbox"]
    draft = await stage.control(
        "POST",
        f"mailboxes/{ANN_ADDRESS}/compose",
        action="reply",
        graph_message_id=inbox[-1]["id"],
        html="<p>Answered from Outlook.</p>",
        draft_only=True,
    )
    await stage.advance(3600.0)
    await stage.quiet()
    expect("a draft is nothing yet", not await _find(stage, told, "Answered from Outlook"))
    before = len(await stage.outside(CARLA))
    await stage.control("POST", f"mailboxes/{ANN_ADDRESS}/messages/{_quoted(draft['id'])}/send")
    found = await _in_crm(stage, told, "Answered from Outlook")
    expect("it is shown as the user's own", (found["direction"], found["origin"]) == ("outbound", "mailbox"))
    told.newest_outside = (await _reached(stage, before + 1))[-1]


async def crm_replies(stage: Stage, told: Told) -> None:
    """The CRM replies: it leaves threaded, and the quoted text stays."""
    before = len(await stage.outside(CARLA))
    sent = await stage.of_crm(
        "POST",
        "/api/messages",
        user_id=ANN,
        to=CARLA,
        subject="Re: Offer for spring",
        html="<p>One more thing from the CRM.</p>",
        conversation_id=told.conversation_id,
        thread_id=told.thread_id,
    )
    await _sent(stage, sent["id"])
    got = await _reached(stage, before + 1)
    expect("exactly one more mail left", len(got) == before + 1)
    expect("the quoted text is there", "Answered from Outlook" in got[-1]["html"])
    copies = [one for one in await stage.mailbox() if one["folder"] == "sentitems"]
    expect("it answers the newest message", got[-1]["in_reply_to"] == copies[-2]["internet_message_id"])
    expect(
        "in the mailbox it lies in the conversation of what it answers",
        copies[-1]["conversation_id"] == copies[-2]["conversation_id"],
    )
    told.newest_outside = got[-1]


async def foreign_mail(stage: Stage, told: Told) -> None:
    """Foreign mail, a foreign thread and a stranger with the same subject stay unread."""
    since, _ = await stage.requests()
    before = len(await stage.crm_messages())
    await _compose(stage, STRANGER, "Offer for spring", "<p>Cheap watches.</p>")
    await _compose(stage, STRANGER, "Lunch?", "<p>Private words.</p>")
    await stage.control(
        "POST",
        f"mailboxes/{ANN_ADDRESS}/compose",
        action="new",
        to=[CARLA],
        subject="Begun in Outlook",
        html="<p>Not for the CRM.</p>",
    )

    async def arrived() -> object:
        return [one for one in await stage.outside(CARLA) if one["subject"] == "Begun in Outlook"]

    mine = (await stage.until("the mail begun in Outlook reaches the contact", arrived))[0]
    await stage.control(
        "POST",
        f"outside/{CARLA}/reply",
        internet_message_id=mine["internet_message_id"],
        html="<p>Not for the CRM either.</p>",
    )
    await stage.quiet()
    await stage.advance(16 * 60.0)
    await stage.quiet()
    expect("nothing of it is in the CRM (R4)", len(await stage.crm_messages()) == before)
    foreign = {one["id"] for one in await stage.mailbox() if _is_foreign(one)}
    expect("all four foreign mails are there to be left alone", len(foreign) == 4)
    _, log = await stage.requests(since)
    read = [one for one in log if one.get("message_id") in foreign and one["reads_body"]]
    expect("no body of a foreign mail was requested", not read)
    lists = [one for one in log if one.get("message_id") is None and one["reads_body"]]
    expect("no list asked for bodies", not lists)
    told.log_from = since


async def attachments(stage: Stage, told: Told) -> None:
    """Too large or of an unlisted type: the message does not sync, and says why."""
    base = told.newest_outside
    await _outside_reply(
        stage, told, "<p>A big one.</p>", [attached("big.pdf", "application/pdf", PDF + b"\0" * THREE_MB)]
    )
    await _outside_reply(
        stage,
        told,
        "<p>A program.</p>",
        [attached("setup.exe", "application/octet-stream", b"MZ" + b"\0" * 64)],
    )

    async def both() -> object:
        events = await stage.crm_events("message.not_synced")
        return len(events) == 2 and events

    events = await stage.until("both refusals are announced", both, 40.0)
    codes = {one["data"]["reason"]["code"] for one in events}
    expect("each says why", codes == {"attachment_too_large", "attachment_type_not_supported"})
    expect("neither tells its words", all("body" not in one["data"] for one in events))
    wanted = {"user_id": ANN, "to": CARLA, "subject": "Re: Offer for spring", "html": "<p>x</p>"}
    place = {"thread_id": told.thread_id, "conversation_id": told.conversation_id}
    program = [attached("run.exe", "application/octet-stream", b"MZ")]
    refused = await stage.crm.post("/api/messages", json={**wanted, **place, "attachments": program})
    expect("a CRM send with such a file is refused", refused.status_code == 422)
    told.newest_outside = base
    await _outside_reply(stage, told, "<p>Now without files.</p>")
    await _in_crm(stage, told, "Now without files")


async def renewal(stage: Stage, told: Told) -> None:
    """Nearly a week later the subscription is renewed, not replaced."""
    del told
    before = (await stage.control("GET", "subscriptions"))["subscriptions"][0]
    for seconds in (*[DAY] * 6, 8 * 3600.0):
        await stage.advance(seconds)
        await stage.quiet()

    async def renewed() -> object:
        now = (await stage.control("GET", "subscriptions"))["subscriptions"]
        return len(now) == 1 and now[0]["id"] == before["id"] and now[0]["expires_at"] > before["expires_at"]

    await stage.until("the subscription is renewed", renewed, 40.0)


async def dropped_notification(stage: Stage, told: Told) -> None:
    """A notification is lost: the sweep finds the mail."""
    await stage.control("POST", "notifications", action="drop", count=1)
    await _outside_reply(stage, told, "<p>Lost on the way.</p>")
    await stage.quiet()
    expect("it is not there yet", not await _find(stage, told, "Lost on the way"))
    await stage.advance(16 * 60.0)
    await _in_crm(stage, told, "Lost on the way")


async def doubled_notification(stage: Stage, told: Told) -> None:
    """A notification comes twice: one message."""
    await stage.control("POST", "notifications", action="double", count=1)
    await _outside_reply(stage, told, "<p>Said once.</p>")
    await _in_crm(stage, told, "Said once")
    await stage.quiet()
    found = [
        one for one in await stage.crm_messages() if "Said once" in (one.get("text") or one.get("html") or "")
    ]
    expect("it is in the CRM once", len(found) == 1)


async def nothing_lost_nothing_double(stage: Stage, told: Told) -> None:
    """In the end: every mail of the thread is in the CRM exactly once, and every event is in the feed."""
    thread = [one for one in await stage.crm_messages() if one["thread_id"] == told.thread_id]
    numbers = [one["internet_message_id"] for one in thread if one["internet_message_id"]]
    expect("no mail is shown twice", len(numbers) == len(set(numbers)))
    mails = [one for one in await stage.mailbox() if not one["is_draft"] and not _is_foreign(one)]
    missing = {one["internet_message_id"] for one in mails} - set(numbers)
    expect("no mail of the thread is missing", not missing)
    sent = [one for one in await stage.outside(CARLA) if "Begun in Outlook" not in one["subject"]]
    expect(
        "each mail reached the contact once",
        len({one["internet_message_id"] for one in sent}) == len(sent) == 3,
    )
    feed = (await stage.api("GET", "/v1/events?limit=500")).json()["events"]
    heard = {one["id"] for one in await stage.crm_events()}
    expect("the feed has every event the CRM heard", heard <= {one["id"] for one in feed})


Act = Callable[[Stage, Told], Awaitable[None]]

CORE = (connecting, sending, contact_replies, user_replies, crm_replies, foreign_mail, attachments)
REST = (renewal, dropped_notification, doubled_notification, nothing_lost_nothing_double)
STORY = CORE + REST


async def _sent(stage: Stage, crm_message_id: str) -> dict[str, Any]:
    async def done() -> object:
        shown = await stage.of_crm("GET", f"/api/messages/{crm_message_id}")
        return shown["status"] in ("sent", "failed") and shown

    shown: dict[str, Any] = await stage.until("the CRM hears that its message was sent", done, 40.0)
    expect(f"the message is sent, not {shown['status']}", shown["status"] == "sent")
    return shown


async def _reached(stage: Stage, count: int) -> list[dict[str, Any]]:
    """Everything Carla has got, once it is at least so many: mail may arrive after its sender sees it as sent."""

    async def arrived() -> object:
        got = await stage.outside(CARLA)
        return len(got) >= count and got

    got: list[dict[str, Any]] = await stage.until("the mail reaches the contact", arrived)
    return got


async def _outside_reply(
    stage: Stage, told: Told, html: str, files: list[dict[str, str]] | None = None
) -> None:
    await stage.control(
        "POST",
        f"outside/{CARLA}/reply",
        internet_message_id=told.newest_outside["internet_message_id"],
        html=html,
        attachments=files or [],
    )


async def _compose(stage: Stage, sender: str, subject: str, html: str) -> None:
    await stage.control("POST", f"outside/{sender}/compose", to=[ANN_ADDRESS], subject=subject, html=html)


async def _find(stage: Stage, told: Told, words: str) -> dict[str, Any] | None:
    for one in await stage.crm_messages():
        own = (one.get("html") or "").split("<blockquote", 1)[0] + (one.get("snippet") or "")
        if words in own and one["thread_id"] == told.thread_id:
            return one
    return None


async def _in_crm(stage: Stage, told: Told, words: str) -> dict[str, Any]:
    async def there() -> object:
        return await _find(stage, told, words)

    found: dict[str, Any] = await stage.until(f"{words!r} appears in the CRM", there, 40.0)
    return found


def _is_foreign(mail: dict[str, Any]) -> bool:
    return "Begun in Outlook" in mail["subject"] or mail["subject"] == "Lunch?" or mail["from"] == STRANGER


def attached(name: str, content_type: str, content: bytes) -> dict[str, str]:
    """A file as simulator and CRM take it."""
    return {"name": name, "content_type": content_type, "content_base64": base64.b64encode(content).decode()}


def _quoted(identity: str) -> str:
    from urllib.parse import quote

    return quote(identity, safe="")
