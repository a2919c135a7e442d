"""When the others are down: nothing is lost, nothing is told twice, and the status is true."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.domain.errors import (
    CrmUnavailable,
    GrantDead,
    InvalidRequest,
    OutcomeUnknown,
    ProviderUnavailable,
    StoreUnavailable,
    Throttled,
    UpstreamSurprise,
)
from shared.domain.model import Mailbox, MailboxRef
from shared.storage.testing import Call
from shared.storage.testing.calls import no_hook
from tests.functions.answers import problem
from tests.functions.app import BEA_ADDRESS, App, send_body
from tests.functions.fakes import FakeAnswer


async def mailbox_now(app: App) -> Mailbox:
    """The only mailbox of the tenant, as its rows say."""
    (mailbox_id,) = await app.services.tenants.mailboxes(app.tenant.tenant_id)
    stored = await app.services.ledger.mailbox(MailboxRef(app.tenant.tenant_id, mailbox_id))
    assert stored
    return stored.value


def reply(app: App) -> str:
    """Bea answers the newest send."""
    return app.mail.receive(BEA_ADDRESS, in_reply_to=app.mail.last_sent.internet_message_id)


# ---- the CRM

DOWN: dict[str, FakeAnswer | Exception] = {
    "no answer": CrmUnavailable(),
    "an address that may not be called": InvalidRequest("private address"),
    "500": FakeAnswer(500),
    "503": FakeAnswer(503),
    "a redirect": FakeAnswer(302),
    "not there": FakeAnswer(404),
    "refused once": FakeAnswer(422),
}


@pytest.mark.parametrize("down", DOWN.values(), ids=DOWN)
async def test_an_event_waits_for_a_crm_that_is_down(begun: App, down: FakeAnswer | Exception) -> None:
    """An event whose delivery failed arrives later, once, under the same webhook-id (C-7, C-8)."""
    begun.crm.answers.append(down)
    number = reply(begun)
    await begun.arrives(number)
    assert begun.crm.types()[-1] == "message.sent"
    await begun.later(minutes=8)
    assert begun.crm.types().count("message.received") == 1
    assert begun.crm.tried[-2] == begun.crm.tried[-1] == begun.crm.ids[-1]
    assert begun.mail.calls.count("fetch") == 1
    await begun.later(minutes=30)
    assert len(begun.crm.tried) == 4


async def test_the_schedule_of_the_tries(begun: App) -> None:
    """A failing event is tried by the schedule: four times in the first hour, then hours apart (C-8)."""
    begun.crm.answers.extend(FakeAnswer(500) for _ in range(20))
    await begun.arrives(reply(begun))
    tries = []
    for hours in (1, 2, 7, 14):
        await begun.later(hours=hours)
        tries.append(len(begun.crm.tried) - 2)
    assert tries == [4, 5, 6, 7]


async def test_an_endpoint_that_asks_for_time_gets_it(begun: App) -> None:
    """An endpoint's Retry-After is kept before its event is tried again."""
    begun.crm.answers.append(FakeAnswer(503, 1800))
    await begun.arrives(reply(begun))
    await begun.later(minutes=29)
    assert len(begun.crm.tried) == 3
    await begun.later(minutes=8)
    assert begun.crm.types()[-1] == "message.received"


async def test_a_refused_event_does_not_stop_the_others(begun: App) -> None:
    """An event refused three times alike is not tried again, later events are delivered, and the feed has both."""
    begun.crm.answers.extend(FakeAnswer(422) for _ in range(3))
    await begun.arrives(reply(begun))
    await begun.later(hours=3)
    await begun.arrives(reply(begun))
    assert begun.crm.types().count("message.received") == 1
    assert len(begun.crm.tried) == 6
    listed = (await begun.v1("GET", "events")).json()["events"]
    assert [event["type"] for event in listed].count("message.received") == 2


async def test_a_crm_that_is_down_does_not_keep_mail_from_leaving(ready: App) -> None:
    """While the CRM is down sends leave, and what became of them is told later."""
    ready.crm.answers.extend(CrmUnavailable() for _ in range(2))
    await ready.sent()
    assert (len(ready.mail.sent), ready.crm.types()) == (1, ["connection.connected"])
    await ready.later(minutes=45)
    assert ready.crm.types() == ["connection.connected", "message.sent"]


# ---- the storage


async def test_mail_that_came_while_the_storage_was_down(begun: App) -> None:
    """A mail notified while storage was down is answered with 5xx, and found by a sweep when storage is back."""
    number = reply(begun)
    begun.store_down(StoreUnavailable())
    assert (await begun.notify(number)).status == 500
    await begun.tick()
    begun.store_up()
    await begun.later(minutes=20)
    assert begun.crm.types().count("message.received") == 1


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    "error", [StoreUnavailable(), OutcomeUnknown()], ids=lambda error: type(error).__name__
)
@pytest.mark.parametrize("nth", [1, 2, 3])
async def test_a_worker_whose_store_fails_is_tried_again_whole(
    begun: App, nth: int, error: Exception, when: str
) -> None:
    """Whichever write of an import fails or loses its answer, one event comes of it under one webhook-id."""
    await begun.notify(reply(begun))
    failing = NthWrite(nth, error)
    setattr(begun.tables, when, failing)
    try:
        await begun.pump()
    except type(error):
        assert failing.done
    setattr(begun.tables, when, no_hook)
    begun.clock.forward(seconds=31)
    await begun.pump()
    await begun.later(minutes=21)
    told = {
        name
        for name, event_type in zip(begun.crm.ids, begun.crm.types(), strict=True)
        if event_type == "message.received"
    }
    assert len(told) == 1
    assert len((await begun.v1("GET", "events")).json()["events"]) == 3


