"""The status is true: whatever crashes, races or dies between its rows, the gate says what a connection is worth."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from shared.domain.errors import (
    GrantDead,
    MailboxUnusable,
    OutcomeUnknown,
    ProviderUnavailable,
    SealBroken,
    StoreUnavailable,
    Throttled,
    UpstreamSurprise,
)
from shared.domain.model import Gate, MailboxRef, Profile, Refreshed
from shared.ports import Access
from shared.state import keys
from shared.storage.api import Row
from shared.storage.memory.calls import Call, no_hook
from tests.functions.answers import Answer, problem
from tests.functions.app import App, send_body
from tests.functions.fake_mail import FakeMail
from tests.functions.fakes import FakeSignIn


async def status(app: App, user_id: str = "u_ann") -> str:
    """As the CRM is told when it asks."""
    return str((await app.v1("GET", f"users/{user_id}/connection")).json()["status"])


async def gate(app: App) -> Gate:
    """The gate of the one mailbox there is."""
    (mailbox_id,) = await app.services.tenants.mailboxes(app.tenant.tenant_id)
    stored = await app.services.ledger.gate(MailboxRef(app.tenant.tenant_id, mailbox_id))
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


async def die(app: App) -> None:
    """The user changed the password; the cached access token is over as well, and a send finds out."""
    app.clock.forward(hours=2)
    app.sign_in.dead = True
    await app.v1("POST", "messages", json=send_body("m-dead"))
    await app.pump()
    assert await status(app) == "reconnect_required"


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
    assert (await gate(app)).user_id == "u_bob"
    assert app.crm.types() == ["connection.connected"]


# ---- a consent that dies, and lives again


async def test_the_death_of_a_grant_is_one_write(ready: App) -> None:
    """No second row can be left behind with another status."""
    ready.tables.before = fails_at("replace", keys.CONNECTIONS)
    await die(ready)
    ready.tables.before = no_hook
    await ready.later(minutes=3)
    assert await status(ready) == "reconnect_required"
    assert ready.crm.types() == ["connection.connected", "connection.reconnect_required"]


async def test_a_repair_survives_a_send_accepted_at_that_moment(ready: App) -> None:
    """The gate changed under it: it is written all the same, the parked send leaves, and the next death is told."""
    await die(ready)
    ready.sign_in.dead = False
    cookie = await ready.signed_in(await ready.page_session())

    async def accept_one(call: Call) -> None:
        if call.operation == "transact" and call.place[0] == keys.MAILBOX:
            ready.tables.before = no_hook
            assert (await ready.v1("POST", "messages", json=send_body("m-2"))).status == 202

    ready.tables.before = accept_one
    assert (await ready.confirmed(cookie)).status == 200
    assert not (await gate(ready)).grant_dead
    await ready.later(minutes=5)
    assert len(ready.mail.sent) == 2
    assert await status(ready) == "connected"
    ready.clock.forward(hours=2)
    ready.sign_in.dead = True
    await ready.v1("POST", "messages", json=send_body("m-3"))
    await ready.later(minutes=3)
    assert ready.crm.types().count("connection.reconnect_required") == 2


async def test_a_repair_survives_a_refresh_at_that_moment(ready: App) -> None:
    """A worker keeps fresh tokens between the repair's reading and writing: the person need not sign in again."""
    ready.clock.forward(minutes=1)
    cookie = await ready.signed_in(await ready.page_session())
    whose = (ready.tenant.tenant_id, "u_ann", (await gate(ready)).connection_id)

    async def refresh(call: Call) -> None:
        if call.operation == "transact" and call.place[0] == keys.CONNECTIONS:
            ready.tables.before = no_hook
            read = await ready.services.connections.tokens(*whose)
            assert read
            until = ready.clock.now()
            assert await ready.services.connections.save_tokens(*whose, read, "cache-ann", "old", until)

    ready.tables.before = refresh
    assert (await ready.confirmed(cookie)).status == 200
    await ready.sent()


