"""A worker stands still at each of its calls of the tables in turn, while the mailbox is closed, or its thread stopped.

Where the other tests of races let the dice choose, these go through every place where somebody else may come between.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path

import pytest

from shared.domain.errors import Ambiguous
from tests.functions.app import BEA_ADDRESS, App
from tests.functions.racing import happened, interrupted
from tests.functions.test_send_ends import mailbox_of
from tests.functions.test_stopped_threads import thread_of
from tests.functions.world import open_app

Ready = Callable[[App], Awaitable[None]]
MOST_CALLS = 200


async def _an_answer(app: App) -> None:
    number = app.mail.receive(BEA_ADDRESS, in_reply_to=app.mail.last_sent.internet_message_id)
    await app.notify(number)


async def _an_answer_by_conversation(app: App) -> None:
    conversation = app.mail.sent_outline(next(iter(app.mail.sent))).conversation_id
    number = app.mail.receive(BEA_ADDRESS, tags={"conversation_id": conversation})
    await app.notify(number)


async def _a_reply(app: App) -> None:
    await app.accepted("m-2", thread_id=thread_of(app))


async def _an_unknown_outcome(app: App) -> None:
    app.mail.next["send"] = [Ambiguous()]
    await app.accepted("m-2", thread_id=thread_of(app))
    await app.pump()
    app.clock.forward(minutes=6)
    await app.tick()


async def _a_sweep(app: App) -> None:
    app.mail.receive(BEA_ADDRESS, in_reply_to=app.mail.last_sent.internet_message_id)
    app.clock.forward(minutes=16)
    await app.tick()


WORK: dict[str, Ready] = {
    "an answer": _an_answer,
    "an answer by its conversation": _an_answer_by_conversation,
    "a reply": _a_reply,
    "an unknown outcome": _an_unknown_outcome,
    "a sweep": _a_sweep,
}


async def _disconnect(app: App) -> None:
    assert (await app.v1("DELETE", "users/u_ann/connection")).status == 200


async def _update(app: App) -> None:
    await app.connect(mailbox="eve")


async def _stop(app: App) -> None:
    assert (await app.v1("POST", f"threads/{thread_of(app)}/stop")).status == 200


CHANGES: dict[str, tuple[Ready, str, str]] = {
    "disconnect": (_disconnect, "closed", "disconnected"),
    "update email": (_update, "closed", "mailbox_changed"),
    "stop": (_stop, "thread.stopped", "thread_stopped"),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("work", WORK)
async def test_nothing_passes_once_it_is_closed(work: str, change: str, tmp_path: Path) -> None:
    """Wherever it was: after the close nothing comes in, no send takes its last step, and each send ends once."""
    for at_call in count(1):
        assert at_call < MOST_CALLS
        async with open_app(tmp_path) as app:
            if not await _is_interrupted(app, at_call, work, change):
                break
    assert at_call > 5  # it did call the tables


async def _is_interrupted(app: App, at_call: int, work: str, change: str) -> bool:
    """One run, judged; False where the worker made fewer calls than that."""
    await app.connect()
    await app.sent()
    ref = mailbox_of(app)
    await WORK[work](app)
    act, closing, reason = CHANGES[change]
    with interrupted(app, at_call, lambda: act(app)) as seen:
        await app.pump()
    if not seen.reached:
        return False
    await app.later(hours=2)
    told = happened(app, seen.commits, ref)
    place = f"{change} at call {at_call}: {told}"
    assert closing in told, place
    assert not {"message.received", "sending"} & set(told[told.index(closing) :]), place
    assert app.crm.types().count("message.received") <= 1, place
    if "m-2" in str(app.crm.told):
        await _check_send(app, reason, place)
    return True


async def _check_send(app: App, reason: str, place: str) -> None:
    """The send left once and was told as sent, or ended with the reason; never both."""
    ends = {
        (event["type"], (event["data"].get("reason") or {}).get("code"))
        for event in app.crm.told
        if event["data"].get("crm_message_id") == "m-2" and event["type"] != "message.unconfirmed"
    }
    left = len(app.mail.sent) - 1
    expected = (
        {("message.sent", None)}
        if left
        else {("message.failed", reason), ("message.failed", "left_in_drafts")}
    )
    assert ends, place
    assert ends <= expected, f"{place} {ends}"
    assert left <= 1, place
