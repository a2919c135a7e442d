"""A send that cannot leave says so: in its acceptance, in its status, by one event, and at the end of its time."""

from __future__ import annotations

from typing import Any

import pytest

from shared.domain.errors import GrantDead, MailboxUnusable, ProviderUnavailable, Throttled
from shared.domain.model import Draft, DraftContent, Right
from shared.ports import Access
from tests.functions.answers import problem
from tests.functions.app import BEA_ADDRESS, App, send_body
from tests.functions.deaths import death_at
from tests.functions.fake_mail import FakeMail
from tests.functions.test_grants import die


async def taken(app: App, crm_message_id: str = "m-2", **changes: Any) -> dict[str, Any]:
    answer = await app.v1("POST", "messages", json=send_body(crm_message_id, **changes))
    assert answer.status == 202, answer.text
    return dict(answer.json())


async def shown(app: App, message_id: str) -> dict[str, Any]:
    return dict((await app.v1("GET", f"messages/{message_id}")).json())


async def make_it_wait(app: App, waits_for: str) -> None:
    """Bring the mailbox into the state that makes sends wait for this."""
    match waits_for:
        case "sign_in":
            await die(app)
            await app.answered()
        case "microsoft_pause":
            app.mail.next["create_draft"] = [Throttled(7200.0)]
            await app.accepted("m-before")
            await app.pump()
        case _:
            for method in ("create_draft", "sweep"):
                app.mail.next[method] = [ProviderUnavailable()] * 500
            await app.accepted("m-before")
            await app.later(minutes=3)


STATES = ("sign_in", "microsoft_pause", "mailbox_unavailable")


@pytest.mark.parametrize("waits_for", STATES)
async def test_a_send_taken_while_it_must_wait_says_so(begun: App, waits_for: str) -> None:
    """The 202 has `waiting` and for what; so has the message, until when it may leave, and so has a repeat."""
    await make_it_wait(begun, waits_for)
    accepted = await taken(begun)
    assert (accepted["status"], accepted["waiting_for"]) == ("waiting", waits_for)
    message = await shown(begun, accepted["id"])
    for answer in (message, await taken(begun)):
        assert (answer["status"], answer["waiting_for"]) == ("waiting", waits_for)
        assert answer["waiting_since"] == accepted["waiting_since"]
        assert answer["send_by"] > answer["waiting_since"]


@pytest.mark.parametrize("waits_for", STATES)
async def test_a_wait_is_told_once_after_five_minutes(begun: App, waits_for: str) -> None:
    """Not before five minutes, and once, with what it waits for."""
    await make_it_wait(begun, waits_for)
    accepted = await taken(begun)
    begun.crm.told.clear()
    await begun.later(minutes=3)
    assert [told for told in begun.crm.told if told["data"]["id"] == accepted["id"]] == []
    await begun.later(minutes=40)
    told = [told for told in begun.crm.told if told["data"].get("id") == accepted["id"]]
    assert [event["type"] for event in told] == ["message.waiting"]
    assert told[0]["data"]["waiting_for"] == waits_for
    assert told[0]["data"]["crm_message_id"] == "m-2"


@pytest.mark.parametrize("waits_for", STATES)
async def test_a_send_that_must_not_wait_is_refused_at_once(begun: App, waits_for: str) -> None:
    """With `if_waiting: refuse` it is a 409 that says for what, nothing is kept, and the id is still free."""
    await make_it_wait(begun, waits_for)
    staged = len(await begun.staged())
    body = send_body("m-2", if_waiting="refuse")
    document = problem(await begun.v1("POST", "messages", json=body), 409, "must-wait")
    assert document["waiting_for"] == waits_for
    assert len(await begun.staged()) == staged
    assert (await taken(begun))["status"] == "waiting"


@pytest.mark.parametrize("waits_for", STATES)
async def test_after_its_time_a_send_ends_and_never_leaves(begun: App, waits_for: str) -> None:
    """At `send_within` it ends as failed with that reason, told once, and nothing leaves when the trouble is over."""
    await make_it_wait(begun, waits_for)
    accepted = await taken(begun, send_within=1800)
    await begun.later(minutes=29)
    assert (await shown(begun, accepted["id"]))["status"] == "waiting"
    await begun.later(minutes=3)
    assert await begun.standing(accepted["id"]) == ("failed", "waited_too_long")
    begun.mail.next.clear()
    begun.sign_in.dead = False
    await begun.connect()
    await begun.later(hours=3)
    subjects = [draft.subject for draft in begun.mail.sent.values()]
    told = [event for event in begun.crm.told if event["data"].get("id") == accepted["id"]]
    assert [event["type"] for event in told] == ["message.waiting", "message.failed"]
    assert len(subjects) <= 2


