"""Update email (R6): a second mailbox takes the place of the first, which goes on until that moment."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest

from shared.domain import ids
from shared.domain.errors import StoreUnavailable, Throttled
from shared.domain.model import FenceState, MailboxRef, TaskKind
from shared.state import keys
from shared.storage.testing.calls import Call, no_hook
from tests.functions.answers import problem
from tests.functions.app import App, send_body
from tests.functions.deaths import death_at
from tests.functions.racing import overtake
from tests.functions.test_connection_truth import status
from tests.functions.test_disconnect import disconnected, has_tokens, token_owners

EVE = "eve@northwind.example"


def ref(app: App, name: str) -> MailboxRef:
    tenant_id = app.tenant.tenant_id
    return MailboxRef(tenant_id, ids.mailbox_id(tenant_id, "tid-1", f"oid-{name}"))


async def address(app: App) -> str:
    return str((await app.v1("GET", "users/u_ann/connection")).json()["mailbox"]["address"])


async def state(app: App, name: str) -> FenceState | None:
    stored = await app.services.ledger.mailbox(ref(app, name))
    return stored.value.state if stored else None


async def open_tasks(app: App, name: str) -> list[TaskKind]:
    found = await app.services.ledger.tasks(ref(app, name), app.clock.now() + timedelta(days=400), None)
    return sorted(stored.value.kind for stored in found)


async def test_another_mailbox_takes_the_place_of_the_first(begun: App) -> None:
    """Without disconnecting first; the CRM is told which mailbox took whose place."""
    await begun.connect(mailbox="eve")
    assert await address(begun) == EVE
    assert begun.crm.types()[-1] == "connection.updated"
    assert begun.crm.last["mailbox"]["address"] == EVE
    assert begun.crm.last["previous_mailbox"]["address"] == "ann@northwind.example"
    assert "connection.disconnected" not in begun.crm.types()
    await begun.later(minutes=4)
    assert list(begun.mail.subscribed) == []
    assert await state(begun, "ann") is FenceState.CLOSED
    assert await open_tasks(begun, "ann") == [TaskKind.ERASE]


async def test_threads_of_the_first_mailbox_stop(begun: App) -> None:
    """In both directions: a late answer does not sync, and a new mail leaves from the new mailbox."""
    late = begun.mail.receive("bea@fabrikam.example", in_reply_to=begun.mail.last_sent.internet_message_id)
    await begun.connect(mailbox="eve")
    await begun.arrives(late)
    assert "message.received" not in begun.crm.types()
    await begun.sent("m-2")
    assert begun.crm.last["mailbox"]["address"] == EVE


async def test_sends_that_wait_in_the_first_mailbox_end(begun: App) -> None:
    """They were to leave from a mailbox that is no longer the user's: the CRM decides whether to send again."""
    begun.mail.next["create_draft"] = [Throttled(3_000)]
    message_id = await begun.accepted("m-2")
    await begun.pump()
    await begun.connect(mailbox="eve")
    await begun.pump()
    assert await begun.standing(message_id) == ("failed", "mailbox_changed")


async def test_a_reply_in_an_old_thread_begins_a_thread_of_the_new_mailbox(begun: App) -> None:
    """Under the same thread of the CRM."""
    old = begun.crm.last
    await begun.connect(mailbox="eve")
    accepted = await begun.sent("m-2", thread_id=old["thread_id"], crm_thread_id=None)
    assert accepted["thread_id"] != old["thread_id"]
    assert begun.crm.last["crm_thread_id"] == old["crm_thread_id"]
    assert begun.crm.last["mailbox"]["address"] == EVE


async def test_a_colleague_replies_from_his_own_mailbox(begun: App) -> None:
    """A thread of its own, linked to the same thread of the CRM (R11)."""
    old = begun.crm.last
    await begun.connect("u_bob", "bob")
    accepted = await begun.sent("m-2", user_id="u_bob", thread_id=old["thread_id"], crm_thread_id=None)
    assert accepted["thread_id"] != old["thread_id"]
    assert begun.crm.last["crm_thread_id"] == old["crm_thread_id"]
    assert await state(begun, "ann") is FenceState.OPEN


