"""A mailbox that passes from one user to another: each sees and steers only what is the own (R1, X-5)."""

from __future__ import annotations

from tests.functions.answers import problem
from tests.functions.app import App
from tests.functions.test_disconnect import disconnected


async def passed_on(app: App) -> tuple[str, str]:
    """Ann stops a thread and disconnects, Bob connects the same mailbox and sends; the thread, and Bob's session."""
    thread_id = str(app.crm.last["thread_id"])
    await app.call("POST", f"/session/threads/{thread_id}/stop", key=await app.page_session())
    await disconnected(app)
    await app.later(minutes=5)
    await app.connect("u_bob", "ann")
    app.clock.forward(hours=5)
    await app.sent("m-2", user_id="u_bob")
    return thread_id, await app.page_session("u_bob")


async def test_who_had_the_mailbox_before_is_not_shown_what_syncs_now(begun: App) -> None:
    """`last_synced_at` is of the user's own connection, or nothing."""
    await passed_on(begun)
    anns = (await begun.v1("GET", "users/u_ann/connection")).json()
    assert (anns["status"], anns["last_synced_at"]) == ("disconnected", None)
    assert (await begun.v1("GET", "users/u_bob/connection")).json()["last_synced_at"] is not None


async def test_who_has_the_mailbox_now_neither_sees_nor_steers_threads_of_before(begun: App) -> None:
    """A thread that the former user stopped is not in the list, and answers as none does."""
    thread_id, bobs = await passed_on(begun)
    listed = (await begun.call("GET", "/session/threads", key=bobs)).json()["items"]
    assert [item["status"] for item in listed] == ["syncing"]
    assert thread_id not in {item["id"] for item in listed}
    for verb in ("stop", "resume"):
        answer = await begun.call("POST", f"/session/threads/{thread_id}/{verb}", key=bobs)
        problem(answer, 404, "not-found")
    assert "thread.resumed" not in begun.crm.types()


async def test_the_api_names_the_user_whose_thread_it_is(begun: App) -> None:
    """Whoever has the mailbox now."""
    thread_id, _ = await passed_on(begun)
    assert (await begun.v1("GET", f"threads/{thread_id}")).json()["user_id"] == "u_ann"
    assert (await begun.v1("GET", f"threads/{begun.crm.last['thread_id']}")).json()["user_id"] == "u_bob"


async def test_a_stopped_thread_stays_the_users_own_over_a_new_connection(begun: App) -> None:
    """Disconnected and connected again by the same user: the thread is still listed, and can be resumed."""
    thread_id, session = str(begun.crm.last["thread_id"]), await begun.page_session()
    await begun.call("POST", f"/session/threads/{thread_id}/stop", key=session)
    await disconnected(begun)
    await begun.later(minutes=5)
    await begun.connect()
    session = await begun.page_session()
    listed = (await begun.call("GET", "/session/threads", key=session)).json()["items"]
    assert [item["id"] for item in listed] == [thread_id]
    assert (await begun.call("POST", f"/session/threads/{thread_id}/resume", key=session)).status == 200
