"""Failures of work: what waits, what counts, what is given up; and one bad item never holds up the others."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from shared.domain.errors import (
    AccessRefused,
    Ambiguous,
    GrantDead,
    ProviderUnavailable,
    Throttled,
    UpstreamSurprise,
)
from shared.state import keys
from shared.storage.testing.calls import Call, no_hook
from tests.functions.app import App, send_body

BEA = "bea@fabrikam.example"


async def dead_letters(app: App) -> list[dict[str, Any]]:
    """Every dead letter."""
    return [asdict(kept.letter) async for kept in app.services.dead_letters.all()]


async def accepted(app: App) -> str:
    answer = await app.v1("POST", "messages", json=send_body())
    return str(answer.json()["id"])


async def status(app: App, message_id: str) -> str:
    return str((await app.v1("GET", f"messages/{message_id}")).json()["status"])


@pytest.mark.parametrize(
    "errors",
    [
        pytest.param([ProviderUnavailable() for _ in range(9)], id="half an hour of outage"),
        pytest.param([Throttled(10.0) for _ in range(20)], id="twenty pauses"),
    ],
)
async def test_trouble_of_graph_does_not_end_a_send(ready: App, errors: list[Exception]) -> None:
    """A send waits out half an hour of Graph's outage, or twenty pauses, and leaves once (E-28)."""
    ready.mail.next["create_draft"] = list(errors)
    message_id = await accepted(ready)
    await ready.later(minutes=50)
    assert await status(ready, message_id) == "sent"
    assert ready.mail.calls.count("send") == 1
    assert await dead_letters(ready) == []


async def test_a_send_waits_for_its_user_however_long(ready: App) -> None:
    """Ten days of a dead consent do not end a send that was given a month; it leaves after the repair."""
    ready.sign_in.dead = True
    ready.mail.next["create_draft"] = [GrantDead() for _ in range(3)]
    message_id = await ready.accepted(send_within=30 * 24 * 3600)
    await ready.later(days=10)
    assert await status(ready, message_id) == "waiting"
    ready.sign_in.dead = False
    ready.mail.next.clear()
    await ready.connect()
    await ready.later(minutes=5)
    assert await status(ready, message_id) == "sent"


async def test_a_send_that_breaks_in_a_way_nobody_foresaw_is_given_up_and_kept(ready: App) -> None:
    """A send that fails in a way nobody foresaw is tried five times over half an hour.

    Then the CRM is told, and a dead letter is kept (E-28, E-29).
    """
    ready.mail.next["create_draft"] = [KeyError("odd") for _ in range(50)]
    message_id = await accepted(ready)
    await ready.later(minutes=30)
    assert await status(ready, message_id) == "sending"
    await ready.later(minutes=40)
    assert await status(ready, message_id) == "failed"
    assert ready.mail.calls.count("create_draft") == 5
    assert [dead_letter["cause"] for dead_letter in await dead_letters(ready)] == ["given_up:KeyError"]
    assert ready.crm.last["reason"]["code"] == "gave_up"


@pytest.mark.parametrize("error", [UpstreamSurprise(), AccessRefused(), ZeroDivisionError()], ids=repr)
async def test_an_unreadable_mail_holds_up_nobody(begun: App, error: Exception) -> None:
    """A mail that cannot be read becomes one dead letter and is looked at ever more rarely; sweeps pass it (E-30)."""
    mail = begun.mail.receive(BEA, begun.mail.last_sent.internet_message_id)
    begun.mail.unreadable[mail] = error
    await begun.notify(mail)
    await begun.pump()
    await begun.later(hours=3)
    begun.mail.receive(BEA, begun.mail.last_sent.internet_message_id)
    # At once, after 1, 4, 14, 44 minutes, with that one of a mail that was read before, then an hour later.
    assert begun.mail.calls.count("fetch") == 7
    await begun.later(hours=2)
    assert begun.mail.calls.count("fetch") == 8  # the other one
    assert [dead_letter["queue"] for dead_letter in await dead_letters(begun)] == [keys.MAINTENANCE]
    assert begun.crm.types().count("message.received") == 1
    assert begun.crm.types().count("message.not_synced") == 1