@pytest.mark.parametrize("how", ["abandoned", "declined", "taken"])
async def test_a_consent_that_comes_to_nothing_leaves_the_first_mailbox_untouched(
    begun: App, how: str
) -> None:
    """Whether the person closed the window, said no, or chose a mailbox that is somebody else's."""
    if how == "taken":
        await begun.connect("u_eve", "eve")
        assert (
            await begun.confirmed(await begun.signed_in(await begun.page_session(), "eve"))
        ).outcome == "taken"
    elif how == "abandoned":
        await begun.signed_in(await begun.page_session(), "eve")
        await begun.later(minutes=15)
    else:
        ticket = (await begun.call("POST", "/session/start-tickets", key=await begun.page_session())).json()
        opening = await begun.call("POST", "/oauth/start", form=ticket)
        state_of = opening.text.split("state=")[1].split("&")[0]
        form = {"error": "access_denied", "state": state_of}
        await begun.call("POST", "/oauth/callback", form=form, cookie=opening.cookie)
    assert await address(begun) == "ann@northwind.example"
    assert await status(begun) == "connected"
    await begun.answered()
    assert begun.crm.types()[-1] == "message.received"


async def test_there_and_back_again(begun: App) -> None:
    """A to B to A: the first mailbox has a new number, its old threads wait for a send of the CRM (R9)."""
    thread_id = begun.crm.last["thread_id"]
    first = begun.mail.last_sent.internet_message_id
    await begun.connect(mailbox="eve")
    await begun.pump()
    begun.clock.forward(minutes=1)
    await begun.connect()
    await begun.pump()
    assert await address(begun) == "ann@northwind.example"
    assert [kind for kind in begun.crm.types() if kind == "connection.updated"] == ["connection.updated"] * 2
    begun.clock.forward(minutes=5)
    await begun.sent("m-2", thread_id=thread_id)
    assert begun.crm.last["thread_id"] == thread_id
    await begun.arrives(begun.mail.receive("bea@fabrikam.example", in_reply_to=first))
    assert begun.crm.types()[-1] == "message.received"
    assert await state(begun, "eve") is FenceState.CLOSED


async def test_the_same_account_again_is_a_repair(begun: App) -> None:
    """No update is told, and threads go on."""
    await begun.connect()
    assert "connection.updated" not in begun.crm.types()
    await begun.answered()
    assert begun.crm.types()[-1] == "message.received"


@pytest.mark.parametrize("step", range(1, 20))
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_death_at_any_write_leaves_what_the_crm_was_told(begun: App, step: int, when: str) -> None:
    """Whichever write the process dies before or after: one mailbox is the user's, or none and the CRM knows it."""
    begun.mail.next["create_draft"] = [Throttled(3_000)]
    message_id = await begun.accepted("m-2")
    await begun.pump()
    cookie = await begun.signed_in(await begun.page_session(), "eve")
    await begun.call("GET", "/oauth/confirm", cookie=cookie)
    with suppress(StoreUnavailable, AssertionError), death_at(begun, step, when):
        await begun.confirmed(cookie)
        await begun.pump()
    await begun.later(minutes=10)
    shown = (await begun.v1("GET", "users/u_ann/connection")).json()
    told = [event["data"]["status"] for event in begun.crm.told if event["type"].startswith("connection.")]
    assert shown["status"] == told[-1]
    if shown["status"] == "disconnected":  # the first was closed, and the new one never opened
        assert not await has_tokens(begun)
        await begun.connect(mailbox="eve")
        await begun.later(minutes=2)
        shown = (await begun.v1("GET", "users/u_ann/connection")).json()
    assert shown["status"] == "connected"
    if shown["mailbox"]["address"] == EVE:
        assert await state(begun, "ann") is FenceState.CLOSED
        assert await begun.standing(message_id) == ("failed", "mailbox_changed")
        assert await open_tasks(begun, "ann") == [TaskKind.ERASE]
    else:
        assert await state(begun, "ann") is FenceState.OPEN
        await begun.later(minutes=50)
        await begun.answered()
        assert begun.crm.types()[-1] == "message.received"
        await begun.connect(mailbox="eve")
        assert await address(begun) == EVE