async def test_a_slow_refusal_of_the_old_tokens_kills_no_repaired_grant(
    ready: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker still asks with the old ones while the user consents anew: it goes on with the new ones (R9)."""
    ready.clock.forward(hours=2)
    right = FakeSignIn.refresh
    asked: list[str] = []

    async def slow(self: FakeSignIn, cache: str, **more: Any) -> Refreshed:
        asked.append(cache)
        if len(asked) > 1:
            return await right(self, cache, **more)
        await ready.connect()
        raise GrantDead

    monkeypatch.setattr(FakeSignIn, "refresh", slow)
    await ready.sent()
    assert await status(ready) == "connected"
    assert "connection.reconnect_required" not in ready.crm.types()


async def test_a_repair_while_the_worker_is_writing_wins(ready: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal was checked against the stored tokens, and the repair came before it was written down."""
    ready.clock.forward(hours=2)
    ready.sign_in.dead = True

    async def repair(call: Call) -> None:
        if call.operation == "transact" and call.place[0] == keys.MAILBOX and "out:" not in str(call.place):
            ready.tables.before = no_hook
            ready.sign_in.dead = False
            await ready.connect()

    await ready.v1("POST", "messages", json=send_body())
    monkeypatch.setattr(ready.tables, "before", repair)
    await ready.pump()
    assert ready.tables.before is no_hook
    assert await status(ready) == "connected"
    assert "connection.reconnect_required" not in ready.crm.types()


async def test_a_grant_that_works_again_by_itself_is_not_called_dead(begun: App) -> None:
    """An administrator had blocked the user for a while: the daily try finds out, tells the CRM, and all goes on."""
    await die(begun)
    begun.sign_in.dead = False
    await begun.later(hours=25)
    assert await status(begun) == "connected"
    assert [one for one in begun.crm.types() if one.startswith("connection.")] == [
        "connection.connected",
        "connection.reconnect_required",
        "connection.connected",
    ]
    assert len(begun.mail.sent) == 2


async def test_what_graph_denies_is_not_alive_because_entra_refreshes_it(
    begun: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The status does not flap with each fresh token; when Graph lets a sweep through, it is over."""
    monkeypatch.setattr(FakeMail, "sweep", denied)
    await begun.later(hours=3)
    assert await status(begun) == "reconnect_required"
    await begun.v1("POST", "messages", json=send_body("m-2"))
    await begun.later(hours=1)
    assert begun.sign_in.calls.count("refresh") >= 1
    assert await status(begun) == "reconnect_required"
    monkeypatch.undo()
    await begun.later(hours=25)
    assert await status(begun) == "connected"
    assert begun.crm.types().count("connection.reconnect_required") == 1


async def denied(*_: Any, **__: Any) -> Any:
    """As Graph answers ErrorAccessDenied to a token that Entra has just given."""
    raise GrantDead


async def test_a_repair_wakes_all_that_was_parked(begun: App) -> None:
    """However much it is; a send a person waits for is not left for the daily try."""
    await die(begun)
    for number in range(120):
        await begun.v1("POST", "messages", json=send_body(f"parked-{number}"))
    await begun.pump()
    begun.sign_in.dead = False
    await begun.connect()
    await begun.later(minutes=10)
    assert len(begun.mail.sent) == 122
    assert begun.mail.calls.count("send") == 122


async def test_a_repair_looks_after_the_subscription(begun: App) -> None:
    """Graph may have dropped it with the dead token: it is renewed, or made anew, at once."""
    await die(begun)
    begun.sign_in.dead = False
    before = begun.mail.calls.count("renew")
    await begun.connect()
    await begun.pump()
    assert begun.mail.calls.count("renew") == before + 1
    assert begun.mail.calls.count("sweep") >= 1


async def test_a_crash_while_waking_forgets_nobody(begun: App) -> None:
    """Its row stays until all have been rung for, and the timer rings for it again."""
    await die(begun)
    begun.sign_in.dead = False

    def fail(call: Call) -> None:
        if call.writes and call.place[0] == keys.OUTBOX:
            raise StoreUnavailable

    await begun.connect()
    begun.queues.before = fail
    with pytest.raises(StoreUnavailable):
        await begun.pump(keys.CARE)
    begun.queues.before = no_hook
    await begun.later(minutes=8)
    assert len(begun.mail.sent) == 2


async def test_a_repair_keeps_up_with_a_new_address(ready: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address is only a label and may have changed (O-6): status and events name the new one."""
    new = "ann.archer@northwind.example"

    async def profile(_: FakeMail, __: Access) -> Profile:
        return Profile(new, "Ann Archer")

    monkeypatch.setattr(FakeMail, "profile", profile)
    ready.clock.forward(minutes=1)
    await ready.connect()
    assert ready.crm.last["mailbox"]["address"] == new
    assert (await gate(ready)).address == new


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
