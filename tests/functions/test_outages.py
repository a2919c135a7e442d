"""A connection tells the truth while Graph does not answer: after an hour, with a reason, and when it is over."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from shared.domain.errors import Ambiguous, ProviderUnavailable, UpstreamSurprise
from tests.functions.app import App

GRAPH = ("sweep", "subscribe", "renew", "create_draft", "outline", "fetch", "locate", "find_by_key", "send")


def down(app: App, error: Exception, *methods: str) -> None:
    """Graph fails for every call of these methods, until `up`."""
    for method in methods or GRAPH:
        app.mail.next[method] = [error] * 5_000


def up(app: App) -> None:
    app.mail.next.clear()


async def shown(app: App) -> dict[str, Any]:
    return dict((await app.v1("GET", "users/u_ann/connection")).json())


@pytest.mark.parametrize(
    "error", [ProviderUnavailable(), Ambiguous(), UpstreamSurprise()], ids=lambda error: type(error).__name__
)
async def test_an_outage_is_told_after_an_hour_and_its_end_as_well(begun: App, error: Exception) -> None:
    """Not before an hour of calls that all fail; once, with the reason; and once when a sweep has caught up."""
    down(begun, error)
    await begun.later(minutes=70)
    assert (await shown(begun))["status"] == "connected"
    await begun.later(minutes=30)
    answer = await shown(begun)
    assert (answer["status"], answer["reason"]["code"]) == ("degraded", "microsoft_does_not_answer")
    await begun.later(hours=5)
    assert begun.crm.types()[2:] == ["connection.degraded"]
    assert begun.crm.last["reason"]["code"] == "microsoft_does_not_answer"
    up(begun)
    await begun.later(hours=2)
    assert begun.crm.types()[2:] == ["connection.degraded", "connection.recovered"]
    assert (await shown(begun))["reason"] is None


async def test_an_outage_before_the_first_thread_is_told_too(ready: App) -> None:
    """The first send meets nothing but failures: after an hour the connection is degraded."""
    down(ready, ProviderUnavailable())
    await ready.accepted()
    await ready.later(minutes=80)
    answer = await shown(ready)
    assert (answer["status"], answer["reason"]["code"]) == ("degraded", "microsoft_does_not_answer")
    up(ready)
    await ready.later(minutes=40)
    assert ready.crm.types() == [
        "connection.connected",
        "message.waiting",
        "connection.degraded",
        "message.sent",
        "connection.recovered",
    ]


async def test_one_mail_that_always_fails_is_no_outage(begun: App) -> None:
    """While all other calls work, a mail that no look can read leaves the connection connected."""
    mail = begun.mail.receive("bea@fabrikam.example", in_reply_to=begun.mail.last_sent.internet_message_id)
    begun.mail.unreadable[mail] = ProviderUnavailable()
    await begun.arrives(mail)
    for _ in range(12):
        await begun.later(minutes=30)
        assert (await shown(begun))["status"] == "connected"
    assert "connection.degraded" not in begun.crm.types()


async def test_a_short_outage_is_nobodys_business(begun: App) -> None:
    """Fifty minutes of failures are told to nobody, however often they come back."""
    for _ in range(4):
        down(begun, ProviderUnavailable())
        await begun.later(minutes=50)
        up(begun)
        await begun.later(minutes=30)
    assert begun.crm.types()[2:] == []


async def test_nobody_working_shows_when_it_is_read(begun: App) -> None:
    """No timer ran for two hours: the sweep is overdue, and the status says so although nobody noted it."""
    begun.clock.forward(hours=2)
    answer = await shown(begun)
    assert (answer["status"], answer["reason"]["code"]) == ("degraded", "sweep_overdue")
    await begun.later(minutes=5)
    assert (await shown(begun))["status"] == "connected"
    assert begun.crm.types()[2:] == []


async def test_a_subscription_that_cannot_be_made_is_told(begun: App) -> None:
    """Graph refuses every subscription while mail is swept: degraded with that reason, until one is granted."""
    down(begun, ProviderUnavailable(), "subscribe", "renew")
    begun.clock.forward(days=7)
    await begun.later(minutes=90)
    answer = await shown(begun)
    assert (answer["status"], answer["reason"]["code"]) == ("degraded", "subscription_lost")
    assert begun.crm.types()[2:] == ["connection.degraded"]
    up(begun)
    await begun.later(minutes=90)
    assert begun.crm.types()[2:] == ["connection.degraded", "connection.recovered"]


async def test_a_dead_consent_is_worse_than_an_outage(begun: App) -> None:
    """Nothing of the outage is told while the consent is dead; after the repair the connection is connected."""
    begun.sign_in.dead = True
    begun.clock.forward(minutes=61)
    await begun.later(hours=3)
    answer = await shown(begun)
    assert (answer["status"], answer["reason"]["code"]) == ("reconnect_required", "consent_refused")
    assert begun.crm.types()[2:] == ["connection.reconnect_required"]
    begun.sign_in.dead = False
    await begun.connect()
    assert (await shown(begun))["status"] == "connected"
    await begun.later(minutes=20)
    assert begun.crm.types()[2:] == ["connection.reconnect_required", "connection.connected"]


async def test_the_newest_mail_of_a_thread_has_its_time(begun: App) -> None:
    """When something last synced is told to the minute; before the first mail nothing is."""
    before = begun.clock.now()
    begun.clock.forward(minutes=10)
    await begun.answered()
    answer = await shown(begun)
    assert answer["last_synced_at"] == (before + timedelta(minutes=10)).isoformat().replace("+00:00", "Z")
