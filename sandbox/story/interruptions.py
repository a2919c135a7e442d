"""The acts of what ends again: a thread that is stopped and resumed, a consent that dies and is given anew."""

from __future__ import annotations

from typing import Any

from sandbox.story.connecting import connect, open_session
from sandbox.story.stage import ANN, ANN_ADDRESS, CARLA, Stage, expect
from sandbox.story.telling import (
    Told,
    a_send,
    find_in_crm,
    order_in_thread,
    reply_outside,
    send_in_thread,
    wait_until_heard,
    wait_until_in_crm,
    wait_until_reached,
    wait_until_sent,
)

# A dead consent is noticed by the next sweep. An access token may outlive it, by a day at most: then work goes on until
# less than an hour of it is left, or until it has ended.
UNTIL_NOTICED_SECONDS = (16 * 60.0, 2 * 3600.0, 24 * 3600.0)
UNTIL_TOKEN_ENDS_SECONDS = 2 * 3600.0


async def stopping(stage: Stage, told: Told) -> None:
    """One thread is stopped and resumed: nothing goes in or out, and mail of between stays out."""
    since, _ = await stage.requests()
    stopped = await stage.api("POST", f"/v1/threads/{told.thread_id}/stop")
    expect("the thread is shown as stopped", stopped.json()["status"] == "stopped")
    heard = await wait_until_heard(stage, "thread.stopped", 1)
    expect("the CRM hears who stopped it", heard["data"]["stopped_by"] == "crm")
    await reply_outside(stage, told, "<p>While it was stopped.</p>")
    refused = await stage.api("POST", "/v1/messages", json=a_send("m-stopped", thread_id=told.thread_id))
    expect("a send into it is refused", refused.status_code == 409)
    expect("and the CRM can show why", refused.json()["type"].endswith("/thread-stopped"))

    async def fetch_answers() -> object:
        return {mail["id"] for mail in await stage.mailbox() if "While it was stopped" in _own(mail)}

    # Received well before the thread is resumed: a clock that jumps over a delivery would make it seconds.
    answers = await stage.wait_until("the answer reaches the mailbox", fetch_answers)
    await stage.advance(16 * 60.0)
    await stage.quiet()
    _, log = await stage.requests(since)
    read = [entry for entry in log if entry.get("message_id") in answers and entry["reads_body"]]
    expect("its body was not requested", not read)
    await _resume_on_the_page(stage, told)
    await reply_outside(stage, told, "<p>Now it goes on.</p>")
    await wait_until_in_crm(stage, told, "Now it goes on")
    before = len(await stage.outside(CARLA))
    await send_in_thread(stage, told, "<p>Good that it goes on.</p>")
    told.newest_outside = (await wait_until_reached(stage, before + 1))[-1]
    await stage.advance(16 * 60.0)
    await stage.quiet()
    expect("what came in between stays out", not await find_in_crm(stage, told, "While it was stopped"))


async def _resume_on_the_page(stage: Stage, told: Told) -> None:
    """Ann stops the thread too, so that the CRM may not resume it, and resumes it herself."""
    own = await open_session(stage)
    listed = (await stage.app.get("/api/session/threads", headers=own)).json()["items"]
    expect("the page lists the thread", told.thread_id in [thread["id"] for thread in listed])
    path = f"/threads/{told.thread_id}"
    await stage.app.post(f"/api/session{path}/stop", headers=own)
    refused = await stage.api("POST", f"/v1{path}/resume")
    expect("what the person stopped the CRM does not resume", refused.status_code == 409)
    resumed = await stage.app.post(f"/api/session{path}/resume", headers=own)
    expect("the person resumes it", resumed.json()["status"] == "syncing")
    await wait_until_heard(stage, "thread.resumed", 1)


async def repairing(stage: Stage, told: Told) -> None:
    """A consent dies: a send waits and says for what; signed in again, it leaves once and nothing is missed."""
    await stage.control("POST", f"users/{ANN_ADDRESS}/revoke")
    await _wait_until_noticed(stage)
    await wait_until_heard(stage, "connection.reconnect_required", 1)
    before = len(await stage.outside(CARLA))
    sent = await order_in_thread(stage, told, "<p>As soon as I may.</p>")
    shown = (await stage.api("GET", f"/v1/messages/{sent['product_id']}")).json()
    expect(
        "the send waits, and for what is said",
        (shown["status"], shown["waiting_for"]) == ("waiting", "sign_in"),
    )
    refused = await stage.api("POST", "/v1/messages", json=a_send("m-not-later", if_waiting="refuse"))
    expect("one that must not wait is refused at once", refused.status_code == 409)
    await reply_outside(stage, told, "<p>While nobody could read.</p>")
    await stage.advance(6 * 60.0)
    waits = await wait_until_heard(stage, "message.waiting", 1)
    expect("the CRM hears that it waits", waits["data"]["crm_message_id"] == sent["id"])
    expect("nothing has left", len(await stage.outside(CARLA)) == before)
    await connect(stage)
    await wait_until_sent(stage, sent["id"])
    told.newest_outside = (await wait_until_reached(stage, before + 1))[-1]
    await wait_until_in_crm(stage, told, "While nobody could read")
    await stage.advance(16 * 60.0)
    await stage.quiet()
    expect("it left once", len(await stage.outside(CARLA)) == before + 1)
    expect("its wait was told once", len(await stage.crm_events("message.waiting")) == 1)
    shown = (await stage.api("GET", f"/v1/users/{ANN}/connection")).json()
    expect("the status is connected again", shown["status"] == "connected")


async def _wait_until_noticed(stage: Stage) -> None:
    """Let time pass until the status says that Ann has to sign in again, and until nothing can be done without that."""

    async def is_noticed() -> bool:
        shown = (await stage.api("GET", f"/v1/users/{ANN}/connection")).json()
        return bool(shown["status"] == "reconnect_required")

    for seconds in UNTIL_NOTICED_SECONDS:
        await stage.advance(seconds)
        await stage.quiet()
        if await is_noticed():
            break
    await stage.advance(UNTIL_TOKEN_ENDS_SECONDS)
    await stage.quiet()
    expect("the status says that she has to sign in again", await is_noticed())


def _own(mail: dict[str, Any]) -> str:
    """What a mail says itself, quotations apart."""
    return str(mail.get("html") or mail.get("text") or "").split("<blockquote", 1)[0]
