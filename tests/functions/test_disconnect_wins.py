"""A disconnect ends every sign-in that began before it, also one that was just confirmed (R5, W-3)."""

from __future__ import annotations

import pytest

from shared.state import keys
from shared.storage.testing.calls import Call, no_hook
from tests.functions.app import App, send_body
from tests.functions.racing import overtake
from tests.functions.test_connection_truth import status
from tests.functions.test_disconnect import asked, confirmed, disconnected, has_tokens


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


async def test_the_page_disconnects_only_the_mailbox_that_it_named(begun: App) -> None:
    """Another mailbox took its place while the yes was carried out: that one stays, and the page says so (W-6)."""
    page = await asked(begun, await begun.page_session())
    cookie = await begun.signed_in(await begun.page_session(), "eve")
    upserts = [0]

    async def update_at_the_end_of_sign_ins(call: Call) -> None:
        if call.operation == "upsert" and call.place[1].endswith("|end"):
            upserts[0] += 1
            begun.tables.before = no_hook
            assert (await begun.confirmed(cookie)).outcome == "connected"
            begun.clock.forward(seconds=1)

    begun.tables.before = update_at_the_end_of_sign_ins
    assert (await confirmed(begun, page)).outcome == "changed"
    await begun.later(minutes=5)
    assert upserts == [1]
    assert await status(begun) == "connected"
    assert "connection.disconnected" not in begun.crm.types()


async def test_a_void_question_is_answered_in_words_of_a_disconnect(begun: App) -> None:
    """The CRM's server disconnected since the question was asked: the answer speaks of no sign-in."""
    page = await asked(begun, await begun.page_session())
    begun.clock.forward(seconds=1)
    await disconnected(begun)
    answer = await confirmed(begun, page)
    assert answer.outcome == "link_unusable"
    assert "press Disconnect again" in answer.words
    assert "sign-in" not in answer.words


async def test_a_send_that_is_just_being_written_is_refused(begun: App) -> None:
    """The mailbox closes between the look at it and the row of the send: 409, and there is no such send."""

    async def disconnect_between(call: Call) -> None:
        if call.operation == "transact" and any(row.startswith("out:") for row in call.place):
            begun.tables.before = no_hook
            assert (await begun.v1("DELETE", "users/u_ann/connection")).status == 200

    begun.tables.before = disconnect_between
    answer = await begun.v1("POST", "messages", json=send_body("m-2"))
    assert (answer.status, answer.json()["type"].rpartition("/")[2]) == (409, "no-active-connection")
    await begun.later(minutes=10)
    assert "message.failed" not in begun.crm.types()
