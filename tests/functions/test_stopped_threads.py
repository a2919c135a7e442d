"""One thread is stopped and resumed (R12): by the CRM, by the person, while others write and whatever dies."""

from __future__ import annotations

import pytest

from shared.domain.errors import Ambiguous, Throttled
from shared.storage.testing import Call
from shared.storage.testing.calls import no_hook
from tests.functions.answers import Answer
from tests.functions.app import BEA_ADDRESS, App, send_body
from tests.functions.deaths import death_at


async def steered(app: App, thread_id: str, verb: str = "stop") -> Answer:
    """As the CRM's server does it."""
    return await app.v1("POST", f"threads/{thread_id}/{verb}")


async def shown(app: App, thread_id: str) -> Answer:
    return await app.v1("GET", f"threads/{thread_id}")


def thread_of(app: App) -> str:
    """The thread of the first event that tells of one."""
    return next(str(told["data"]["thread_id"]) for told in app.crm.told if "thread_id" in told["data"])


async def test_a_stopped_thread_takes_nothing_in_either_direction(begun: App) -> None:
    """An answer is not brought in, its body is not asked for, and a send into the thread is refused with a reason."""
    thread_id = thread_of(begun)
    answer = await steered(begun, thread_id)
    assert (answer.status, answer.json()["status"]) == (200, "stopped")
    assert begun.crm.types()[-1] == "thread.stopped"
    fetched = begun.mail.calls.count("fetch")
    begun.mail.receive("bea@fabrikam.example", in_reply_to=begun.mail.last_sent.internet_message_id)
    await begun.later(hours=1)
    assert "message.received" not in begun.crm.types()
    assert begun.mail.calls.count("fetch") == fetched
    refused = await begun.v1("POST", "messages", json=send_body("m-2", thread_id=thread_id))
    assert refused.status == 409
    assert refused.json()["type"].endswith("/thread-stopped")


async def test_resumed_it_takes_what_comes_from_then_on(begun: App) -> None:
    """What came while the thread was stopped stays out; what comes after it was resumed syncs, sends too."""
    thread_id = thread_of(begun)
    await steered(begun, thread_id)
    await begun.answered()
    begun.clock.forward(minutes=5)
    answer = await steered(begun, thread_id, "resume")
    assert answer.json()["status"] == "syncing"
    await begun.later(minutes=40)
    assert "message.received" not in begun.crm.types()
    await begun.answered()
    await begun.sent("m-2", thread_id=thread_id)
    assert begun.crm.types()[-3:] == ["thread.resumed", "message.received", "message.sent"]


async def test_both_may_be_said_again(begun: App) -> None:
    """Stopping a stopped thread and resuming one that syncs change nothing and are told once."""
    thread_id = thread_of(begun)
    for verb in ("resume", "stop", "stop", "resume", "resume"):
        assert (await steered(begun, thread_id, verb)).status == 200
    told = [kind for kind in begun.crm.types() if kind.startswith("thread.")]
    assert told == ["thread.stopped", "thread.resumed"]


async def test_what_the_person_stopped_only_the_person_resumes(begun: App) -> None:
    """The CRM gets a 409 for a thread that the user stopped, also when the CRM had stopped it before."""
    thread_id, session = thread_of(begun), await begun.page_session()
    await steered(begun, thread_id)
    await begun.call("POST", f"/session/threads/{thread_id}/stop", key=session)
    refused = await steered(begun, thread_id, "resume")
    assert (refused.status, refused.json()["type"].rpartition("/")[2]) == (409, "thread-stopped")
    mine = await begun.call("POST", f"/session/threads/{thread_id}/resume", key=session)
    assert mine.json()["status"] == "syncing"


async def test_the_person_may_resume_what_the_crm_stopped(begun: App) -> None:
    """The user's word counts in the own mailbox, whoever stopped the thread."""
    thread_id, session = thread_of(begun), await begun.page_session()
    await steered(begun, thread_id)
    answer = await begun.call("POST", f"/session/threads/{thread_id}/resume", key=session)
    assert answer.json()["status"] == "syncing"