async def test_one_bad_hint_leaves_the_others_alone(begun: App) -> None:
    """Of two mails notified in one POST the second is brought in at once although the first cannot be read yet."""
    begun.mail.next["outline"] = [RuntimeError("odd")]
    parent = begun.mail.last_sent.internet_message_id
    first, second = begun.mail.receive(BEA, parent), begun.mail.receive(BEA, parent)
    await begun.notify(first, second)
    await begun.pump()
    assert begun.crm.types().count("message.received") == 1
    await begun.later(minutes=3)
    assert begun.crm.types().count("message.received") == 2


async def test_a_delivery_that_breaks_is_given_up_and_kept(begun: App) -> None:
    """A delivery that fails by an error of ours is tried five times and given up; its event stays in the feed."""
    begun.crm.answers.extend([RuntimeError("odd")] * 50)
    mail = begun.mail.receive(BEA, begun.mail.last_sent.internet_message_id)
    await begun.notify(mail)
    await begun.pump()
    tried = len(begun.crm.tried)
    await begun.later(hours=2)
    assert len(begun.crm.tried) - tried <= 5
    assert [dead_letter["cause"] for dead_letter in await dead_letters(begun)] == ["given_up:RuntimeError"]
    feed = (await begun.v1("GET", "events")).json()["events"]
    assert "message.received" in [event["type"] for event in feed]


async def test_a_grant_that_graph_refuses_is_told_at_once(begun: App) -> None:
    """When Graph refuses the whole mailbox with 403, the status asks for a new consent, and the CRM is told once."""
    begun.mail.next["sweep"] = [GrantDead() for _ in range(3)]
    await begun.later(minutes=20)
    shown = (await begun.v1("GET", "users/u_ann/connection")).json()
    assert shown["status"] == "reconnect_required"
    assert begun.crm.types().count("connection.reconnect_required") == 1


async def test_a_mailbox_that_cannot_be_asked_ends_a_send_as_unknown(ready: App) -> None:
    """When nobody can find out whether a send left, the CRM is told once that it is unknown.

    A week later the asking ends (E-7).
    """
    ready.mail.next["send"] = [Ambiguous()]
    ready.mail.next["locate"] = [UpstreamSurprise() for _ in range(10_000)]
    message_id = await accepted(ready)
    await ready.later(hours=3)
    assert await status(ready, message_id) == "needs_attention"
    assert ready.crm.types().count("message.unconfirmed") == 1
    ready.clock.forward(days=7)
    await ready.later(hours=1)
    asked = ready.mail.calls.count("locate")
    await ready.later(hours=6)
    assert ready.mail.calls.count("locate") == asked
    assert ready.mail.calls.count("send") == 1


def no_message_for_sends(call: Call) -> None:
    """The queue of sends fails in a way that nobody foresaw."""
    if (call.operation, call.place) == ("put", (keys.OUTBOX,)):
        raise RuntimeError("odd")


async def test_waiting_work_whose_queue_fails_leaves_as_soon_as_it_works(begun: App) -> None:
    """The queue of sends takes nothing for two hours after a repair: the waiting send leaves minutes after that."""
    begun.sign_in.dead = True
    begun.clock.forward(hours=2)
    await begun.v1("POST", "messages", json=send_body("m-2"))
    await begun.pump()
    await begun.later(minutes=6)  # after five the CRM was told that it waits
    begun.sign_in.dead = False
    begun.queues.before = no_message_for_sends
    await begun.connect()
    await begun.later(hours=2)
    begun.queues.before = no_hook
    await begun.later(minutes=10)
    assert begun.mail.calls.count("send") == 2
