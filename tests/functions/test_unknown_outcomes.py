"""Nobody knows whether a send left: it is asked for, never sent twice, and the CRM is told the truth (E-10 to E-14)."""

from __future__ import annotations

import pytest

from shared.domain.errors import Ambiguous, ItemGone, ProviderUnavailable
from shared.state import keys
from tests.functions.app import App

UNKNOWN = [Ambiguous(), ProviderUnavailable(), ItemGone()]


@pytest.mark.parametrize("error", UNKNOWN, ids=lambda error: type(error).__name__)
async def test_an_unknown_outcome_that_was_a_yes(ready: App, error: Exception) -> None:
    """A send whose answer was lost but that left is found by asking, told once and never sent again."""
    ready.mail.next["send"] = [error]
    message_id = await ready.accepted()
    await ready.pump()
    ready.mail.send_drafts()
    await ready.later(minutes=10)
    assert await ready.standing(message_id) == ("sent", None)
    assert ready.mail.calls.count("send") == 1
    assert ready.crm.types() == ["connection.connected", "message.sent"]


@pytest.mark.parametrize("error", UNKNOWN[:2], ids=lambda error: type(error).__name__)
async def test_an_unknown_outcome_that_was_a_no(ready: App, error: Exception) -> None:
    """A send whose answer was lost and that still lies in Drafts is sent from that draft after five minutes.

    No second draft is made.
    """
    ready.mail.next["send"] = [error]
    message_id = await ready.accepted()
    await ready.pump()
    await ready.later(minutes=4)
    assert ready.mail.calls.count("send") == 1
    await ready.later(minutes=6)
    assert await ready.standing(message_id) == ("sent", None)
    assert (ready.mail.calls.count("create_draft"), list(ready.mail.sent)) == (1, ["draft-1"])


async def vanished(app: App) -> str:
    """A send without an answer and without a trace."""
    app.mail.next["send"] = [Ambiguous()]
    message_id = await app.accepted()
    await app.pump()
    app.mail.lost = dict(app.mail.drafts)
    app.mail.drafts.clear()
    return message_id


async def test_an_outcome_that_stays_unknown_is_told_after_an_hour(ready: App) -> None:
    """A send that cannot be found for an hour is told as unconfirmed once.

    It is looked for further and never sent again (E-7).
    """
    message_id = await vanished(ready)
    await ready.later(minutes=58)
    assert ready.crm.types() == ["connection.connected"]
    await ready.later(minutes=8)
    assert ready.crm.types() == ["connection.connected", "message.unconfirmed"]
    assert await ready.standing(message_id) == ("needs_attention", "outcome_unknown")
    looked = ready.mail.calls.count("locate")
    await ready.later(hours=3)
    assert ready.mail.calls.count("locate") > looked
    assert ready.mail.calls.count("send") == 1
    assert ready.crm.types() == ["connection.connected", "message.unconfirmed"]


async def test_a_mail_that_turns_up_late_is_told_as_sent(ready: App) -> None:
    """A send that was told as unconfirmed and turns up later is told as sent, under the same id."""
    message_id = await vanished(ready)
    await ready.later(minutes=70)
    ready.mail.sent |= ready.mail.lost
    await ready.later(minutes=16)
    assert ready.crm.types()[1:] == ["message.unconfirmed", "message.sent"]
    assert {event["data"]["id"] for event in ready.crm.told[1:]} == {message_id}
    assert await ready.standing(message_id) == ("sent", None)


async def test_a_draft_is_not_sent_when_an_hour_has_passed(ready: App) -> None:
    """A draft whose outcome could not be asked for an hour is told as unconfirmed, not sent any more, then failed."""
    ready.mail.next["send"] = [Ambiguous()]
    await ready.accepted()
    await ready.pump()
    ready.mail.next["locate"] = [ProviderUnavailable() for _ in range(500)]
    await ready.later(minutes=62)
    ready.mail.next["locate"] = []
    await ready.later(minutes=20)
    assert ready.mail.calls.count("send") == 1
    assert ready.crm.types() == ["connection.connected", "message.unconfirmed", "message.failed"]


async def test_a_draft_that_the_user_deleted_is_not_sent(ready: App) -> None:
    """A draft that its user deleted ends the send as cancelled in the mailbox."""
    ready.mail.next["send"] = [Ambiguous()]
    message_id = await ready.accepted()
    await ready.pump()
    ready.mail.delete_drafts()
    await ready.later(minutes=10)
    assert await ready.standing(message_id) == ("failed", "cancelled_in_mailbox")
    assert (ready.crm.types()[-1], ready.crm.last["reason"]["code"]) == (
        "message.failed",
        "cancelled_in_mailbox",
    )
    assert ready.mail.calls.count("send") == 1


async def test_a_job_message_delivered_twice_sends_once(ready: App) -> None:
    """A job message that is delivered several times sends one mail."""
    await ready.accepted()
    (text,) = await ready.queues.peek(keys.OUTBOX)
    for _ in range(3):
        await ready.queues.put(keys.OUTBOX, text)
    await ready.pump()
    await ready.later(minutes=3)
    assert (ready.mail.calls.count("create_draft"), ready.mail.calls.count("send")) == (1, 1)
    assert ready.crm.types() == ["connection.connected", "message.sent"]
