"""The status is true: whatever crashes, races or dies between its rows, the gate says what a connection is worth."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from shared.domain.errors import (
    GrantDead,
    MailboxClosed,
    MailboxUnusable,
    OutcomeUnknown,
    ProviderUnavailable,
    SealBroken,
    StoreUnavailable,
    Throttled,
    UpstreamSurprise,
)
from shared.domain.model import Mailbox, MailboxRef
from shared.mailbox_context import MailboxContext
from shared.state import keys
from shared.storage.api import Row
from shared.storage.testing.calls import Call, no_hook
from shared.sync.mailbox.unit_of_work import change
from tests.functions.answers import Answer, problem
from tests.functions.app import App, send_body


async def status(app: App, user_id: str = "u_ann") -> str:
    """As the CRM is told when it asks."""
    return str((await app.v1("GET", f"users/{user_id}/connection")).json()["status"])


async def mailbox_now(app: App) -> Mailbox:
    """The one mailbox there is, as its rows say."""
    (mailbox_id,) = await app.services.tenants.mailboxes(app.tenant.tenant_id)
    stored = await app.services.ledger.mailbox(MailboxRef(app.tenant.tenant_id, mailbox_id))
    assert stored
    return stored.value


def fails_at(operation: str, table: str) -> Callable[[Call], None]:
    """That write of that table is not done."""

    def fail(call: Call) -> None:
        if call.operation == operation and call.place[0] == table:
            raise StoreUnavailable

    return fail


async def half_connected(app: App, user_id: str = "u_ann") -> None:
    """The connection's row was written, the gate was not."""
    cookie = await app.signed_in(await app.page_session(user_id))
    app.tables.before = fails_at("transact", keys.MAILBOX)
    assert (await app.confirmed(cookie)).status == 503
    app.tables.before = no_hook


# ---- half a connection


async def test_a_connection_without_its_gate_is_none(app: App) -> None:
    """A crash came between: the status says that nothing is connected, as the refused send does."""
    await half_connected(app)
    shown = (await app.v1("GET", "users/u_ann/connection")).json()
    assert shown == {"user_id": "u_ann", "status": "not_connected", "mailbox": None, "connected_at": None}
    problem(await app.v1("POST", "messages", json=send_body()), 409, "no-active-connection")


async def test_half_a_connection_is_completed_by_connecting_again(app: App) -> None:
    """And told of once."""
    await half_connected(app)
    await app.connect()
    assert await status(app) == "connected"
    await app.sent()
    assert app.crm.types() == ["connection.connected", "message.sent"]


async def test_half_a_connection_does_not_bind_its_user(app: App) -> None:
    """Another mailbox may be connected instead."""
    await half_connected(app)
    await app.connect(mailbox="eve")
    shown = (await app.v1("GET", "users/u_ann/connection")).json()
    assert (shown["status"], shown["mailbox"]["address"]) == ("connected", "eve@northwind.example")


# ---- two users, one mailbox


async def both_confirm(app: App) -> list[Answer]:
    """Ann and Bob say yes for the same mailbox; the first to write a connection is held up there meanwhile."""
    cookies = [await app.signed_in(await app.page_session(user), "ann") for user in ("u_ann", "u_bob")]
    held = asyncio.Event()

    async def hold_the_first(call: Call) -> None:
        if call.operation == "transact" and call.place[0] == keys.CONNECTIONS and not held.is_set():
            held.set()
            await second

    async def confirm_second() -> Answer:
        await held.wait()
        return await app.confirmed(cookies[1])

    second = asyncio.ensure_future(confirm_second())
    app.tables.before = hold_the_first
    first = await app.confirmed(cookies[0])
    app.tables.before = no_hook
    return [first, await second]


async def test_of_two_who_confirm_one_mailbox_at_once_one_gets_it(app: App) -> None:
    """A claim counts before its gate is open: the second is refused, and neither status lies (R1)."""
    assert [one.status for one in await both_confirm(app)] == [200, 409]
    assert [await status(app, user) for user in ("u_ann", "u_bob")] == ["connected", "not_connected"]
    problem(await app.v1("POST", "messages", json=send_body(user_id="u_bob")), 409, "no-active-connection")
    await app.sent()


async def test_a_claim_that_came_to_nothing_passes_on_after_ten_minutes(app: App) -> None:
    """Not sooner, since its owner may be on the way; afterwards the first has nothing, and does not send with it."""
    await half_connected(app)
    cookie = await app.signed_in(await app.page_session("u_bob"), "ann")
    app.clock.forward(minutes=9)
    assert (await app.confirmed(cookie)).status == 409
    app.clock.forward(minutes=1)
    await app.connect("u_bob", "ann")
    assert [await status(app, user) for user in ("u_ann", "u_bob")] == ["not_connected", "connected"]
    problem(await app.v1("POST", "messages", json=send_body()), 409, "no-active-connection")
    assert (await app.confirmed(await app.signed_in(await app.page_session()))).status == 409


async def test_an_own_claim_is_taken_up_again(app: App) -> None:
    """Its owner comes back late: the ten minutes begin anew, and nobody slips in between."""
    await half_connected(app)
    app.clock.forward(minutes=15)
    await half_connected(app)
    cookie = await app.signed_in(await app.page_session("u_bob"), "ann")
    assert (await app.confirmed(cookie)).status == 409
    await app.connect()


