"""Disconnect (R5): the fence closes first, everything else follows, whatever dies or races on the way."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta

import pytest

from shared.domain.errors import (
    Ambiguous,
    GrantDead,
    ItemGone,
    ProviderUnavailable,
    StoreUnavailable,
    Throttled,
)
from shared.domain.model import Connection, TaskKind
from shared.state import keys
from shared.storage.testing.calls import Call, no_hook
from tests.functions.answers import Answer, problem
from tests.functions.app import App, send_body
from tests.functions.deaths import death_at
from tests.functions.fakes import FakeAnswer
from tests.functions.test_connection_truth import mailbox_now, status
from tests.functions.test_making_subscriptions import mailbox


async def disconnected(app: App, user_id: str = "u_ann") -> Answer:
    """As the CRM's server does it."""
    answer = await app.v1("DELETE", f"users/{user_id}/connection")
    assert answer.status == 200, answer.text
    return answer


async def connection(app: App) -> Connection:
    stored = await app.services.connections.current(app.tenant.tenant_id, "u_ann")
    assert stored
    return stored.value


async def has_tokens(app: App) -> bool:
    rows = [row async for row in app.tables.query_partitions(keys.CONNECTIONS)]
    return any(row.row.startswith(("tokens:", "access:")) for row in rows)


async def token_owners(app: App) -> int:
    """How many connections there are whose tokens are kept."""
    rows = [row async for row in app.tables.query_partitions(keys.CONNECTIONS)]
    return len([row for row in rows if row.row.startswith("tokens:")])


async def open_tasks(app: App) -> list[TaskKind]:
    found = await app.services.ledger.tasks(mailbox(app), app.clock.now() + timedelta(days=400), None)
    return sorted(stored.value.kind for stored in found)


def told_once(app: App, kind: str) -> bool:
    """Under one id: an answer that we could not note is asked for again, and the id tells the CRM."""
    return (
        len(
            {
                event_id
                for event, event_id in zip(app.crm.told, app.crm.ids, strict=True)
                if event["type"] == kind
            }
        )
        == 1
    )


async def asked(app: App, session: str) -> Answer:
    """The page that asks, opened from the settings page."""
    ticket = (await app.call("POST", "/session/disconnect-tickets", key=session)).json()
    return await app.call("POST", "/disconnect/start", form=ticket)


async def confirmed(app: App, page: Answer, **more: str) -> Answer:
    token = re.search(r'name="csrf_token" value="([^"]*)"', page.text)
    assert token, page.text
    form = {"csrf_token": token[1], **more}
    return await app.followed(await app.call("POST", "/disconnect/confirm", form=form, cookie=page.cookie))


# ---- what it does


async def test_after_a_disconnect_nothing_is_left_to_do(begun: App) -> None:
    """The CRM is told once, the subscription and the tokens are gone, and no sweep or renewal is planned."""
    shown = (await disconnected(begun)).json()
    assert (shown["status"], shown["mailbox"]["address"]) == ("disconnected", "ann@northwind.example")
    assert begun.crm.types()[-1] == "connection.disconnected"
    await begun.pump()
    assert list(begun.mail.subscribed) == []
    assert not await has_tokens(begun)
    assert await open_tasks(begun) == [TaskKind.ERASE]
    assert (await connection(begun)).ended_at is not None
    await begun.later(hours=7)
    assert begun.crm.types().count("connection.disconnected") == 1


async def test_new_sends_are_refused_with_a_reason(begun: App) -> None:
    """The CRM can show that the user has no connected mailbox."""
    await disconnected(begun)
    problem(await begun.v1("POST", "messages", json=send_body("m-2")), 409, "no-active-connection")


async def test_answers_that_come_later_do_not_sync(begun: App) -> None:
    """Late notifications are dropped, without a call to Graph."""
    number = begun.mail.receive("bea@fabrikam.example", in_reply_to=begun.mail.last_sent.internet_message_id)
    await disconnected(begun)
    await begun.pump()
    calls = len(begun.mail.calls)
    await begun.arrives(number)
    assert begun.mail.calls[calls:] == []
    assert "message.received" not in begun.crm.types()


