"""The acts of the story: what a CRM user, a contact and a stranger do, and what must be true after each step."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from typing import Any

from sandbox.story import offer
from sandbox.story.connecting import connect
from sandbox.story.interruptions import repairing, stopping
from sandbox.story.life import disconnecting, reconnecting, updating
from sandbox.story.stage import ANN, ANN_ADDRESS, ANN_ALIAS, CARLA, STRANGER, Stage, expect
from sandbox.story.telling import (
    Told,
    find_in_crm,
    reply_outside,
    send_in_thread,
    wait_until_in_crm,
    wait_until_reached,
    wait_until_sent,
    write_outside,
)

PDF = b"%PDF-1.7\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n"
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAABgAAAAYCAIAAABvFaqvAAAALklEQVR42mN4/eEXGpLL24eGiFHDMGoQHQ0iTxummlGD6GnQaMoezWujBtHF"
    "IACGa6MdXW5AWAAAAABJRU5ErkJggg=="
)
"""A picture of 24 by 24 pixels."""
THREE_MB = 3_145_728
DAY = 86_400.0


async def seed(stage: Stage) -> None:
    """Add Ann with a mailbox at the simulated Microsoft 365, and Carla and a stranger as outsiders."""
    await stage.control("POST", "users", address=ANN_ADDRESS, display_name="Ann Archer", aliases=[ANN_ALIAS])
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

    async def fetch_events() -> object:
        return await stage.crm_events("connection.connected")

    await stage.wait_until("the CRM hears of the connection", fetch_events)


async def sending(stage: Stage, told: Told) -> None:
    """The CRM sends: the mail leaves through the mailbox and opens a thread."""
    sent = await stage.of_crm(
        "POST",
        "/api/messages",
        user_id=ANN,
        to=CARLA,
        subject="Offer for spring",
        html=offer.HTML,
        text=offer.TEXT,
        attachments=[
            attached("offer.pdf", "application/pdf", PDF),
            {
                "name": "logo.png",
                "content_type": "image/png",
                "content_base64": offer.LOGO,
                "content_id": offer.LOGO_ID,
            },
        ],
    )
    shown = await wait_until_sent(stage, sent["id"])
    told.conversation_id, told.thread_id = shown["conversation_id"], shown["thread_id"]
    told.first_message_id = shown["product_id"]
    got = await wait_until_reached(stage, 1)
    expect("Carla got the mail exactly once", len(got) == 1)
    files = {file["name"]: file for file in got[0]["attachments"]}
    expect("the file and the logo came along", set(files) == {"offer.pdf", "logo.png"})
    expect("the text shows the logo", f"cid:{files['logo.png']['content_id']}" in got[0]["html"])
    expect("the button is one", "background-color: #1f6b58" in got[0]["html"])
    told.newest_outside = got[0]
    copies = [mail for mail in await stage.mailbox() if mail["folder"] == "sentitems"]
    expect("one copy lies in Sent Items", len(copies) == 1)
    subscriptions = await stage.control("GET", "subscriptions")
    expect("one subscription exists now", len(subscriptions["subscriptions"]) == 1)
    status = (await stage.api("GET", f"/v1/messages/{told.first_message_id}")).json()
    expect("the message status says sent", status["status"] == "sent")
    expect("the mapping names the thread", status["thread_id"] == told.thread_id)


async def contact_replies(stage: Stage, told: Told) -> None:
    """The contact replies with a picture, and one that the text shows: it appears in the CRM."""
    plan = attached("plan.png", "image/png", PNG)
    logo = {**attached("logo.png", "image/png", PNG), "inline": True, "content_id": "logo@contact.example"}
    await reply_outside(
        stage,
        told,
        '<p>Thank you \U0001f44d, one question.</p><img src="cid:logo@contact.example">',
        [plan, logo],
    )
    found = await wait_until_in_crm(stage, told, "one question")
    expect("it is shown as received", (found["status"], found["direction"]) == ("received", "inbound"))
    links = {file["name"]: str(file["url"]) for file in found["attachments"]}
    expect(
        "the pictures are listed, also the quoted one", len(found["attachments"]) == 3 and "plan.png" in links
    )
    link = links["plan.png"]
    file = await stage.app.get("/api/" + link.split("/api/", 1)[1])
    expect("the picture can be fetched whole", file.content == PNG)


async def user_replies(stage: Stage, told: Told) -> None:
    """The user answers in Outlook, from a draft begun earlier: it appears in the CRM."""
    inbox = [mail for mail in await stage.mailbox() if mail["folder"] == "inbox"]
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
    expect("a draft is not in the CRM", not await find_in_crm(stage, told, "Answered from Outlook"))
    before = len(await stage.outside(CARLA))
    await stage.control("POST", f"mailboxes/{ANN_ADDRESS}/messages/{_quoted(draft['id'])}/send")
    found = await wait_until_in_crm(stage, told, "Answered from Outlook")
    expect("it is shown as the user's own", (found["direction"], found["origin"]) == ("outbound", "mailbox"))
    told.newest_outside = (await wait_until_reached(stage, before + 1))[-1]


async def crm_replies(stage: Stage, told: Told) -> None:
    """The CRM replies with as large a file as syncs: it leaves threaded, and the quoted text stays."""
    before = len(await stage.outside(CARLA))
    largest = PDF + b"\0" * (told.largest_file_bytes - len(PDF))
    sent = await stage.of_crm(
        "POST",
        "/api/messages",
        user_id=ANN,
        to=CARLA,
        subject="Re: Offer for spring",
        html="<p>One more thing from the CRM.</p>",
        conversation_id=told.conversation_id,
        thread_id=told.thread_id,
        attachments=[attached("catalogue.pdf", "application/pdf", largest)],
    )
    await wait_until_sent(stage, sent["id"])
    got = await wait_until_reached(stage, before + 1)
    expect("exactly one more mail left", len(got) == before + 1)
    sizes = [file["size_bytes"] for file in got[-1]["attachments"] if file["name"] == "catalogue.pdf"]
    expect("the file arrived whole and once", sizes == [len(largest)])
    expect("the quoted text is there", "Answered from Outlook" in got[-1]["html"])
    copies = [mail for mail in await stage.mailbox() if mail["folder"] == "sentitems"]
    expect("it answers the newest message", got[-1]["in_reply_to"] == copies[-2]["internet_message_id"])
    expect(
        "in the mailbox it lies in the conversation of what it answers",
        copies[-1]["conversation_id"] == copies[-2]["conversation_id"],
    )
    told.newest_outside = got[-1]


async def plain_words(stage: Stage, told: Told) -> None:
    """The contact writes plain text, and the CRM replies: what the contact typed stays what it was."""
    await stage.control(
        "POST",
        f"outside/{CARLA}/reply",
        internet_message_id=told.newest_outside["internet_message_id"],
        text="In plain words: <b>5 & 6</b>",
    )
    found = await wait_until_in_crm(stage, told, "In plain words")
    expect("the CRM shows what was typed", "<b>5 & 6</b>" in (found.get("text") or found["snippet"]))
    before = len(await stage.outside(CARLA))
    await send_in_thread(stage, told, "<p>Plainly <i>answered</i>.</p>")
    got = await wait_until_reached(stage, before + 1)
    expect("the answer is formatted", "<i>answered</i>" in got[-1]["html"])
    expect("the quoted words are not", "&lt;b&gt;5 &amp; 6&lt;/b&gt;" in got[-1]["html"])
    told.newest_outside = got[-1]


async def foreign_mail(stage: Stage, told: Told) -> None:
    """Foreign mail, a foreign thread and a stranger with the same subject stay unread."""
    since, _ = await stage.requests()
    before = len(await stage.crm_messages())
    await write_outside(stage, STRANGER, "Offer for spring", "<p>Cheap watches.</p>")
    await write_outside(stage, STRANGER, "Lunch?", "<p>Private words.</p>")
    await stage.control(
        "POST",
        f"mailboxes/{ANN_ADDRESS}/compose",
        action="new",
        to=[CARLA],
        subject="Begun in Outlook",
        html="<p>Not for the CRM.</p>",
    )

    async def fetch_mail() -> object:
        return [mail for mail in await stage.outside(CARLA) if mail["subject"] == "Begun in Outlook"]

    mine = (await stage.wait_until("the mail begun in Outlook reaches the contact", fetch_mail))[0]
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
    foreign = {mail["id"] for mail in await stage.mailbox() if _is_foreign(mail)}
    expect("all four foreign mails are in the mailbox", len(foreign) == 4)
    _, log = await stage.requests(since)
    read = [entry for entry in log if entry.get("message_id") in foreign and entry["reads_body"]]
    expect("no body of a foreign mail was requested", not read)
    lists = [entry for entry in log if entry.get("message_id") is None and entry["reads_body"]]
    expect("no list asked for bodies", not lists)
    told.log_from = since


async def attachments(stage: Stage, told: Told) -> None:
    """Too large or of an unlisted type: the message does not sync, and the CRM hears why."""
    base = told.newest_outside
    await reply_outside(
        stage, told, "<p>A big one.</p>", [attached("big.pdf", "application/pdf", PDF + b"\0" * THREE_MB)]
    )
    await reply_outside(
        stage,
        told,
        "<p>A program.</p>",
        [attached("setup.exe", "application/octet-stream", b"MZ" + b"\0" * 64)],
    )

    async def fetch_refusals() -> object:
        events = await stage.crm_events("message.not_synced")
        return len(events) == 2 and events

    events = await stage.wait_until("both refusals are announced", fetch_refusals, 40.0)
    codes = {event["data"]["reason"]["code"] for event in events}
    expect("each says why", codes == {"attachment_too_large", "attachment_type_not_supported"})
    expect("neither contains the body", all("body" not in event["data"] for event in events))
    wanted = {"user_id": ANN, "to": CARLA, "subject": "Re: Offer for spring", "html": "<p>x</p>"}
    place = {"thread_id": told.thread_id, "conversation_id": told.conversation_id}
    program = [attached("run.exe", "application/octet-stream", b"MZ")]
    refused = await stage.crm.post("/api/messages", json={**wanted, **place, "attachments": program})
    expect("a CRM send with such a file is refused", refused.status_code == 422)
    told.newest_outside = base
    await reply_outside(stage, told, "<p>Now without files.</p>")
    await wait_until_in_crm(stage, told, "Now without files")


async def renewal(stage: Stage, told: Told) -> None:
    """Nearly a week later the subscription is renewed, not replaced."""
    del told
    before = (await stage.control("GET", "subscriptions"))["subscriptions"][0]
    for seconds in (*[DAY] * 6, 8 * 3600.0):
        await stage.advance(seconds)
        await stage.quiet()

    async def fetch_renewed() -> object:
        now = (await stage.control("GET", "subscriptions"))["subscriptions"]
        return len(now) == 1 and now[0]["id"] == before["id"] and now[0]["expires_at"] > before["expires_at"]

    await stage.wait_until("the subscription is renewed", fetch_renewed, 40.0)


async def dropped_notification(stage: Stage, told: Told) -> None:
    """A notification is lost: the sweep finds the mail."""
    await stage.control("POST", "notifications", action="drop", count=1)
    await reply_outside(stage, told, "<p>Lost on the way.</p>")
    await stage.quiet()
    expect("it is not there yet", not await find_in_crm(stage, told, "Lost on the way"))
    await stage.advance(16 * 60.0)
    await wait_until_in_crm(stage, told, "Lost on the way")


async def doubled_notification(stage: Stage, told: Told) -> None:
    """A notification comes twice: one message."""
    await stage.control("POST", "notifications", action="double", count=1)
    await reply_outside(stage, told, "<p>Said once.</p>")
    await wait_until_in_crm(stage, told, "Said once")
    await stage.quiet()
    found = [
        message
        for message in await stage.crm_messages()
        if "Said once" in (message.get("text") or message.get("html") or "")
    ]
    expect("it is in the CRM once", len(found) == 1)


async def nothing_lost_nothing_double(stage: Stage, told: Told) -> None:
    """In the end: every mail of the thread is in the CRM exactly once, and every event is in the feed."""
    thread = [message for message in await stage.crm_messages() if message["thread_id"] == told.thread_id]
    numbers = [message["internet_message_id"] for message in thread if message["internet_message_id"]]
    expect("no mail is shown twice", len(numbers) == len(set(numbers)))
    mails = [mail for mail in await stage.mailbox() if not mail["is_draft"] and not _is_foreign(mail)]
    missing = {mail["internet_message_id"] for mail in mails} - set(numbers)
    expect("no mail of the thread is missing", not missing)
    sent = [mail for mail in await stage.outside(CARLA) if "Begun in Outlook" not in mail["subject"]]
    expect(
        "each mail reached the contact once",
        len({mail["internet_message_id"] for mail in sent}) == len(sent) == 4,
    )
    feed = (await stage.api("GET", "/v1/events?limit=500")).json()["events"]
    heard = {event["id"] for event in await stage.crm_events()}
    expect("the feed has every event the CRM heard", heard <= {event["id"] for event in feed})


Act = Callable[[Stage, Told], Awaitable[None]]

CORE = (
    connecting,
    sending,
    contact_replies,
    user_replies,
    crm_replies,
    plain_words,
    foreign_mail,
    attachments,
)
REST = (
    renewal,
    dropped_notification,
    doubled_notification,
    nothing_lost_nothing_double,
    stopping,
    repairing,
    disconnecting,
    reconnecting,
    updating,
)
STORY = CORE + REST


def _is_foreign(mail: dict[str, Any]) -> bool:
    return "Begun in Outlook" in mail["subject"] or mail["subject"] == "Lunch?" or mail["from"] == STRANGER


def attached(name: str, content_type: str, content: bytes) -> dict[str, str]:
    """A file as JSON, as the simulator and the CRM accept it."""
    return {"name": name, "content_type": content_type, "content_base64": base64.b64encode(content).decode()}


def _quoted(identity: str) -> str:
    from urllib.parse import quote

    return quote(identity, safe="")
