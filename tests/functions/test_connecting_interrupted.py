"""A connection that a crash has left half made is completed by connecting again (R1)."""

from __future__ import annotations

from shared.domain.errors import StoreUnavailable
from shared.state import keys
from shared.storage.testing.calls import Call, no_hook
from tests.functions.app import App


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