async def test_who_lost_the_claim_on_the_way_opens_no_gate(app: App) -> None:
    """Ann is held up for longer than her claim holds; Bob connects meanwhile; her yes comes to nothing."""
    cookie = await app.signed_in(await app.page_session())

    async def hold(call: Call) -> None:
        if call.operation == "transact" and call.place[0] == keys.CONNECTIONS:
            app.tables.before = no_hook
            app.clock.forward(minutes=11)
            await app.connect("u_bob", "ann")

    app.tables.before = hold
    assert (await app.confirmed(cookie)).status == 409
    assert [await status(app, user) for user in ("u_ann", "u_bob")] == ["not_connected", "connected"]
    assert (await mailbox_now(app)).user_id == "u_bob"
    assert app.crm.types() == ["connection.connected"]


async def test_a_mailbox_may_be_claimed_by_another_tenant_meanwhile(app: App) -> None:
    """Their gates are different rows, so only the claim tells: Ann's yes comes to nothing all the same."""
    cookie = await app.signed_in(await app.page_session())

    async def hold(call: Call) -> None:
        if call.operation == "transact" and call.place[0] == keys.CONNECTIONS:
            app.tables.before = no_hook
            app.clock.forward(minutes=11)
            await app.connect("u_bob", "ann", app.other.api_key)

    app.tables.before = hold
    assert (await app.confirmed(cookie)).status == 409
    assert await status(app) == "not_connected"


async def test_the_fence_knows_the_connection(ready: App) -> None:
    """Of two connections with the same number only the one that the gate names passes."""
    (mailbox_id,) = await ready.services.tenants.mailboxes(ready.tenant.tenant_id)
    ctx = MailboxContext(ready.services, MailboxRef(ready.tenant.tenant_id, mailbox_id))
    changing = change(ctx, 1, (await mailbox_now(ready)).connection_id)
    async for tx in changing:
        tx.mailbox = replace(tx.mailbox, late_sweeps=1)
    assert changing.committed
    with pytest.raises(MailboxClosed):
        await anext(aiter(change(ctx, 1, "con_other")))


# ---- what a person reads when it goes wrong


async def test_strange_letters_are_no_token_of_the_page(app: App) -> None:
    """Compared as any other wrong one (X-8), and the right one still counts afterwards."""
    cookie = await app.signed_in(await app.page_session())
    refused = await app.call("POST", "/oauth/confirm", form={"csrf_token": "\u00e9\u4e2d"}, cookie=cookie)
    assert refused.status == 410
    assert (await app.confirmed(cookie)).status == 200


FAULTS: list[tuple[Exception, int]] = [
    (UpstreamSurprise(), 400),
    (GrantDead(), 400),
    (MailboxUnusable(), 409),
    (Throttled(9), 503),
    (ProviderUnavailable(), 503),
]


@pytest.mark.parametrize(("error", "status"), FAULTS, ids=lambda one: type(one).__name__)
async def test_a_mailbox_that_does_not_say_whose_it_is_ends_in_a_page(
    app: App, error: Exception, status: int
) -> None:
    """The sign-in went well, the look at the mailbox did not: the person reads why, and no crash."""
    ticket = (await app.call("POST", "/session/start-tickets", key=await app.page_session())).json()
    opening = await app.call("POST", "/oauth/start", form=ticket)
    form = {"code": "ann", "state": opening.text.split("state=")[1].split("&")[0]}
    app.mail.next["profile"] = [error]
    answer = await app.call("POST", "/oauth/callback", form=form, cookie=opening.cookie)
    assert answer.status == status
    assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("error", [StoreUnavailable(), OutcomeUnknown()], ids=lambda one: type(one).__name__)
async def test_a_storage_that_is_down_is_said_on_a_page(app: App, error: Exception) -> None:
    """Nobody knows how far it came, so nothing is claimed: the settings tell in a minute."""
    cookie = await app.signed_in(await app.page_session())
    shown = await app.call("GET", "/oauth/confirm", cookie=cookie)
    token = re.findall(r'name="csrf_token" value="([^"]*)"', shown.text)[0]
    app.store_down(error)
    answer = await app.call("POST", "/oauth/confirm", form={"csrf_token": token}, cookie=cookie)
    app.store_up()
    assert answer.status == 503
    assert answer.headers["content-type"].startswith("text/html")
    assert "Nothing was changed" not in answer.text


async def test_a_fault_of_ours_is_noted_as_the_answer_says(
    app: App, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one with a name, such as a ciphertext of a lost key: the operator finds it in the log."""

    async def broken(*_: object) -> bytes:
        raise SealBroken

    cookie = await app.signed_in(await app.page_session())
    monkeypatch.setattr(type(app.services.sealer), "unseal", broken)
    problem(await app.confirmed(cookie), 500, "unexpected")
    assert "error=SealBroken" in capsys.readouterr().out


async def test_tokens_of_a_sign_in_that_nobody_confirmed_are_erased(app: App) -> None:
    """Sealed or not, they go soon after their ten minutes, and with them whatever the browser left behind."""
    await app.signed_in(await app.page_session())
    ticket = (await app.call("POST", "/session/start-tickets", key=await app.page_session())).json()
    await app.call("POST", "/oauth/start", form=ticket)
    await app.later(minutes=16)
    assert {one.partition for one in await rows(app)} == {"session", "ends|"}
    await app.later(minutes=20)
    assert await rows(app) == []


async def rows(app: App) -> list[Row]:
    """Of the table of short-lived rows, the notes' partitions without their times."""
    found = [one async for one in app.tables.query_partitions(keys.SESSIONS)]
    return [replace(one, partition="ends|") if one.partition.startswith("ends|") else one for one in found]
