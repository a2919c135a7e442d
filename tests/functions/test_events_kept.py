"""The event feed and the message status go on when the content of an event is no longer kept."""

from __future__ import annotations

from typing import Any

import pytest

from shared.state import keys
from tests.functions.app import App

LONG = "é" * 30_000  # does not fit a row, so it lies in staging


async def feed(app: App, **params: str) -> dict[str, Any]:
    answer = await app.v1("GET", "events", params=params)
    assert answer.status == 200, answer.text
    return dict(answer.json())


async def lose_staged(app: App) -> None:
    """Delete all staged blobs, as the storage's lifecycle rule does."""
    for name in await app.staged():
        await app.blobs.delete(keys.STAGING, name)


@pytest.fixture
async def lost(begun: App) -> tuple[App, dict[str, Any]]:
    """A long mail was told, then a short one; the long one's content is gone."""
    begun.clock.forward(seconds=1)
    told = await begun.answered(text=LONG, html=None)
    begun.clock.forward(seconds=1)
    await begun.answered(text="short")
    await lose_staged(begun)
    begun.clock.forward(minutes=6)
    return begun, told


async def test_the_feed_goes_on_behind_an_expired_event(lost: tuple[App, dict[str, Any]]) -> None:
    """An event whose content is gone is listed as expired, and what comes after it is listed whole."""
    app, _ = lost
    listed = (await feed(app))["events"]
    assert [event["id"] for event in listed] == app.crm.ids
    expired = listed[-2]
    assert expired == {
        "id": app.crm.ids[-2],
        "type": "message.received",
        "timestamp": app.crm.told[-2]["timestamp"],
        "expired": True,
        "data": None,
    }
    assert listed[-1] == {"id": app.crm.ids[-1], **app.crm.told[-1]}


async def test_a_reader_page_by_page_gets_past_it(lost: tuple[App, dict[str, Any]]) -> None:
    """A feed page that holds only an expired event has a `next` that leads past it."""
    app, _ = lost
    after, found = "", []
    for _ in range(10):
        page = await feed(app, after=after, limit="1")
        found += [event["id"] for event in page["events"]]
        after = page["next"]
        if not page["has_more"]:
            break
    assert found == app.crm.ids


async def test_a_mail_without_its_content_still_has_a_status(lost: tuple[App, dict[str, Any]]) -> None:
    """The status of a received mail whose content is gone names status and thread, with `message` null."""
    app, told = lost
    shown = (await app.v1("GET", f"messages/{told['id']}")).json()
    assert (shown["status"], shown["reason"], shown["message"]) == ("received", None, None)
    assert (shown["thread_id"], shown["crm_thread_id"]) == (told["thread_id"], "c-7")


async def test_a_send_without_its_content_still_has_a_status(ready: App) -> None:
    """The status of a send whose content is gone is still told, with `message` null."""
    sent = await ready.sent(body={"text": LONG})
    await lose_staged(ready)
    shown = (await ready.v1("GET", f"messages/{sent['id']}")).json()
    assert (shown["status"], shown["crm_message_id"], shown["message"]) == ("sent", "m-1", None)


async def test_the_reason_of_a_refused_mail_outlives_its_event(begun: App) -> None:
    """Why a mail did not sync is still told by its status when the content of its event is gone."""
    told = await begun.answered(text=LONG, files=[("a.exe", b"MZ")], subject="x" * 30_000)
    assert begun.crm.types()[-1] == "message.not_synced"
    await lose_staged(begun)
    shown = (await begun.v1("GET", f"messages/{told['id']}")).json()
    assert (shown["status"], shown["reason"]["code"]) == ("not_synced", "attachment_type_not_supported")


async def test_the_cursor_waits_for_slow_writers(begun: App) -> None:
    """The feed's cursor never passes an event younger than five minutes. One with an earlier time may still land."""
    begun.clock.forward(minutes=3)
    assert (await feed(begun))["next"] == ""
    begun.clock.forward(minutes=3)
    assert (await feed(begun))["next"] != ""
