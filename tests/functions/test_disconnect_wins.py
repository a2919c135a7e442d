"""A disconnect ends every sign-in that began before it, also one that was just confirmed (R5, W-3)."""

from __future__ import annotations

import pytest

from shared.state import keys
from tests.functions.app import App
from tests.functions.racing import overtake
from tests.functions.test_connection_truth import status
from tests.functions.test_disconnect import disconnected, has_tokens


@pytest.mark.parametrize(("operation", "table"), [("insert", keys.CLAIMS), ("transact", keys.CONNECTIONS)])
async def test_a_disconnect_after_the_yes_wins_over_a_first_connect(
    app: App, operation: str, table: str
) -> None:
    """It came while the mailbox was being connected: then nothing is connected, nothing told, no token kept."""
    cookie = await app.signed_in(await app.page_session())
    overtake(app, operation, table, lambda: disconnected(app))
    assert (await app.confirmed(cookie)).outcome == "changed"
    await app.later(minutes=5)
    assert await status(app) == "not_connected"
    assert app.crm.types() == []
    assert not await has_tokens(app)
    await app.connect()
    assert await status(app) == "connected"


@pytest.mark.parametrize(("operation", "table"), [("insert", keys.CLAIMS), ("transact", keys.CONNECTIONS)])
async def test_a_disconnect_after_the_yes_wins_over_a_repair(begun: App, operation: str, table: str) -> None:
    """The mailbox stays disconnected, and the person is not told that somebody else has it."""
    cookie = await begun.signed_in(await begun.page_session())
    overtake(begun, operation, table, lambda: disconnected(begun))
    assert (await begun.confirmed(cookie)).outcome == "changed"
    await begun.later(minutes=5)
    assert await status(begun) == "disconnected"
    assert begun.crm.types()[-1] == "connection.disconnected"
    assert not await has_tokens(begun)
