"""A consent that dies and works again: the CRM is told of each change once, and no waiting work is forgotten (R9)."""

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
from tests.functions.test_maintenance import lifecycle


async def die(app: App) -> None:
    """The user changed the password; the cached access token is over as well, and a send finds out."""
    app.clock.forward(hours=2)
    app.sign_in.dead = True
    await app.v1("POST", "messages", json=send_body("m-dead"))
    await app.pump()
    assert await status(app) == "reconnect_required"


async def test_the_death_of_a_grant_is_one_write(ready: App) -> None:
    """A dead consent is recorded by one write, so no second row can keep another status when storage fails."""
    ready.tables.before = fails_at("replace", keys.CONNECTIONS)
    await die(ready)
    ready.tables.before = no_hook
    await ready.later(minutes=3)
    assert await status(ready) == "reconnect_required"
    assert ready.crm.types() == ["connection.connected", "connection.reconnect_required"]


async def test_a_repair_survives_a_send_accepted_at_that_moment(ready: App) -> None:
    """A repair is written although a send was accepted at the same moment.

    The waiting sends leave, and the next death is told.
    """
    await die(ready)
    ready.sign_in.dead = False
    cookie = await ready.signed_in(await ready.page_session())

    async def accept_one(call: Call) -> None:
        if call.operation == "transact" and call.place[0] == keys.MAILBOX:
            ready.tables.before = no_hook
            assert (await ready.v1("POST", "messages", json=send_body("m-2"))).status == 202

    ready.tables.before = accept_one
    assert (await ready.confirmed(cookie)).outcome == "connected"
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
    """A repair is written although a worker refreshes the old tokens at the same moment; nobody signs in again."""
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
    assert (await ready.confirmed(cookie)).outcome == "connected"
    await ready.sent()


async def test_a_slow_refusal_of_the_old_tokens_kills_no_repaired_grant(
    ready: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the old tokens are refused after the user has consented anew, the worker goes on with the new ones (R9)."""
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
    """A repair between a worker's check and its write of the refusal wins, and the send leaves at once."""
    ready.clock.forward(hours=2)
    ready.sign_in.dead = True

    async def repair(call: Call) -> None:
        if call.operation == "transact" and any(row_key.startswith("event:") for row_key in call.place):
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
    """When a blocked account is unblocked, the daily try notices it, the CRM is told, and the waiting send leaves."""
    await die(begun)
    begun.sign_in.dead = False
    await begun.later(hours=25)
    assert await status(begun) == "connected"
    assert [event_type for event_type in begun.crm.types() if event_type.startswith("connection.")] == [
        "connection.connected",
        "connection.reconnect_required",
        "connection.connected",
    ]
    assert len(begun.mail.sent) == 2


async def test_the_first_token_that_is_refreshed_again_says_so(begun: App) -> None:
    """The first successful token refresh, for whatever work, ends the dead state, and all waiting sends leave."""
    await die(begun)
    begun.sign_in.dead = False
    await begun.v1("POST", "messages", json=send_body("m-2"))
    await begun.pump()
    assert await status(begun) == "reconnect_required"  # nobody asks more than once a day
    await begun.later(hours=25)
    assert await status(begun) == "connected"
    assert len(begun.mail.sent) == 3


async def test_what_graph_denies_is_not_alive_because_entra_refreshes_it(
    begun: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While Graph denies the mailbox a refreshed token does not reset the status.

    A sweep that Graph lets through does.
    """
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
    """Fails as when Graph answers ErrorAccessDenied to a token that Entra has just given."""
    raise GrantDead


async def test_a_repair_enqueues_all_work_that_waited(begun: App) -> None:
    """After a repair all waiting sends, 120 of them here, leave within ten minutes and once each."""
    await die(begun)
    for number in range(120):
        await begun.v1("POST", "messages", json=send_body(f"waiting-{number}"))
    await begun.pump()
    begun.sign_in.dead = False
    await begun.connect()
    await begun.later(minutes=10)
    assert len(begun.mail.sent) == 122
    assert begun.mail.calls.count("send") == 122


async def test_a_repair_looks_after_the_subscription(begun: App) -> None:
    """A repair renews the subscription at once and sweeps. Graph may have dropped it with the dead token."""
    await die(begun)
    begun.sign_in.dead = False
    before = begun.mail.calls.count("renew")
    await begun.connect()
    await begun.pump()
    assert begun.mail.calls.count("renew") == before + 1
    assert begun.mail.calls.count("sweep") >= 1


async def test_a_lost_job_message_of_a_repair_forgets_nobody(begun: App) -> None:
    """When the job message that enqueues waiting work is lost, its task row lets the timer enqueue it again."""
    await die(begun)
    begun.sign_in.dead = False
    cookie = await begun.signed_in(await begun.page_session())

    def fail(call: Call) -> None:
        if call.writes and call.place[0] == keys.MAINTENANCE:
            raise StoreUnavailable

    begun.queues.before = fail
    assert (await begun.confirmed(cookie)).outcome == "unclear"
    begun.queues.before = no_hook
    assert await status(begun) == "connected"
    await begun.later(minutes=8)
    assert len(begun.mail.sent) == 2


async def test_a_crash_while_enqueueing_waiting_work_forgets_nobody(begun: App) -> None:
    """When a worker crashes while it enqueues waiting work, the task row stays until all of it was enqueued."""
    await die(begun)
    begun.sign_in.dead = False

    def fail(call: Call) -> None:
        if call.writes and call.place[0] == keys.OUTBOX:
            raise StoreUnavailable

    await begun.connect()
    begun.queues.before = fail
    await begun.pump(keys.MAINTENANCE)  # what met the failing store is put back into its queue
    begun.queues.before = no_hook
    begun.clock.forward(seconds=31)
    for message in await begun.queues.receive(keys.MAINTENANCE, 32, 0):
        await begun.queues.delete(keys.MAINTENANCE, message)
    await begun.later(minutes=8)
    assert len(begun.mail.sent) == 2


async def test_a_repair_keeps_up_with_a_new_address(ready: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repair takes over the mailbox's new address: event and mailbox row name it (O-6)."""
    new = "ann.archer@northwind.example"

    async def profile(_: FakeMail, __: Access) -> Profile:
        return Profile(new, "Ann Archer")

    monkeypatch.setattr(FakeMail, "profile", profile)
    ready.clock.forward(minutes=1)
    await ready.connect()
    assert ready.crm.last["mailbox"]["address"] == new
    assert (await mailbox_now(ready)).address == new


@pytest.mark.parametrize("seconds", [5, 30, 59])
@pytest.mark.parametrize("begins", [False, True])
async def test_a_repair_within_a_minute_is_not_called_degraded(
    ready: App, seconds: int, *, begins: bool
) -> None:
    """The consent was found dead while a subscription was made: the repair right after makes one, and waits for none.

    `begins`: it was to be the first one.
    """
    if not begins:
        await ready.sent()
        ready.mail.gone.add("sub-1")
    ready.mail.next["subscribe"] = [GrantDead()]
    if begins:
        await ready.accepted()
    else:
        await lifecycle(ready, "subscriptionRemoved")
    await ready.pump()
    assert await status(ready) == "reconnect_required"
    ready.clock.forward(seconds=seconds)
    await ready.connect()
    await ready.pump()
    assert await status(ready) == "connected"
    await ready.later(minutes=3)
    assert "connection.degraded" not in ready.crm.types()
    assert len(ready.mail.sent) == 1