async def test_three_days_are_given_without_a_word(begun: App) -> None:
    """A send that waits for a sign-in ends after three days, asking Entra once a day and no more."""
    await make_it_wait(begun, "sign_in")
    accepted = await taken(begun)
    asked = begun.sign_in.calls.count("refresh")
    await begun.later(hours=71)
    assert (await shown(begun, accepted["id"]))["status"] == "waiting"
    await begun.later(hours=2)
    assert await begun.standing(accepted["id"]) == ("failed", "waited_too_long")
    # Sends, sweep and renewal look once a day each.
    assert begun.sign_in.calls.count("refresh") - asked <= 12


async def test_a_reply_waits_for_the_first_mail(ready: App) -> None:
    """A reply to a mail that has not left says so, and is told after five minutes like any other wait."""
    ready.mail.next["send"] = [Throttled(900.0)]
    opening = await taken(ready, "m-1")
    await ready.pump()
    reply = await taken(ready, "m-2", thread_id=opening["thread_id"])
    assert (reply["status"], reply["waiting_for"]) == ("waiting", "microsoft_pause")
    ready.mail.next.clear()
    await ready.later(minutes=20)
    assert ready.crm.types().count("message.sent") == 2


async def test_a_reply_to_a_mail_just_accepted_waits_for_it(ready: App) -> None:
    """Nothing else is the matter: the reply waits for the first mail of its thread, and leaves behind it."""
    opening = await taken(ready, "m-1")
    ready.clock.forward(seconds=1)
    reply = await taken(ready, "m-2", thread_id=opening["thread_id"])
    assert (reply["status"], reply["waiting_for"]) == ("waiting", "first_mail_of_thread")
    ready.clock.forward(seconds=1)
    refused = send_body("m-3", thread_id=opening["thread_id"], if_waiting="refuse")
    assert problem(await ready.v1("POST", "messages", json=refused), 409, "must-wait")
    await ready.later(minutes=5)
    assert ready.crm.types()[1:] == ["message.sent", "message.sent"]


async def test_what_nothing_keeps_back_does_not_wait(begun: App) -> None:
    """A send that may leave is `accepted`, also with `if_waiting: refuse`."""
    accepted = await taken(begun, if_waiting="refuse")
    assert (accepted["status"], accepted["waiting_for"], accepted["send_by"]) == ("accepted", None, None)
    await begun.pump()
    begun.clock.forward(seconds=61)
    await begun.pump()
    message = await shown(begun, accepted["id"])
    assert (message["status"], message["waiting_for"]) == ("sent", None)


@pytest.mark.parametrize(
    "changes",
    [{"send_within": 59}, {"send_within": 2_592_001}, {"send_within": "1 day"}, {"if_waiting": "maybe"}],
    ids=str,
)
async def test_a_wrong_wish_is_refused_with_its_field(begun: App, changes: dict[str, Any]) -> None:
    """A time out of bounds or an unknown word is a 422 that names the member."""
    answer = await begun.v1("POST", "messages", json=send_body("m-2", **changes))
    document = problem(answer, 422, "invalid-request")
    assert document["errors"][0]["pointer"] == f"/{next(iter(changes))}"


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", range(1, 6))
async def test_it_is_told_wherever_the_worker_dies(begun: App, step: int, when: str) -> None:
    """Dead at any write of telling a wait: it is told under one id, and the send still ends in its time."""
    await make_it_wait(begun, "sign_in")
    accepted = await taken(begun, send_within=1800)
    await begun.later(minutes=3)
    begun.crm.told.clear()
    begun.crm.ids.clear()
    with death_at(begun, step, when):
        begun.clock.forward(minutes=3)
        try:
            await begun.tick()
            await begun.pump()
        except Exception:  # noqa: BLE001, S110 - the process died
            pass
    await begun.later(minutes=40)
    pairs = zip(begun.crm.told, begun.crm.ids, strict=True)
    ids = {
        event_id
        for event, event_id in pairs
        if event["type"] == "message.waiting" and event["data"]["id"] == accepted["id"]
    }
    assert len(ids) == 1
    assert await begun.standing(accepted["id"]) == ("failed", "waited_too_long")