async def test_sends_that_wait_end_and_say_why(begun: App) -> None:
    """A send that was accepted and has not left fails as `disconnected`, at once, though its own time was far off."""
    begun.mail.next["create_draft"] = [Throttled(3_000)]
    message_id = await begun.accepted("m-2")
    await begun.pump()
    await disconnected(begun)
    await begun.pump()
    assert await begun.standing(message_id) == ("failed", "disconnected")
    assert begun.crm.types().count("message.failed") == 1
    assert await open_tasks(begun) == [TaskKind.ERASE]


async def test_recorded_events_are_still_delivered(begun: App) -> None:
    """What was recorded before is told afterwards as well."""
    begun.store_up()
    begun.crm.answers.extend([FakeAnswer(503), FakeAnswer(503)])
    await begun.answered()
    await disconnected(begun)
    await begun.later(minutes=10)
    assert "message.received" in begun.crm.types()
    assert "connection.disconnected" in begun.crm.types()


async def test_nothing_that_synced_is_removed(begun: App) -> None:
    """Messages and events stay readable."""
    told = await begun.answered()
    await disconnected(begun)
    await begun.pump()
    shown = await begun.v1("GET", f"messages/{told['id']}")
    assert shown.json()["status"] == "received"


@pytest.mark.parametrize("user_id", ["u_ann", "u_nobody"])
async def test_disconnecting_again_changes_nothing(begun: App, user_id: str) -> None:
    """A second call, and one for a user who never had a mailbox, are as good as done."""
    await disconnected(begun)
    await begun.pump()
    before = begun.crm.types()
    await disconnected(begun, user_id)
    await begun.pump()
    assert begun.crm.types() == before


# ---- what was leaving at that moment


async def test_a_send_that_was_leaving_is_found_as_sent(begun: App) -> None:
    """`sending` came before the fence closed: the mailbox is asked, and the CRM is told that it left."""
    begun.mail.next["send"] = [Ambiguous()]
    message_id = await begun.accepted("m-2")
    await begun.pump()
    begun.mail.send_drafts()
    await disconnected(begun)
    await begun.later(minutes=12)
    assert await begun.standing(message_id) == ("sent", None)
    assert not await has_tokens(begun)


async def test_a_send_that_stays_in_drafts_fails(begun: App) -> None:
    """It had not left, and nobody may send it any more; told when the try before can let it leave no more."""
    begun.mail.next["send"] = [Ambiguous()]
    message_id = await begun.accepted("m-2")
    await begun.pump()
    await disconnected(begun)
    await begun.later(minutes=50)
    assert (await begun.standing(message_id))[0] == "sending"
    await begun.later(minutes=20)
    assert await begun.standing(message_id) == ("failed", "left_in_drafts")
    assert begun.mail.calls.count("send") == 2
    assert not await has_tokens(begun)


async def test_a_send_that_leaves_late_from_a_mailbox_that_closed_is_told_as_sent(begun: App) -> None:
    """Its draft still lies in Drafts when the mailbox is asked; minutes later the try takes effect all the same."""
    begun.mail.next["send"] = [Ambiguous()]
    message_id = await begun.accepted("m-2")
    await begun.pump()
    await disconnected(begun)
    await begun.later(minutes=12)
    begun.mail.send_drafts()
    await begun.later(minutes=10)
    assert (await begun.standing(message_id))[0] == "sent"


async def test_a_send_that_cannot_be_found_is_unconfirmed_after_an_hour(begun: App) -> None:
    """Tokens are kept for looking ten minutes more, no longer."""
    begun.mail.next["send"] = [Ambiguous()]
    message_id = await begun.accepted("m-2")
    await begun.pump()
    begun.mail.next["locate"] = [ItemGone()] * 100
    begun.mail.next["find_by_key"] = [ProviderUnavailable()] * 100
    await disconnected(begun)
    await begun.later(minutes=50)
    assert await has_tokens(begun)
    assert "message.unconfirmed" not in begun.crm.types()
    await begun.later(minutes=25)
    assert begun.crm.types().count("message.unconfirmed") == 1
    assert await begun.standing(message_id) == ("needs_attention", "outcome_unknown")
    assert not await has_tokens(begun)