async def test_a_session_reaches_only_threads_of_its_own_mailbox(begun: App) -> None:
    """A colleague's page neither lists nor stops the thread; the answer is that of a thread that is not there."""
    thread_id = thread_of(begun)
    await begun.connect("u_bob", "bob")
    session = await begun.page_session("u_bob")
    assert (await begun.call("GET", "/session/threads", key=session)).json() == {"items": [], "next": None}
    for verb in ("stop", "resume"):
        answer = await begun.call("POST", f"/session/threads/{thread_id}/{verb}", key=session)
        assert answer.status == 404
    assert (await shown(begun, thread_id)).json()["status"] == "syncing"


async def test_a_user_who_never_connected_has_no_threads(app: App) -> None:
    """The list of somebody without a mailbox is empty, and none can be stopped."""
    session = await app.page_session("u_new")
    assert (await app.call("GET", "/session/threads", key=session)).json() == {"items": [], "next": None}


@pytest.mark.parametrize("verb", ["stop", "resume"])
async def test_a_thread_that_is_not_there_is_not_found(ready: App, verb: str) -> None:
    """An unknown id, another tenant's and a wrong one get the same 404."""
    unknown = "thr_" + "a" * 26 + "_" + "b" * 26
    for thread_id in (unknown, "thr_x", "nothing"):
        assert (await steered(ready, thread_id, verb)).status == 404
        assert (await shown(ready, thread_id)).status == 404


async def test_sends_that_wait_in_it_end_with_it(begun: App) -> None:
    """A send that was accepted and has not come to `sending` ends as failed with the stop, in the same transaction."""
    thread_id = thread_of(begun)
    waiting = await begun.accepted("m-2", thread_id=thread_id)
    await steered(begun, thread_id)
    assert await begun.standing(waiting) == ("failed", "thread_stopped")
    sends = begun.mail.calls.count("send")
    await begun.later(minutes=20)
    assert begun.mail.calls.count("send") == sends
    assert begun.crm.types().count("message.failed") == 1


async def test_more_sends_than_a_transaction_holds_end_as_well(begun: App) -> None:
    """Of forty waiting sends some end with the stop and the others when they are due; none leaves."""
    thread_id = thread_of(begun)
    waiting = [await begun.accepted(f"m-{number}", thread_id=thread_id) for number in range(2, 42)]
    sends = begun.mail.calls.count("send")
    await steered(begun, thread_id)
    await begun.later(minutes=30)
    assert {await begun.standing(message_id) for message_id in waiting} == {("failed", "thread_stopped")}
    assert begun.mail.calls.count("send") == sends
    assert begun.crm.types().count("message.failed") == len(waiting)


async def test_a_thread_can_be_stopped_before_its_first_mail_has_left(ready: App) -> None:
    """Its first mail ends as failed, nothing leaves, and resumed it begins with the next send."""
    accepted = (await ready.v1("POST", "messages", json=send_body())).json()
    thread_id = accepted["thread_id"]
    assert (await shown(ready, thread_id)).json()["status"] == "opening"
    await steered(ready, thread_id)
    await ready.later(minutes=15)
    assert ready.mail.calls.count("send") == 0
    assert await ready.standing(accepted["id"]) == ("failed", "thread_stopped")
    await steered(ready, thread_id, "resume")
    await ready.sent("m-2", thread_id=thread_id)
    assert ready.crm.types()[-1] == "message.sent"


async def test_a_send_that_was_leaving_counts_as_before(ready: App) -> None:
    """A send that had come to `sending` when the thread was stopped is still confirmed and told."""
    accepted = (await ready.v1("POST", "messages", json=send_body())).json()
    await ready.pump()
    await steered(ready, accepted["thread_id"])
    ready.clock.forward(seconds=61)
    await ready.pump()
    assert await ready.standing(accepted["id"]) == ("sent", None)
    assert (await shown(ready, accepted["thread_id"])).json()["status"] == "stopped"


async def test_a_draft_that_still_lies_there_is_not_sent_again(ready: App) -> None:
    """A try whose outcome is unknown is not repeated in a stopped thread: its draft stays, and the CRM is told."""
    ready.mail.next["send"] = [Ambiguous()]
    accepted = (await ready.v1("POST", "messages", json=send_body())).json()
    await ready.pump()
    await steered(ready, accepted["thread_id"])
    await ready.later(minutes=15)
    assert await ready.standing(accepted["id"]) == ("failed", "left_in_drafts")