async def test_one_failed_call_makes_nobody_wait(ready: App) -> None:
    """After one failure and nothing since, a send that must not wait is taken; the connection is connected."""
    ready.mail.next["subscribe"] = [ProviderUnavailable()]
    first = await taken(ready, "m-1")
    await ready.pump()
    await ready.v1("POST", f"threads/{first['thread_id']}/stop")
    for hours in (1, 1, 28):
        await ready.later(hours=hours)
        assert (await ready.v1("GET", "users/u_ann/connection")).json()["status"] == "connected"
    assert (await taken(ready, if_waiting="refuse"))["status"] == "accepted"


async def test_a_call_that_works_ends_the_suspicion_of_an_outage(begun: App) -> None:
    """After failures of some minutes foreign mail is read again: no send has to wait any more."""
    begun.mail.next["outline"] = [ProviderUnavailable()] * 100
    for _ in range(4):
        await begun.arrives(begun.mail.receive("x@y.example"))
        begun.clock.forward(minutes=1)
    assert (await begun.v1("POST", "messages", json=send_body("m-2", if_waiting="refuse"))).status == 409
    begun.mail.next.clear()
    await begun.arrives(begun.mail.receive("x@y.example"))
    assert (await taken(begun, if_waiting="refuse"))["status"] == "accepted"


async def test_a_mailbox_that_was_not_known_once_keeps_no_send_back(begun: App) -> None:
    """Sends try, and end where the mailbox is not to be had; an hour later the mailbox is swept again."""
    begun.mail.next["sweep"] = [MailboxUnusable()]
    await begun.later(minutes=20)
    assert (await taken(begun, if_waiting="refuse"))["status"] == "accepted"
    begun.mail.receive(BEA_ADDRESS, in_reply_to=begun.mail.last_sent.internet_message_id)
    await begun.later(hours=2)
    assert "message.received" in begun.crm.types()


@pytest.mark.parametrize("error", [Throttled(3600), GrantDead(denied=Right.WRITE)], ids=["pause", "denial"])
async def test_what_graph_refused_to_send_waits_and_ends_in_its_time(begun: App, error: Exception) -> None:
    """A plain no to the send itself is a wait like any other: told, ended after its time, and never left."""
    begun.mail.next["send"] = [error] * 500
    accepted = await taken(begun, send_within=1800)
    await begun.pump()
    begun.sign_in.dead = isinstance(error, GrantDead)
    await begun.later(minutes=10)
    message = await shown(begun, accepted["id"])
    waits_for = "sign_in" if isinstance(error, GrantDead) else "microsoft_pause"
    assert (message["status"], message["waiting_for"]) == ("waiting", waits_for)
    await begun.later(minutes=22)
    assert await begun.standing(accepted["id"]) == ("failed", "waited_too_long")
    begun.mail.next.clear()
    begun.sign_in.dead = False
    await begun.connect()
    await begun.later(days=1)
    assert len(begun.mail.sent) == 1
    told = [event["type"] for event in begun.crm.told if event["data"].get("id") == accepted["id"]]
    assert told == ["message.waiting", "message.failed"]


async def test_what_graph_refused_ends_with_a_disconnect(begun: App) -> None:
    """A send that Graph said no to did not leave: after Disconnect it is failed, not unknown."""
    begun.mail.next["send"] = [Throttled(7200)] * 50
    accepted = await taken(begun)
    await begun.pump()
    await begun.v1("DELETE", "users/u_ann/connection")
    await begun.later(hours=3)
    assert await begun.standing(accepted["id"]) == ("failed", "disconnected")


async def test_a_slow_build_leaves_nothing_after_its_time(
    begun: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The draft was ready when the time was over: nothing leaves, and the draft goes."""
    real = FakeMail.create_draft

    async def slow(self: FakeMail, access: Access, content: DraftContent) -> Draft:
        draft = await real(self, access, content)
        begun.clock.forward(seconds=100)
        return draft

    monkeypatch.setattr(FakeMail, "create_draft", slow)
    accepted = await taken(begun, send_within=60)
    await begun.pump()
    await begun.later(minutes=20)
    assert await begun.standing(accepted["id"]) == ("failed", "waited_too_long")
    assert (len(begun.mail.sent), begun.mail.drafts) == (1, {})


async def test_many_waiting_sends_ask_once_a_day(begun: App) -> None:
    """Two hundred sends that wait for a sign-in ask Entra as often as one: once a day for all of them."""
    await make_it_wait(begun, "sign_in")
    asked = begun.sign_in.calls.count("refresh")
    for number in range(200):
        await taken(begun, f"w-{number}")
    await begun.later(hours=50)
    # Two probes of sends, and as many of sweep and renewal.
    assert begun.sign_in.calls.count("refresh") - asked <= 8
    begun.sign_in.dead = False
    await begun.connect()
    await begun.later(minutes=30)
    assert len(begun.mail.sent) == 202