async def test_with_a_dead_consent_nobody_is_asked(begun: App) -> None:
    """Tokens go at once, and the send that was leaving is unconfirmed when it would have been asked about."""
    begun.mail.next["send"] = [Ambiguous()]
    await begun.accepted("m-2")
    await begun.pump()
    begun.mail.next["outline"] = [GrantDead()]
    await begun.arrives(begun.mail.receive("else@x.example"))
    assert (await mailbox_now(begun)).grant_dead
    await disconnected(begun)
    await begun.pump()
    assert not await has_tokens(begun)
    await begun.later(minutes=6)
    assert "message.unconfirmed" in begun.crm.types()


# ---- deaths, races, troubles


STEPS = range(1, 14)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_death_at_any_write_is_gone_on_from(begun: App, step: int, when: str) -> None:
    """Whichever write the process dies before or after: the call or the task again, and everything is done once."""
    begun.mail.next["create_draft"] = [Throttled(3_000)]
    message_id = await begun.accepted("m-2")
    await begun.pump()
    with suppress(StoreUnavailable), death_at(begun, step, when):
        await begun.v1("DELETE", "users/u_ann/connection")
        await begun.pump()
    await disconnected(begun)
    await begun.later(minutes=8)
    assert await status(begun) == "disconnected"
    assert told_once(begun, "connection.disconnected")
    assert told_once(begun, "message.failed")
    assert await begun.standing(message_id) == ("failed", "disconnected")
    assert not await has_tokens(begun)
    assert list(begun.mail.subscribed) == []
    assert await open_tasks(begun) == [TaskKind.ERASE]


async def answer(app: App) -> None:
    await app.arrives(
        app.mail.receive("bea@fabrikam.example", in_reply_to=app.mail.last_sent.internet_message_id)
    )


async def send(app: App) -> None:
    await app.v1("POST", "messages", json=send_body("m-9"))
    await app.pump()


async def sweep(app: App) -> None:
    app.clock.forward(minutes=16)
    await app.tick()
    await app.pump()


async def renew(app: App) -> None:
    app.clock.forward(days=7)
    await app.tick("renew_subscriptions")
    await app.pump()


@pytest.mark.parametrize("work", [answer, send, sweep, renew])
@pytest.mark.parametrize("step", range(1, 7))
async def test_a_worker_that_is_overtaken_by_a_disconnect_lets_nothing_pass(
    begun: App, work: Callable[[App], Awaitable[None]], step: int
) -> None:
    """Whatever a worker was about to write: afterwards nothing syncs, nothing leaves, and nothing is planned."""
    left = [step]

    async def overtake(call: Call) -> None:
        if call.place[0] == keys.MAILBOX and call.operation in {"transact", "query"}:
            left[0] -= 1
            if left[0] == 0:
                begun.tables.before = no_hook
                await disconnected(begun)

    begun.tables.before = overtake
    await work(begun)
    begun.tables.before = no_hook
    if left[0] > 0:
        await disconnected(begun)
    sent = begun.mail.calls.count("send")
    told = [kind for kind in begun.crm.types() if kind in {"message.received", "message.sent"}]
    await begun.later(minutes=80)
    await answer(begun)
    assert begun.mail.calls.count("send") == sent
    after = [kind for kind in begun.crm.types() if kind in {"message.received", "message.sent"}]
    assert after[: len(told)] == told
    assert "message.received" not in after[len(told) :]
    assert await status(begun) == "disconnected"
    assert list(begun.mail.subscribed) == []
    assert not await has_tokens(begun)
    assert await open_tasks(begun) == [TaskKind.ERASE]


@pytest.mark.parametrize("error", [ProviderUnavailable(), Throttled(30), GrantDead()], ids=repr)
async def test_a_subscription_that_cannot_be_removed_holds_up_little(begun: App, error: Exception) -> None:
    """It is tried again for an hour; then it ends by itself, and what it brings is dropped."""
    begun.mail.next["unsubscribe"] = [error] * 200
    await disconnected(begun)
    await begun.later(minutes=90)
    assert not await has_tokens(begun)
    assert await open_tasks(begun) == [TaskKind.ERASE]


# ---- connecting again (R9)


