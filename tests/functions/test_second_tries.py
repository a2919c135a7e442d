"""A try of unknown outcome, and another behind it: the first may have let the mail leave, whatever the second hears."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.domain import ids
from shared.domain.errors import Ambiguous, GrantDead, MessageRefused, ProviderUnavailable, Throttled
from tests.functions.app import App
from tests.functions.test_send_deaths import Died, die, told_of


async def tried_twice(app: App, second: Exception, **changes: Any) -> str:
    """The first try had no answer and its draft was still there when it was looked for; the second hears this."""
    app.mail.next["send"] = [Ambiguous(), second]
    message_id = await app.accepted(**changes)
    await app.pump()
    await app.later(minutes=6)
    assert app.mail.calls.count("send") == 2
    return message_id


ANSWERS = [MessageRefused("invalid_recipient"), MessageRefused("send_denied"), Throttled(900), Ambiguous()]


@pytest.mark.parametrize("second", ANSWERS, ids=repr)
async def test_the_first_try_left_after_all(ready: App, second: Exception) -> None:
    """The mail of the first try leaves late: the send is `sent`, and nothing else is ever told of it."""
    message_id = await tried_twice(ready, second)
    ready.mail.send_drafts()
    assert await ready.standing(message_id) == ("sending", None)
    await ready.later(minutes=25)
    assert await ready.standing(message_id) == ("sent", None)
    assert told_of(ready, message_id) == ["message.sent"]


async def test_a_refusal_counts_when_nothing_left_in_an_hour(ready: App) -> None:
    """While the draft lies in Drafts for an hour behind a refusal, the send ends with that refusal, told once."""
    message_id = await tried_twice(ready, MessageRefused("invalid_recipient"))
    await ready.later(minutes=40)
    assert await ready.standing(message_id) == ("sending", None)
    await ready.later(minutes=60)
    assert await ready.standing(message_id) == ("failed", "invalid_recipient")
    assert ready.mail.calls.count("send") == 2
    assert told_of(ready, message_id)[-1] == "message.failed"


async def test_a_refused_send_that_vanished_is_unconfirmed(ready: App) -> None:
    """The draft is gone and no copy is found behind a refusal: nobody knows, and a copy that turns up is told."""
    message_id = await tried_twice(ready, MessageRefused("invalid_recipient"))
    lost = dict(ready.mail.drafts)
    ready.mail.drafts.clear()
    await ready.later(minutes=65)
    assert await ready.standing(message_id) == ("needs_attention", "outcome_unknown")
    ready.mail.sent |= lost
    await ready.later(minutes=20)
    assert told_of(ready, message_id) == ["message.unconfirmed", "message.sent"]


async def test_a_pause_at_the_second_try_does_not_end_it_as_waited_too_long(ready: App) -> None:
    """Its time ends during a pause: nothing is told as failed while the first try may have left."""
    message_id = await tried_twice(ready, Throttled(3_000), send_within=1_800)
    ready.mail.send_drafts()
    await ready.later(minutes=45)
    assert await ready.standing(message_id) == ("sending", None)
    await ready.later(minutes=30)
    assert told_of(ready, message_id) == ["message.sent"]


async def test_a_first_refusal_ends_it_at_once(ready: App) -> None:
    """Without an earlier try of unknown outcome a refusal is final, also behind a pause."""
    ready.mail.next["send"] = [Throttled(60), MessageRefused("invalid_recipient")]
    message_id = await ready.accepted()
    await ready.later(minutes=10)
    assert await ready.standing(message_id) == ("failed", "invalid_recipient")


# ---- the copy is the truth, whatever was told before

ENDS = {
    "refused": ("send", MessageRefused("invalid_recipient"), {}),
    "never built": ("create_draft", MessageRefused("mailbox_full"), {}),
    "given up": ("create_draft", KeyError("odd"), {}),
    "waited too long": ("send", GrantDead(), {"send_within": 600}),
}


@pytest.mark.parametrize(("step", "error", "changes"), ENDS.values(), ids=ENDS)
async def test_a_copy_that_is_seen_is_told_after_any_failure(
    ready: App, step: str, error: Exception, changes: dict[str, Any]
) -> None:
    """The CRM was told that a send failed; its copy with our key is seen: it is `sent`, with the next sequence."""
    ready.mail.next[step] = [error] * 5
    message_id = await ready.accepted(**changes)
    await ready.later(minutes=75)
    assert (await ready.standing(message_id))[0] == "failed"
    ready.sign_in.dead = False
    await ready.connect()
    ready.mail.next.clear()
    other = await ready.sent("m-2")
    content = next(iter(ready.mail.sent.values()))
    ready.mail.sent["late"] = replace(content, key=ids.crm_key(ready.tenant.tenant_id, "m-1"))
    ready.mail.times["late"] = ready.clock.now()
    await ready.arrives("late")
    assert await ready.standing(message_id) == ("sent", None)
    assert told_of(ready, message_id)[-2:] == ["message.failed", "message.sent"]
    assert ready.crm.last["sequence"] == 1
    assert ready.crm.last["thread_id"] != other["thread_id"]


# ---- clocks


async def test_an_hour_without_anybody_to_ask_is_told(ready: App) -> None:
    """Consent dead, a pause or 503 for days: an hour after a try without an answer the CRM hears that nobody knows."""
    for number, trouble in enumerate((GrantDead(), Throttled(7_200.0), ProviderUnavailable()), 1):
        ready.mail.next["send"] = [Ambiguous()]
        message_id = await ready.accepted(f"m-{number}")
        await ready.pump()
        ready.mail.send_drafts()
        for step in ("locate", "sweep", "received"):
            ready.mail.next[step] = [trouble] * 2_000
        ready.sign_in.dead = isinstance(trouble, GrantDead)
        await ready.later(minutes=57)
        assert await ready.standing(message_id) == ("sending", None), trouble
        await ready.later(minutes=6)
        assert await ready.standing(message_id) == ("needs_attention", "outcome_unknown"), trouble
        assert told_of(ready, message_id) == ["message.unconfirmed"]
        ready.mail.next.clear()
        ready.sign_in.dead = False
        if isinstance(trouble, GrantDead):
            await ready.connect()
        await ready.later(minutes=75)
        assert told_of(ready, message_id) == ["message.unconfirmed", "message.sent"], trouble


@pytest.mark.parametrize("hours", [2, 70])
async def test_a_draft_that_was_never_tried_is_sent_after_our_outage(ready: App, hours: int) -> None:
    """The worker died between `sending` and the call, and nothing of ours worked for hours: the draft is then sent."""
    ready.mail.during["send"] = die
    message_id = await ready.accepted()
    with pytest.raises(Died):
        await ready.pump()
    ready.mail.during.clear()
    ready.clock.forward(hours=hours)
    await ready.later(minutes=15)
    assert await ready.standing(message_id) == ("sent", None)
    assert told_of(ready, message_id) == ["message.sent"]


async def test_a_draft_that_was_never_tried_ends_with_its_time(ready: App) -> None:
    """Past `send_within` it is not sent any more, and the CRM hears that it waited too long."""
    ready.mail.during["send"] = die
    message_id = await ready.accepted(send_within=3_600)
    with pytest.raises(Died):
        await ready.pump()
    ready.mail.during.clear()
    ready.clock.forward(hours=2)
    await ready.later(minutes=15)
    assert await ready.standing(message_id) == ("failed", "waited_too_long")
    assert (len(ready.mail.drafts), ready.mail.sent) == (1, {})
