"""Graph denies one right of a consent and grants the others: told once, and taken back by that very right (R9)."""

from __future__ import annotations

from typing import Any

import pytest

from shared.domain.errors import GrantDead
from shared.domain.model import Draft, Right
from tests.functions.app import App
from tests.functions.fake_mail import FakeMail
from tests.functions.test_connection_truth import mailbox_now, status

STEPS = {Right.WRITE: "create_draft", Right.SUBSCRIBE: "renew", Right.READ: "sweep"}
TOLD = ["connection.connected", "connection.reconnect_required"]


def told(app: App) -> list[str]:
    """But for `degraded`: after days without any work a sweep is late besides."""
    types = [event_type for event_type in app.crm.types() if event_type.startswith("connection.")]
    return [event_type for event_type in types if event_type != "connection.degraded"]


async def denied_for_hours(app: App, right: Right) -> None:
    """A send is accepted, a renewal falls due and sweeps run for six hours, while Graph denies that right."""
    app.clock.forward(days=6, hours=1)
    app.mail.next[STEPS[right]] = [GrantDead(denied=right) for _ in range(10_000)]
    await app.accepted("m-2")
    await app.later(hours=6)


@pytest.mark.parametrize("right", Right)
async def test_one_denied_right_is_told_once(begun: App, right: Right) -> None:
    """While Graph denies one right, other calls that still work do not reset the status: the CRM is told once."""
    await denied_for_hours(begun, right)
    assert await status(begun) == "reconnect_required"
    assert told(begun) == TOLD


@pytest.mark.parametrize("right", Right)
async def test_the_right_that_works_again_takes_it_back(begun: App, right: Right) -> None:
    """When a denied right works again, an hourly try finds it without a new consent, and the waiting send leaves."""
    await denied_for_hours(begun, right)
    begun.mail.next[STEPS[right]] = []
    await begun.later(hours=2)
    assert await status(begun) == "connected"
    assert told(begun) == [*TOLD, "connection.connected"]
    assert len(begun.mail.sent) == 2


@pytest.mark.parametrize("right", Right)
async def test_a_new_consent_takes_it_back(begun: App, right: Right) -> None:
    """A new consent clears the denial of any right, and the waiting send leaves."""
    await denied_for_hours(begun, right)
    begun.mail.next[STEPS[right]] = []
    await begun.connect()
    await begun.later(minutes=5)
    assert await status(begun) == "connected"
    assert (await mailbox_now(begun)).denied_right is None
    assert len(begun.mail.sent) == 2


@pytest.mark.parametrize("right", Right)
async def test_one_denial_is_no_dead_consent(begun: App, right: Right) -> None:
    """An outage answers single calls so: the work comes again, and when the right works the doubt is over."""
    begun.clock.forward(days=6, hours=1)
    begun.mail.next[STEPS[right]] = [GrantDead(denied=right)]
    await begun.accepted("m-2")
    await begun.later(minutes=30)
    assert "connection.reconnect_required" not in begun.crm.types()
    assert len(begun.mail.sent) == 2
    assert (await mailbox_now(begun)).doubted_right is None


async def test_what_is_denied_for_a_minute_is_told(begun: App) -> None:
    """Its user hears within minutes that the consent does not work."""
    begun.mail.next["create_draft"] = [GrantDead(denied=Right.WRITE) for _ in range(100)]
    await begun.accepted("m-2")
    await begun.later(minutes=1)
    assert await status(begun) == "connected"
    await begun.later(minutes=3)
    assert await status(begun) == "reconnect_required"


async def test_a_slow_denial_of_before_says_nothing_of_the_new_consent(
    begun: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A denial that answers a call from before the new consent is ignored: the send is tried again within minutes."""
    right = FakeMail.create_draft
    asked: list[int] = []

    async def slow(self: FakeMail, *args: Any, **more: Any) -> Draft:
        asked.append(1)
        if len(asked) > 1:
            return await right(self, *args, **more)
        begun.clock.forward(seconds=5)
        await begun.connect()
        raise GrantDead(denied=Right.WRITE)

    monkeypatch.setattr(FakeMail, "create_draft", slow)
    await begun.accepted("m-2")
    await begun.later(minutes=5)
    assert await status(begun) == "connected"
    assert "connection.reconnect_required" not in begun.crm.types()
    assert len(begun.mail.sent) == 2