async def test_a_disconnect_in_the_middle_of_a_change_ends_both(begun: App) -> None:
    """It came when the new connection was written and its mailbox not open: the first mailbox is disconnected (R5)."""
    cookie = await begun.signed_in(await begun.page_session(), "eve")
    overtake(begun, "transact", keys.CONNECTIONS, lambda: disconnected(begun), "after")
    assert (await begun.confirmed(cookie)).outcome == "changed"
    await begun.later(minutes=10)
    assert begun.crm.types()[-1] == "connection.disconnected"
    assert (await status(begun), await address(begun)) == ("disconnected", "ann@northwind.example")
    assert not await has_tokens(begun)
    assert await open_tasks(begun, "eve") == []


async def die() -> None:
    raise StoreUnavailable


async def test_a_change_that_stalls_and_dies_leaves_the_first_mailbox_as_it_was(begun: App) -> None:
    """It hung for minutes before it wrote anything, and died before the first mailbox closed: that one goes on (R6)."""
    cookie = await begun.signed_in(await begun.page_session(), "eve")

    async def stall() -> None:
        await begun.later(minutes=4)  # the task that was planned for its death has come already
        overtake(begun, "transact", keys.MAILBOX, die)

    overtake(begun, "transact", keys.CONNECTIONS, stall)
    assert (await begun.confirmed(cookie)).outcome == "unclear"
    await begun.later(hours=1)
    assert (await status(begun), await address(begun)) == ("connected", "ann@northwind.example")
    assert await token_owners(begun) == 1
    await begun.answered()
    assert begun.crm.types()[-1] == "message.received"


async def test_a_change_that_is_refused_late_is_a_disconnect_that_is_told(begun: App) -> None:
    """The first mailbox was closed, and then somebody else had the new one: the CRM hears that none is connected."""
    cookie = await begun.signed_in(await begun.page_session(), "eve")

    async def another_takes_it(call: Call) -> None:
        rows = {row.partition(":")[0] for row in call.place} if call.operation == "transact" else set()
        if {"fence", "task"} <= rows:
            begun.tables.after = no_hook
            begun.clock.forward(minutes=11)
            await begun.connect("u_bob", "eve")

    begun.tables.after = another_takes_it
    assert (await begun.confirmed(cookie)).outcome == "taken"
    begun.tables.after = no_hook
    await begun.later(minutes=10)
    assert await status(begun) == "disconnected"
    assert "connection.disconnected" in begun.crm.types()
    assert await token_owners(begun) == 1


@pytest.mark.parametrize(
    ("table", "when"), [(keys.CONNECTIONS, "after"), (keys.MAILBOX, "before"), (keys.MAILBOX, "after")]
)
async def test_a_send_while_the_mailbox_is_changed_is_to_come_again(
    begun: App, table: str, when: str
) -> None:
    """The new mailbox is not open yet: 503, not that nobody is connected; repeated, the send leaves from there (R6)."""
    cookie = await begun.signed_in(await begun.page_session(), "eve")

    async def send() -> None:
        problem(await begun.v1("POST", "messages", json=send_body("m-2")), 503, "busy")

    async def send_once_written(call: Call) -> None:
        if call.operation == "transact" and call.place[0] == keys.CONNECTIONS:
            begun.tables.after = no_hook
            overtake(begun, "transact", table, send, when)

    if table == keys.CONNECTIONS:
        overtake(begun, "transact", table, send, when)
    else:
        begun.tables.after = send_once_written
    assert (await begun.confirmed(cookie)).outcome == "connected"
    message_id = await begun.accepted("m-2")
    await begun.later(minutes=2)
    assert await begun.standing(message_id) == ("sent", None)


async def test_a_send_whose_mailbox_is_changed_before_its_row_is_to_come_again(begun: App) -> None:
    """The mailbox was open when the send was judged, and another has taken its place before its row stood (R6)."""

    async def change_between(call: Call) -> None:
        if call.operation == "transact" and any(row.startswith("out:") for row in call.place):
            begun.tables.before = no_hook
            await begun.connect(mailbox="eve")

    begun.tables.before = change_between
    problem(await begun.v1("POST", "messages", json=send_body("m-2")), 503, "busy")
    message_id = await begun.accepted("m-2")
    await begun.later(minutes=2)
    assert await begun.standing(message_id) == ("sent", None)