async def test_a_stop_survives_a_new_connection(begun: App) -> None:
    """After Disconnect and Connect of the same mailbox a send into the stopped thread is still refused (R9, R12)."""
    thread_id = thread_of(begun)
    await steered(begun, thread_id)
    await begun.v1("DELETE", "users/u_ann/connection")
    await begun.pump()
    begun.clock.forward(seconds=1)
    await begun.connect()
    refused = await begun.v1("POST", "messages", json=send_body("m-2", thread_id=thread_id))
    assert refused.status == 409
    await steered(begun, thread_id, "resume")
    assert (await shown(begun, thread_id)).json()["status"] == "inactive"
    await begun.sent("m-2", thread_id=thread_id)
    assert (await shown(begun, thread_id)).json()["status"] == "syncing"


async def test_a_thread_of_a_closed_mailbox_can_be_stopped(begun: App) -> None:
    """The stop holds from the next connection on."""
    thread_id = thread_of(begun)
    await begun.v1("DELETE", "users/u_ann/connection")
    await begun.pump()
    assert (await steered(begun, thread_id)).json()["status"] == "stopped"


async def test_an_import_under_way_loses_to_a_stop(begun: App) -> None:
    """An answer that was read before the stop is not recorded after it: the stop writes the fence."""
    thread_id = thread_of(begun)
    stopping = [True]

    async def stop_between(call: Call) -> None:
        if stopping and call.operation == "transact" and "fetch" in begun.mail.calls:
            stopping.clear()
            assert (await steered(begun, thread_id)).status == 200

    begun.tables.before = stop_between
    await begun.answered()
    begun.tables.before = no_hook
    assert not stopping
    assert "message.received" not in begun.crm.types()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", range(1, 8))
@pytest.mark.parametrize("verb", ["stop", "resume"])
async def test_it_is_whole_wherever_the_process_dies(begun: App, verb: str, step: int, when: str) -> None:
    """Dead at any write of a stop or resume: said again, it is done, told once, and its sends have ended."""
    thread_id = thread_of(begun)
    waiting = await begun.accepted("m-2", thread_id=thread_id)
    if verb == "resume":
        await steered(begun, thread_id)
    with death_at(begun, step, when):
        await steered(begun, thread_id, verb)
    assert (await steered(begun, thread_id, verb)).status == 200
    await begun.later(minutes=10)
    ids = {
        event_id
        for told, event_id in zip(begun.crm.told, begun.crm.ids, strict=True)
        if told["type"] == ("thread.stopped" if verb == "stop" else "thread.resumed")
    }
    assert len(ids) == 1
    assert await begun.standing(waiting) == ("failed", "thread_stopped")


async def test_a_thread_is_shown_with_its_messages(begun: App) -> None:
    """Subject, people and messages of both directions, oldest first, each as the message's own address shows it."""
    thread_id = thread_of(begun)
    await begun.answered()
    answer = (await shown(begun, thread_id)).json()
    assert (answer["subject"], answer["people"]) == ("Your offer", ["bea@fabrikam.example"])
    assert (answer["crm_thread_id"], answer["user_id"], answer["status"]) == ("c-7", "u_ann", "syncing")
    assert [message["direction"] for message in answer["messages"]] == ["outbound", "inbound"]
    for message in answer["messages"]:
        alone = (await begun.v1("GET", f"messages/{message['id']}")).json()
        assert message["message"]["subject"] == alone["message"]["subject"]


async def test_a_long_thread_comes_in_pages(begun: App) -> None:
    """Each message once, over pages of twenty; a cursor that is none of ours is refused."""
    thread_id = thread_of(begun)
    for number in range(2, 25):
        await begun.accepted(f"m-{number}", thread_id=thread_id)
    first = (await shown(begun, thread_id)).json()
    rest = (await begun.v1("GET", f"threads/{thread_id}", params={"after": first["next"]})).json()
    listed = [message["id"] for message in (*first["messages"], *rest["messages"])]
    assert (len(first["messages"]), len(set(listed)), rest["next"]) == (20, 24, None)
    wrong = await begun.v1("GET", f"threads/{thread_id}", params={"after": "task:"})
    assert wrong.status == 422


