"""The acts of a connection's life: disconnect, connect again, update email."""

from __future__ import annotations

from sandbox.story.connecting import connect
from sandbox.story.stage import ANN, ANN_ADDRESS, CARLA, Stage, expect
from sandbox.story.telling import (
    Told,
    a_send,
    find_in_crm,
    reply_outside,
    send_in_thread,
    wait_until_heard,
    wait_until_in_crm,
    wait_until_reached,
)

SECOND_ADDRESS = "ann.archer@northwind.example"


async def disconnecting(stage: Stage, told: Told) -> None:
    """Disconnect: the thread stops, and new mails are refused with a reason."""
    shown = (await stage.api("DELETE", f"/v1/users/{ANN}/connection")).json()
    expect("the status is disconnected", shown["status"] == "disconnected")
    await wait_until_heard(stage, "connection.disconnected", 1)
    await _wait_until_unsubscribed(stage)
    await reply_outside(stage, told, "<p>After the end.</p>")
    await stage.quiet()
    await stage.advance(16 * 60.0)
    await stage.quiet()
    expect("what comes afterwards does not sync", not await find_in_crm(stage, told, "After the end"))
    refused = await stage.api("POST", "/v1/messages", json=a_send("m-refused"))
    expect("a new mail is refused", refused.status_code == 409)
    expect("and the CRM can show why", refused.json()["type"].endswith("/no-active-connection"))


async def reconnecting(stage: Stage, told: Told) -> None:
    """Connect again: the old thread waits for the CRM, which resumes it; what came in between stays out."""
    await connect(stage)
    await reply_outside(stage, told, "<p>Still stopped.</p>")
    await stage.quiet()
    expect("the old thread is still stopped", not await find_in_crm(stage, told, "Still stopped"))
    await stage.advance(2 * 60.0)  # delivered, however slow the simulator is told to be
    before = len(await stage.outside(CARLA))
    await send_in_thread(stage, told, "<p>Here we are again.</p>")
    told.newest_outside = (await wait_until_reached(stage, before + 1))[-1]
    await reply_outside(stage, told, "<p>Welcome back.</p>")
    await wait_until_in_crm(stage, told, "Welcome back")
    await stage.advance(16 * 60.0)
    await stage.quiet()
    expect(
        "what came in between stays out",
        not await find_in_crm(stage, told, "After the end")
        and not await find_in_crm(stage, told, "Still stopped"),
    )


async def updating(stage: Stage, told: Told) -> None:
    """Update email: another mailbox takes the place of the first, and the CRM's reply leaves from it."""
    await stage.control("POST", "users", address=SECOND_ADDRESS, display_name="Ann Archer")
    await connect(stage, address=SECOND_ADDRESS, decision="decline")
    shown = (await stage.api("GET", f"/v1/users/{ANN}/connection")).json()
    expect("a consent that was declined changes nothing", shown["mailbox"]["address"] == ANN_ADDRESS)
    await connect(stage, address=SECOND_ADDRESS)
    shown = (await stage.api("GET", f"/v1/users/{ANN}/connection")).json()
    expect("the status shows the second mailbox", shown["mailbox"]["address"] == SECOND_ADDRESS)
    updated = await wait_until_heard(stage, "connection.updated", 1)
    expect(
        "the CRM hears which one it replaced", updated["data"]["previous_mailbox"]["address"] == ANN_ADDRESS
    )
    await reply_outside(stage, told, "<p>To the first mailbox.</p>")
    before = len(await stage.outside(CARLA))
    await send_in_thread(stage, told, "<p>From my new address.</p>")
    got = (await wait_until_reached(stage, before + 1))[-1]
    expect("the reply leaves from the second mailbox", got["from"] == SECOND_ADDRESS)
    await stage.advance(16 * 60.0)
    await stage.quiet()
    expect("threads of the first mailbox stop", not await find_in_crm(stage, told, "To the first mailbox"))


async def _wait_until_unsubscribed(stage: Stage) -> None:
    async def is_gone() -> object:
        return not (await stage.control("GET", "subscriptions"))["subscriptions"]

    await stage.wait_until("the subscription is removed", is_gone)
