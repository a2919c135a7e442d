"""A consent that dies, and lives again: the CRM is told the truth once each, and nothing parked is forgotten (R9)."""

from __future__ import annotations

from typing import Any

import pytest

from shared.domain.errors import GrantDead, StoreUnavailable
from shared.domain.model import Profile, Refreshed
from shared.ports import Access
from shared.state import keys
from shared.storage.testing.calls import Call, no_hook
from tests.functions.app import App, send_body
from tests.functions.fake_mail import FakeMail
from tests.functions.fakes import FakeSignIn
from tests.functions.test_connection_truth import fails_at, mailbox_now, status


async def die(app: App) -> None:
    """The user changed the password; the cached access token is over as well, and a send finds out."""
    app.clock.forward(hours=2)
    app.sign_in.dead = True
    await app.v1("POST", "messages", json=send_body("m-dead"))
    await app.pump()
    assert await status(app) == "reconnect_required"


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
    assert not (await mailbox_now(ready)).grant_dead
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
    whose = (ready.tenant.tenant_id, "u_ann", (await mailbox_now(ready)).connection_id)

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
    """The repair came after the refusal was checked, before it was written down: the send goes on at once."""
    ready.clock.forward(hours=2)
    ready.sign_in.dead = True

    async def repair(call: Call) -> None:
        if call.operation == "transact" and any(one.startswith("event:") for one in call.place):
            ready.tables.before = no_hook
            ready.sign_in.dead = False
            await ready.connect()

    await ready.v1("POST", "messages", json=send_body())
    monkeypatch.setattr(ready.tables, "before", repair)
    await ready.pump()
    assert ready.tables.before is no_hook
    assert await status(ready) == "connected"
    assert "connection.reconnect_required" not in ready.crm.types()
    assert len(ready.mail.sent) == 1


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


async def test_the_first_token_that_is_refreshed_again_says_so(begun: App) -> None:
    """Whatever work it was for; what was parked goes on with it."""
    await die(begun)
    begun.sign_in.dead = False
    await begun.v1("POST", "messages", json=send_body("m-2"))
    await begun.pump()
    assert await status(begun) == "connected"
    assert len(begun.mail.sent) == 3


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


async def test_a_lost_doorbell_of_a_repair_forgets_nobody(begun: App) -> None:
    """The waking has a row of its own, and the timer rings for it again."""
    await die(begun)
    begun.sign_in.dead = False
    cookie = await begun.signed_in(await begun.page_session())

    def fail(call: Call) -> None:
        if call.writes and call.place[0] == keys.MAINTENANCE:
            raise StoreUnavailable

    begun.queues.before = fail
    assert (await begun.confirmed(cookie)).status == 503
    begun.queues.before = no_hook
    assert await status(begun) == "connected"
    await begun.later(minutes=8)
    assert len(begun.mail.sent) == 2


async def test_a_crash_while_waking_forgets_nobody(begun: App) -> None:
    """Its row stays until all have been rung for."""
    await die(begun)
    begun.sign_in.dead = False

    def fail(call: Call) -> None:
        if call.writes and call.place[0] == keys.OUTBOX:
            raise StoreUnavailable

    await begun.connect()
    begun.queues.before = fail
    with pytest.raises(StoreUnavailable):
        await begun.pump(keys.MAINTENANCE)
    begun.queues.before = no_hook
    for message in await begun.queues.receive(keys.MAINTENANCE, 32, 0):
        await begun.queues.delete(keys.MAINTENANCE, message)
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
    assert (await mailbox_now(ready)).address == new
