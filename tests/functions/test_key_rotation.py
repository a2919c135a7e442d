"""A change of CLIENT_STATE_KEYS completes by itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared import bootstrap
from shared.security.client_state import ClientStateSigner
from tests.functions.app import App
from tests.functions.world import OLD_CLIENT_STATE_KEY


@pytest.fixture
async def rotated(app: App) -> App:
    """A subscription was made with the old key; since then the new one stands first."""
    old = ClientStateSigner([OLD_CLIENT_STATE_KEY])
    with bootstrap.replaced(replace(app.services, client_states=old)):
        await app.connect()
        await app.sent()
    assert old.verify(app.mail.client_states[-1])
    return app


async def test_a_subscription_under_the_old_key_is_replaced_when_it_is_due(rotated: App) -> None:
    """A subscription made with the old key is replaced by one under the new key when its renewal is due."""
    rotated.clock.forward(days=5, hours=22)
    before = len(rotated.mail.calls)
    await rotated.later(hours=8)
    calls = [call for call in rotated.mail.calls[before:] if call in {"renew", "unsubscribe", "subscribe"}]
    assert calls == ["subscribe", "unsubscribe"]
    new_alone = ClientStateSigner(["client-state-key-of-enough-characters"])
    assert new_alone.verify(rotated.mail.client_states[-1])


async def test_afterwards_it_is_renewed_again(rotated: App) -> None:
    """A subscription that was replaced for its key is renewed as usual the next time."""
    rotated.clock.forward(days=5, hours=22)
    await rotated.later(hours=8)
    before = len(rotated.mail.calls)
    rotated.clock.forward(days=5, hours=20)
    await rotated.later(hours=10)
    calls = [call for call in rotated.mail.calls[before:] if call in {"renew", "unsubscribe", "subscribe"}]
    assert calls == ["renew"]


async def test_until_then_its_notifications_are_taken(rotated: App) -> None:
    """Until a subscription is replaced, its notifications under the old key are accepted."""
    told = await rotated.answered()
    assert told["direction"] == "inbound"


def test_the_id_of_a_key_tells_nothing_of_it() -> None:
    """A key's id has eight characters, differs between keys and is no part of the key."""
    ids = {ClientStateSigner([key]).key_id for key in ("a" * 32, "b" * 32)}
    assert len(ids) == 2
    assert all(len(key_id) == 8 and key_id not in "a" * 32 for key_id in ids)
