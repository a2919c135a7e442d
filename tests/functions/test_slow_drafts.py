"""A draft that takes longer than a worker's lease: it is finished by whoever began it, and never begun for ever."""

from __future__ import annotations

import base64
from typing import Any

from shared.state import keys
from tests.functions.app import App


def files(number: int) -> list[dict[str, str]]:
    """So many files as a send carries them."""
    content = base64.b64encode(b"%PDF-1.7").decode()
    return [{"name": f"offer-{count}.pdf", "content_base64": content} for count in range(number)]


def slow(app: App, step: str, seconds: float) -> None:
    """Each such step takes so long, and other workers go on meanwhile, with the timer of each minute."""

    async def pass_time() -> None:
        app.clock.forward(seconds=seconds)
        await app.tick()
        await app.pump()

    app.mail.attaches_apart = True
    app.mail.during[step] = pass_time


async def told(app: App, message_id: str) -> list[Any]:
    """Types of the events of that message."""
    return [event["type"] for event in app.crm.told if event["data"].get("id") == message_id]


async def test_a_draft_that_takes_longer_than_its_lease_is_finished(ready: App) -> None:
    """A draft of ten files at 40 seconds each is made once, while other workers find it under its lease."""
    slow(ready, "attach", 40)
    message_id = await ready.accepted(attachments=files(10))
    await ready.pump()
    ready.mail.during.clear()
    await ready.later(minutes=3)
    assert await ready.standing(message_id) == ("sent", None)
    assert (ready.mail.calls.count("create_draft"), len(ready.mail.sent)) == (1, 1)
    assert await told(ready, message_id) == ["message.sent"]


async def test_a_step_that_is_always_too_slow_ends_the_send(ready: App) -> None:
    """One file that takes longer than the lease makes five drafts at most, then the CRM is told; nothing is left."""
    slow(ready, "attach", 130)
    message_id = await ready.accepted(attachments=files(2))
    await ready.later(hours=3)
    assert await ready.standing(message_id) == ("failed", "gave_up")
    assert ready.mail.calls.count("create_draft") <= 6
    assert (ready.mail.sent, ready.mail.drafts) == ({}, {})
    assert await told(ready, message_id) == ["message.failed"]


async def test_a_worker_that_was_overtaken_fails_no_send(ready: App) -> None:
    """Its fifth incomplete draft is no news of a send that another worker has let leave meanwhile (E-10)."""
    ready.mail.attaches_apart, ready.mail.drops = True, 4
    message_id = await ready.accepted(attachments=files(1))
    for _ in range(120):
        if ready.mail.drops:
            await ready.later(minutes=1)
    assert ready.mail.drops == 0

    async def be_overtaken() -> None:
        ready.mail.during.clear()
        ready.clock.forward(seconds=130)
        await ready.tick()
        await ready.pump(keys.OUTBOX)

    ready.mail.drops = 1
    ready.mail.during["files"] = be_overtaken
    await ready.later(hours=2)
    assert len(ready.mail.sent) == 1
    assert await told(ready, message_id) == ["message.sent"]
    assert await ready.standing(message_id) == ("sent", None)
