"""After a disconnect no subscription of ours stays at Graph, as long as the consent can be used (R5, E-27)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from shared.domain.errors import Ambiguous, GrantDead, StoreUnavailable
from shared.domain.model import Right, Subscription, TaskKind
from shared.ports import Access
from tests.functions.app import App
from tests.functions.fake_mail import FakeMail
from tests.functions.test_connection_truth import status
from tests.functions.test_disconnect import disconnected, has_tokens, open_tasks


def once_subscribed(monkeypatch: pytest.MonkeyPatch, then: Callable[[], Awaitable[object]]) -> None:
    """Graph makes a subscription, and that comes next: before we could note it."""
    real = FakeMail.subscribe

    async def subscribe(self: FakeMail, access: Access, **more: Any) -> Subscription:
        made = await real(self, access, **more)
        await then()
        return made

    monkeypatch.setattr(FakeMail, "subscribe", subscribe)


async def die() -> None:
    raise StoreUnavailable


async def test_one_that_was_made_during_the_disconnect_is_removed(
    ready: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker that made it finds the mailbox closed, and takes it away again."""
    once_subscribed(monkeypatch, lambda: disconnected(ready))
    await ready.accepted("m-1")
    await ready.later(minutes=10)
    assert list(ready.mail.subscribed) == []


async def test_one_that_nobody_noted_is_removed(ready: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker died after Graph had made it: the closing lists what notifies us, and removes it."""
    once_subscribed(monkeypatch, die)
    await ready.accepted("m-1")
    with suppress(StoreUnavailable):
        await ready.pump()
    assert len(ready.mail.subscribed) == 1
    await disconnected(ready)
    await ready.later(minutes=10)
    assert list(ready.mail.subscribed) == []


async def test_the_former_one_goes_when_the_mailbox_is_connected_again_at_once(begun: App) -> None:
    """Before the closing was done: the former consent removes it, though nothing is sent under the new one."""
    await disconnected(begun)
    begun.clock.forward(seconds=5)
    await begun.connect()
    await begun.later(minutes=10)
    assert list(begun.mail.subscribed) == []
    await begun.sent("m-2")
    assert list(begun.mail.subscribed) == ["sub-2"]


async def test_the_former_one_goes_when_the_new_one_is_made_first(begun: App) -> None:
    """The new connection sends before the closing was done: one subscription stands, the new one."""
    await disconnected(begun)
    begun.clock.forward(seconds=5)
    await begun.connect()
    await begun.accepted("m-2")
    await begun.later(minutes=10)
    assert list(begun.mail.subscribed) == ["sub-2"]


async def test_a_right_that_graph_denies_does_not_keep_it(begun: App) -> None:
    """Drafts may not be written: the subscription can be removed all the same."""
    begun.mail.next["create_draft"] = [GrantDead(denied=Right.WRITE) for _ in range(100)]
    await begun.accepted("m-2")
    await begun.later(minutes=3)
    begun.mail.next["create_draft"] = []
    assert await status(begun) == "reconnect_required"
    await disconnected(begun)
    await begun.later(minutes=10)
    assert list(begun.mail.subscribed) == []
    assert not await has_tokens(begun)


async def test_a_colleagues_subscription_is_not_touched(begun: App) -> None:
    """Each mailbox has its own."""
    await begun.connect("u_bob", "bob")
    await begun.sent("m-2", user_id="u_bob")
    await disconnected(begun)
    await begun.later(minutes=10)
    assert list(begun.mail.subscribed) == ["sub-2"]


# ---- a consent that is found dead while the mailbox closes


async def test_a_consent_found_dead_while_closing_is_asked_once(begun: App) -> None:
    """Entra refuses the tokens: they are erased at once, and the closing ends (R5)."""
    begun.clock.forward(hours=2)
    begun.sign_in.dead = True
    begun.sign_in.calls.clear()
    await disconnected(begun)
    await begun.pump()
    assert not await has_tokens(begun)
    assert await open_tasks(begun) == [TaskKind.ERASE]
    await begun.later(minutes=50)
    assert begun.sign_in.calls.count("refresh") == 1
    assert begun.crm.types()[-1] == "connection.disconnected"


@pytest.mark.parametrize("who", ["Entra", "Graph"])
async def test_a_send_that_was_leaving_is_unconfirmed_when_nobody_can_be_asked(begun: App, who: str) -> None:
    """The consent is dead, says Entra or Graph: the CRM is told, and nothing is asked minute by minute."""
    begun.mail.next["send"] = [Ambiguous()]
    message_id = await begun.accepted("m-2")
    await begun.pump()
    begun.clock.forward(minutes=61)
    begun.sign_in.dead = who == "Entra"
    begun.mail.next["locate"] = [GrantDead(denied=Right.READ)] * 50
    begun.sign_in.calls.clear()
    await disconnected(begun)
    await begun.later(minutes=30)
    assert await begun.standing(message_id) == ("needs_attention", "outcome_unknown")
    assert begun.crm.types().count("message.unconfirmed") == 1
    assert not await has_tokens(begun)
    assert begun.sign_in.calls.count("refresh") == 1
    assert begun.mail.calls.count("locate") <= 2
    assert await open_tasks(begun) == [TaskKind.ERASE]