async def test_a_mailbox_may_be_connected_again(begun: App) -> None:
    """Old threads stay stopped until the CRM sends in one of them, and what came in between stays out (R9)."""
    thread_id = begun.crm.last["thread_id"]
    await disconnected(begun)
    await begun.pump()
    between = begun.mail.receive("bea@fabrikam.example", in_reply_to=begun.mail.last_sent.internet_message_id)
    begun.clock.forward(minutes=5)
    await begun.connect()
    assert (await mailbox_now(begun)).generation == 2
    await begun.arrives(between)
    assert "message.received" not in begun.crm.types()
    begun.clock.forward(minutes=5)
    await begun.sent("m-2", thread_id=thread_id)
    await begun.answered()
    assert begun.crm.types().count("message.received") == 1
    await begun.later(minutes=40)
    assert begun.crm.types().count("message.received") == 1


async def test_another_user_may_connect_the_mailbox_afterwards(begun: App) -> None:
    """Nobody holds it any more."""
    await disconnected(begun)
    await begun.connect("u_bob", "ann")
    assert await status(begun, "u_bob") == "connected"
    assert await status(begun) == "disconnected"


# ---- by the person


async def test_the_page_names_user_and_mailbox_and_does_it(begun: App) -> None:
    """A top-level page asks; the settings page then shows the new status, and its session goes on (W-6)."""
    session = await begun.page_session()
    page = await asked(begun, session)
    assert page.status == 200
    for name in ("ann@northwind.example", "Ann", "Northwind"):
        assert name in page.words
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    done = await confirmed(begun, page)
    assert (done.status, "Mailbox disconnected" in done.text) == (200, True)
    shown = await begun.call("GET", "/session/connection", key=session)
    assert shown.json()["status"] == "disconnected"


async def test_the_question_counts_once_in_its_own_browser_and_with_its_token(begun: App) -> None:
    """Another browser, another token, a second click: nothing happens but the first yes (O-3, W-5)."""
    page = await asked(begun, await begun.page_session())
    token = {"csrf_token": "wrong"}
    assert (await begun.call("POST", "/disconnect/confirm", form=token, cookie=page.cookie)).status == 410
    right = re.findall(r'name="csrf_token" value="([^"]*)"', page.text)[0]
    stranger = await begun.call("POST", "/disconnect/confirm", form={"csrf_token": right}, cookie="other")
    assert stranger.status == 410
    assert await status(begun) == "connected"
    assert (await confirmed(begun, page)).outcome == "disconnected"
    assert (await confirmed(begun, page)).outcome == "disconnected"
    assert begun.crm.types().count("connection.disconnected") == 1


async def test_a_ticket_does_only_what_it_was_made_for(begun: App) -> None:
    """One for signing in opens no question, and one for disconnecting no sign-in."""
    session = await begun.page_session()
    ticket = (await begun.call("POST", "/session/start-tickets", key=session)).json()
    assert (await begun.call("POST", "/disconnect/start", form=ticket)).status == 410
    ticket = (await begun.call("POST", "/session/disconnect-tickets", key=session)).json()
    assert (await begun.call("POST", "/oauth/start", form=ticket)).status == 410


async def test_a_question_about_a_mailbox_that_was_replaced_is_void(begun: App) -> None:
    """The person said yes to another mailbox than the one that is connected now."""
    page = await asked(begun, await begun.page_session())
    await begun.connect(mailbox="eve")
    assert (await confirmed(begun, page)).outcome == "changed"
    assert await status(begun) == "connected"


async def test_the_server_ends_links_and_sessions_too(begun: App) -> None:
    """For a user who was removed: his open page and a link that waits are over; a new link is good (W-3)."""
    session = await begun.page_session()
    link = await begun.v1("POST", "session-links", json={"user": {"id": "u_ann"}})
    await disconnected(begun)
    assert (await begun.call("GET", "/session/connection", key=session)).status == 401
    token = {"token": link.json()["url"].split("#")[1]}
    assert (await begun.call("POST", "/session", json=token)).status == 409
    begun.clock.forward(seconds=1)
    assert await begun.page_session()


async def test_a_sign_in_under_way_does_not_connect_again(begun: App) -> None:
    """The person disconnected while another window was at Microsoft: that window comes to nothing."""
    session = await begun.page_session()
    cookie = await begun.signed_in(session, "ann")
    assert (await confirmed(begun, await asked(begun, session))).status == 200
    shown = await begun.call("GET", "/oauth/confirm", cookie=cookie)
    assert shown.status == 410
    assert await status(begun) == "disconnected"
