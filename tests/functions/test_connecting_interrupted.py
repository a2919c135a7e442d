"""A connection that a crash or a race has left half made: completed by connecting again, or gone (R1)."""

from __future__ import annotations

from contextlib import suppress

import pytest

from shared.domain.errors import StoreUnavailable
from shared.state import keys
from shared.storage.testing.calls import Call, no_hook
from tests.functions.app import App
from tests.functions.deaths import death_at
from tests.functions.racing import overtake
from tests.functions.test_connection_truth import status
from tests.functions.test_disconnect import disconnected, token_owners


async def test_a_mailbox_that_was_never_opened_is_opened_by_connecting_again(app: App) -> None:
    """When storage fails after the connection's row and before the mailbox's rows, connecting again completes it."""
    cookie = await app.signed_in(await app.page_session())

    def fail_at_the_mailbox(call: Call) -> None:
        if call.writes and keys.MAILBOX in call.place:
            raise StoreUnavailable

    app.tables.before = fail_at_the_mailbox
    assert (await app.confirmed(cookie)).outcome == "unclear"
    app.tables.before = no_hook
    await app.connect()
    assert app.crm.types() == ["connection.connected"]
    await app.sent()


async def die() -> None:
    raise StoreUnavailable


async def half_connected(app: App) -> None:
    """The process dies when it is about to open the mailbox: a connection's row and tokens are there."""
    cookie = await app.signed_in(await app.page_session())

    async def die_at_the_opening() -> None:
        overtake(app, "transact", keys.MAILBOX, die)

    overtake(app, "transact", keys.CONNECTIONS, die_at_the_opening)
    assert (await app.confirmed(cookie)).outcome == "unclear"
    assert await token_owners(app) == 1


async def test_tokens_of_a_half_made_connection_are_erased(app: App) -> None:
    """Nobody came back to complete it: within minutes nothing of it stays, and the mailbox is free for others."""
    await half_connected(app)
    await app.later(minutes=5)
    assert await token_owners(app) == 0
    assert await status(app) == "not_connected"
    await app.connect("u_bob", "ann")


async def test_a_disconnect_erases_the_tokens_of_a_half_made_connection(app: App) -> None:
    """At once: its mailbox was never open, so there is nothing to wait for, and nothing is told."""
    await half_connected(app)
    assert (await disconnected(app)).json()["status"] == "not_connected"
    assert await token_owners(app) == 0
    await app.later(minutes=5)
    assert await status(app) == "not_connected"
    assert app.crm.types() == []


async def test_another_mailbox_in_place_of_a_half_made_connection(app: App) -> None:
    """Only the tokens of the mailbox that is connected now are kept."""
    await half_connected(app)
    await app.connect(mailbox="eve")
    await app.later(minutes=5)
    assert await token_owners(app) == 1
    assert await status(app) == "connected"


async def test_whoever_loses_the_mailbox_on_the_way_keeps_no_tokens(app: App) -> None:
    """Between the claim and the opening somebody else connected the mailbox: refused, and nothing of it stays."""
    cookie = await app.signed_in(await app.page_session())

    async def another_takes_it() -> None:
        app.clock.forward(minutes=11)
        await app.connect("u_bob", "ann")

    overtake(app, "transact", keys.CONNECTIONS, another_takes_it, "after")
    assert (await app.confirmed(cookie)).outcome == "taken"
    assert await token_owners(app) == 1
    assert await status(app) == "not_connected"
    assert await status(app, "u_bob") == "connected"


@pytest.mark.parametrize("step", range(1, 16))
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_death_at_any_write_of_a_first_connect(app: App, step: int, when: str) -> None:
    """Whichever write the process dies before or after: connected and told, or nothing of it stays."""
    cookie = await app.signed_in(await app.page_session())
    await app.call("GET", "/oauth/confirm", cookie=cookie)
    with suppress(AssertionError), death_at(app, step, when):
        await app.confirmed(cookie)
    await app.later(minutes=15)
    is_connected = await status(app) == "connected"
    assert len(set(app.crm.ids)) == int(is_connected)  # an answer that was not noted is asked for again
    assert set(app.crm.types()) <= {"connection.connected"}
    assert await token_owners(app) == int(is_connected)