class NthWrite:
    """A hook under which the nth write of the tables is not done, or its answer is lost."""

    def __init__(self, nth: int, error: Exception) -> None:
        self.left, self.error, self.done = nth, error, False

    def __call__(self, call: Call) -> None:
        self.left -= call.writes
        if self.left == 0 and not self.done:
            self.done = True
            raise self.error


async def test_the_crm_hears_503_while_the_storage_is_down(ready: App) -> None:
    """While storage is down a send is answered with 503 and Retry-After.

    Repeated later it is accepted, and one mail leaves.
    """
    ready.store_down(StoreUnavailable(retry_after_seconds=7))
    answer = await ready.v1("POST", "messages", json=send_body())
    problem(answer, 503, "unavailable")
    assert answer.headers["retry-after"] == "7"
    ready.store_up()
    await ready.sent()
    assert ready.mail.calls.count("send") == 1


# ---- the grant


async def die(app: App) -> None:
    """The user changed the password; the cached access token is over as well."""
    app.clock.forward(hours=2)
    app.sign_in.dead = True


async def test_a_dead_grant_makes_work_wait(begun: App) -> None:
    """While the consent is dead sends and mail wait.

    The status asks for a new consent, and the CRM is told once (R9).
    """
    await die(begun)
    message_id = (await begun.v1("POST", "messages", json=send_body("m-2"))).json()["id"]
    await begun.notify(reply(begun))
    await begun.pump()
    await begun.later(hours=5)
    assert begun.crm.types()[2:] == ["connection.reconnect_required", "message.waiting"]
    assert begun.crm.last["waiting_for"] == "sign_in"
    assert (await begun.v1("GET", "users/u_ann/connection")).json()["status"] == "reconnect_required"
    assert (await begun.v1("GET", f"messages/{message_id}")).json()["status"] == "waiting"
    assert len(begun.mail.sent) == 1


async def test_sends_are_still_accepted_while_the_grant_is_dead(begun: App) -> None:
    """While the consent is dead sends are still accepted."""
    await die(begun)
    await begun.notify(reply(begun))
    await begun.pump()
    assert (await begun.v1("POST", "messages", json=send_body("m-2"))).status == 202


async def test_a_repaired_grant_lets_all_of_it_go_on(begun: App) -> None:
    """After a repair the waiting send leaves and the mail that came meanwhile is brought in, each once (R9)."""
    await die(begun)
    await begun.v1("POST", "messages", json=send_body("m-2"))
    await begun.notify(reply(begun))
    await begun.pump()
    await begun.later(hours=3)
    reply(begun)
    begun.sign_in.dead = False
    await begun.connect()
    await begun.later(minutes=10)
    assert (await begun.v1("GET", "users/u_ann/connection")).json()["status"] == "connected"
    assert sorted(begun.crm.types()[2:]) == [
        "connection.connected",
        "connection.reconnect_required",
        "message.received",
        "message.received",
        "message.sent",
        "message.waiting",
    ]
    assert len(begun.mail.sent) == 2


async def test_tries_against_a_dead_grant_are_not_many(begun: App) -> None:
    """A day with a dead consent costs fewer than 60 token refreshes."""
    await die(begun)
    await begun.v1("POST", "messages", json=send_body("m-2"))
    await begun.notify(reply(begun))
    await begun.later(hours=24)
    assert begun.sign_in.calls.count("refresh") < 60


# ---- Graph


@pytest.mark.parametrize("step", ["outline", "fetch", "file_content"])
async def test_a_throttled_mailbox_is_left_alone_until_the_end_of_the_pause(begun: App, step: str) -> None:
    """A pause is kept in the mailbox row: no worker calls Graph before its end, then the mail is brought in once."""
    begun.mail.next[step] = [Throttled(1200)]
    ours = begun.mail.last_sent.internet_message_id
    number = begun.mail.receive(BEA_ADDRESS, in_reply_to=ours, files=[("a.txt", b"x")])
    until = begun.clock.now() + timedelta(seconds=1200)
    await begun.arrives(number)
    assert (await mailbox_now(begun)).paused_until == until
    before = len(begun.mail.calls)
    await begun.v1("POST", "messages", json=send_body("m-2"))
    await begun.notify(reply(begun))
    await begun.later(minutes=19)
    assert begun.mail.calls[before:] == []
    await begun.later(minutes=10)
    assert begun.crm.types().count("message.received") == 2
    assert len(begun.mail.sent) == 2


@pytest.mark.parametrize(
    "error", [ProviderUnavailable(), UpstreamSurprise()], ids=lambda error: type(error).__name__
)
@pytest.mark.parametrize("step", ["outline", "fetch", "sweep"])
async def test_graph_down_for_a_while(begun: App, step: str, error: Exception) -> None:
    """A mail that Graph cannot show for a while is looked at again until it works, and told once."""
    begun.mail.next[step] = [error for _ in range(4)]
    await begun.arrives(reply(begun))
    await begun.later(minutes=45)
    assert begun.crm.types().count("message.received") == 1


async def test_a_grant_that_dies_in_the_middle_of_an_import(begun: App) -> None:
    """When Graph refuses the token during an import the CRM is told, and the mail is brought in when it works again."""
    begun.mail.next["fetch"] = [GrantDead()]
    await begun.arrives(reply(begun))
    assert begun.crm.types()[-2:] == ["message.sent", "connection.reconnect_required"]
    await begun.later(minutes=80)
    assert begun.crm.types().count("message.received") == 1
