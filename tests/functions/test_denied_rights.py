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
    return [one for one in app.crm.types() if one.startswith("connection.")]


async def denied_for_hours(app: App, right: Right) -> None:
    """A send is accepted, the renewal falls due, sweeps come by, and Graph denies one of them."""
    app.clock.forward(days=6, hours=1)
    app.mail.next[STEPS[right]] = [GrantDead(denied=right) for _ in range(10_000)]
    await app.accepted("m-2")
    await app.later(hours=6)


@pytest.mark.parametrize("right", Right)
async def test_one_denied_right_is_told_once(begun: App, right: Right) -> None:
    """What else still works does not call the consent alive again every few minutes."""
    await denied_for_hours(begun, right)
    assert await status(begun) == "reconnect_required"
    assert told(begun) == TOLD


@pytest.mark.parametrize("right", Right)
async def test_the_right_that_works_again_takes_it_back(begun: App, right: Right) -> None:
    """Found by the daily try, without a new consent; the parked send leaves."""
    await denied_for_hours(begun, right)
    begun.mail.next[STEPS[right]] = []
    await begun.later(hours=25)
    assert await status(begun) == "connected"
    assert told(begun) == [*TOLD, "connection.connected"]
    assert len(begun.mail.sent) == 2


@pytest.mark.parametrize("right", Right)
async def test_a_new_consent_takes_it_back(begun: App, right: Right) -> None:
    """Whatever was denied."""
    await denied_for_hours(begun, right)
    begun.mail.next[STEPS[right]] = []
    await begun.connect()
    await begun.later(minutes=5)
    assert await status(begun) == "connected"
    assert (await mailbox_now(begun)).denied_right is None
    assert len(begun.mail.sent) == 2


async def test_a_slow_denial_of_before_says_nothing_of_the_new_consent(
    begun: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user consents anew while a worker waits for the answer: the send is tried again soon, not tomorrow."""
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