async def test_the_page_lists_the_mailboxs_threads_newest_first(ready: App) -> None:
    """Threads by subject and people, in pages; one whose connection has ended is left out."""
    for number in range(25):
        await ready.sent(f"m-{number}", subject=f"Offer {number}")
        ready.clock.forward(minutes=1)
    session = await ready.page_session()
    first = (await ready.call("GET", "/session/threads", key=session)).json()
    second = (
        await ready.call("GET", "/session/threads", key=session, params={"after": first["next"]})
    ).json()
    subjects = [thread["subject"] for thread in (*first["items"], *second["items"])]
    assert subjects == [f"Offer {number}" for number in reversed(range(25))]
    assert second["next"] is None


async def test_what_waited_when_it_was_stopped_never_leaves(begun: App) -> None:
    """Forty sends waited for a pause: stopped and resumed at once, all of them have ended."""
    thread_id = thread_of(begun)
    begun.mail.next["create_reply"] = [Throttled(1800)]
    waiting = [await begun.accepted(f"m-{number}", thread_id=thread_id) for number in range(2, 42)]
    await begun.pump()
    await steered(begun, thread_id)
    begun.clock.forward(seconds=2)
    await steered(begun, thread_id, "resume")
    await begun.later(hours=2)
    assert {await begun.standing(message_id) for message_id in waiting} == {("failed", "thread_stopped")}
    assert len(begun.mail.sent) == 1


async def test_a_send_that_waits_in_a_stopped_thread_ends_though_the_stop_died(begun: App) -> None:
    """The process died between the stop and the ends of its many sends: they end when they are looked at."""
    thread_id = thread_of(begun)
    begun.clock.forward(hours=2)
    begun.sign_in.dead = True
    waiting = [await begun.accepted(f"m-{number}", thread_id=thread_id) for number in range(2, 42)]
    await begun.pump()
    with death_at(begun, 2, "after"):
        await steered(begun, thread_id)
    await begun.later(minutes=15)
    assert {await begun.standing(message_id) for message_id in waiting} == {("failed", "thread_stopped")}


@pytest.mark.parametrize(("user_id", "mailbox"), [("u_bob", "bob"), ("u_ann", "eve")], ids=["R11", "R6"])
async def test_no_other_mailbox_sends_into_a_stopped_thread(begun: App, user_id: str, mailbox: str) -> None:
    """Neither a colleague's mailbox nor the user's next one goes on in a thread that was stopped."""
    thread_id = thread_of(begun)
    await steered(begun, thread_id)
    begun.clock.forward(seconds=1)
    await begun.connect(user_id, mailbox)
    body = send_body("m-2", user_id=user_id, thread_id=thread_id)
    assert (await begun.v1("POST", "messages", json=body)).status == 409


async def test_mail_of_before_the_stop_is_not_of_between(begun: App) -> None:
    """Mail that was received before the stop, and is looked at after the resumption, syncs."""
    thread_id = thread_of(begun)
    begun.clock.forward(minutes=1)
    early = begun.mail.receive(BEA_ADDRESS, in_reply_to=begun.mail.last_sent.internet_message_id)
    begun.clock.forward(seconds=30)
    await steered(begun, thread_id)
    between = begun.mail.receive(BEA_ADDRESS, in_reply_to=begun.mail.last_sent.internet_message_id)
    begun.clock.forward(seconds=30)
    await steered(begun, thread_id, "resume")
    await begun.arrives(early, between)
    assert begun.crm.types().count("message.received") == 1


async def test_a_thread_that_never_began_stays_so(ready: App) -> None:
    """Stopped and resumed before its first mail left, which ended with the stop: there is nothing that could sync."""
    accepted = (await ready.v1("POST", "messages", json=send_body())).json()
    await steered(ready, accepted["thread_id"])
    resumed = await steered(ready, accepted["thread_id"], "resume")
    assert resumed.json()["status"] == "not_begun"


async def test_a_send_that_waits_behind_many_that_are_leaving_ends_with_the_stop(begun: App) -> None:
    """Sixteen sends whose outcome is unknown do not hide the one behind them that has not come to `sending`."""
    thread_id = thread_of(begun)
    begun.mail.next["send"] = [Ambiguous()] * 16
    for number in range(2, 18):
        await begun.accepted(f"m-{number}", thread_id=thread_id)
    await begun.pump()
    begun.clock.forward(minutes=1)
    begun.mail.next["create_reply"] = [Throttled(3600)]
    waiting = await begun.accepted("m-99", thread_id=thread_id)
    await begun.pump()
    await steered(begun, thread_id)
    assert await begun.standing(waiting) == ("failed", "thread_stopped")
