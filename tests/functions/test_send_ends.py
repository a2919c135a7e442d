"""Every send ends: what stays unknown, what was left in Drafts, and what is tidied up afterwards (E-10 to E-13)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain import ids
from shared.domain.errors import (
    Ambiguous,
    GrantDead,
    ItemGone,
    MailboxUnusable,
    MessageRefused,
    ProviderUnavailable,
    Throttled,
)
from shared.domain.model import DraftContent, FenceState, MailboxRef, Task, TaskKind
from tests.functions.app import App
from tests.functions.test_unknown_outcomes import vanished


def mailbox_of(app: App) -> MailboxRef:
    """Ann's mailbox."""
    return MailboxRef(app.tenant.tenant_id, ids.mailbox_id(app.tenant.tenant_id, "tid-1", "oid-ann"))


async def tasks(app: App) -> list[Task]:
    """The tasks of sends that will be looked at again."""
    found = await app.services.ledger.tasks(mailbox_of(app), app.clock.now() + timedelta(days=400))
    return [task.value for task in found if task.value.kind is TaskKind.SEND]


async def days(app: App, number: int) -> None:
    """Time passes hour by hour."""
    for _ in range(number * 24):
        app.clock.forward(hours=1)
        await app.tick()
        await app.pump()


# ---- unknown for good


async def test_nobody_looks_for_ever(ready: App) -> None:
    """A send whose outcome stays unknown is looked for during a week and then no more; the CRM is told once."""
    message_id = await vanished(ready)
    await days(ready, 6)
    assert await tasks(ready)
    await days(ready, 2)
    assert await tasks(ready) == []
    asked = ready.mail.calls.count("locate")
    await days(ready, 1)
    assert ready.mail.calls.count("locate") == asked
    assert await ready.standing(message_id) == ("needs_attention", "outcome_unknown")
    assert ready.crm.types() == ["connection.connected", "message.unconfirmed"]


async def test_a_copy_that_is_seen_after_that_still_counts(ready: App) -> None:
    """A sent copy that is notified after the week's search has ended still confirms its send."""
    message_id = await vanished(ready)
    await days(ready, 8)
    ready.mail.sent |= ready.mail.lost
    await ready.arrives("draft-1")
    assert await ready.standing(message_id) == ("sent", None)
    assert ready.crm.types()[1:] == ["message.unconfirmed", "message.sent"]


async def test_a_copy_is_found_by_its_message_id(ready: App) -> None:
    """A sent copy that has another id and lost our key confirms its send by its Message-ID (E-12)."""
    message_id = await vanished(ready)
    ready.mail.receive("ann@northwind.example", tags={"internet_message_id": "<draft-1@northwind.example>"})
    await ready.later(minutes=10)
    assert await ready.standing(message_id) == ("sent", None)
    assert ready.mail.calls.count("find_by_message_id") == 1
    assert ready.mail.calls.count("send") == 1


async def test_a_send_of_a_connection_that_ended_is_not_enqueued_for_ever(ready: App) -> None:
    """A send with an unknown outcome is told as unconfirmed once when its connection ends (R5)."""
    ready.mail.next["send"] = [Ambiguous()]
    message_id = await ready.accepted()
    await ready.pump()
    ledger, mailbox = ready.services.ledger, mailbox_of(ready)
    stored = await ledger.mailbox(mailbox)
    assert stored is not None
    await ledger.commit(mailbox, stored, replace(stored.value, state=FenceState.CLOSED))
    await ready.later(hours=1)
    assert await ready.standing(message_id) == ("needs_attention", "outcome_unknown")
    assert ready.crm.types() == ["connection.connected", "message.unconfirmed"]
    assert (await tasks(ready), ready.mail.calls.count("locate")) == ([], 0)


# ---- the grant dies


@pytest.mark.parametrize("dead_for_hours", [2, 100])
async def test_a_grant_that_dies_at_the_send_only_delays_it(ready: App, dead_for_hours: int) -> None:
    """When the consent dies at the moment of sending, the same draft is sent after the repair, however late."""
    ready.mail.next["send"] = [GrantDead()]
    message_id = await ready.accepted(send_within=30 * 24 * 3600)
    await ready.pump()
    ready.sign_in.dead = True
    ready.clock.forward(hours=dead_for_hours)
    await ready.tick()
    await ready.pump()
    ready.sign_in.dead = False
    await ready.connect()
    await ready.later(minutes=10)
    assert await ready.standing(message_id) == ("sent", None)
    assert (ready.mail.calls.count("create_draft"), list(ready.mail.sent)) == (1, ["draft-1"])
    assert "message.unconfirmed" not in ready.crm.types()


# ---- left in Drafts


async def left_in_drafts(app: App) -> str:
    """The send had no answer, and for more than an hour nobody could ask."""
    app.mail.next["send"] = [Ambiguous()]
    message_id = await app.accepted()
    await app.pump()
    app.mail.next["locate"] = [ProviderUnavailable() for _ in range(500)]
    await app.later(minutes=62)
    app.mail.next["locate"] = []
    await app.later(minutes=30)
    return message_id


async def test_a_draft_that_still_lies_there_means_that_it_failed(ready: App) -> None:
    """A draft that still lies in Drafts after an hour is told as failed, and stays for its user."""
    message_id = await left_in_drafts(ready)
    assert await ready.standing(message_id) == ("failed", "left_in_drafts")
    assert ready.crm.types() == ["connection.connected", "message.unconfirmed", "message.failed"]
    assert list(ready.mail.drafts) == ["draft-1"]
    assert (ready.mail.calls.count("create_draft"), ready.mail.calls.count("send")) == (1, 1)
    assert await tasks(ready) == []


async def test_its_user_may_send_it(ready: App) -> None:
    """When the user sends a draft that was left by a failed send, the CRM is told that it was sent."""
    message_id = await left_in_drafts(ready)
    ready.mail.send_drafts()
    await ready.arrives("draft-1")
    assert await ready.standing(message_id) == ("sent", None)
    assert ready.crm.types()[2:] == ["message.failed", "message.sent"]


# ---- what other builds left


async def second_build(app: App) -> str:
    """The first draft was made without an answer; the second one is sent."""
    key = ids.crm_key(app.tenant.tenant_id, "m-1")
    app.mail.drafts["draft-unanswered"] = DraftContent(key, (), (), (), "Your offer", "")
    app.mail.drafts["draft-of-the-user"] = DraftContent("", (), (), (), "Lunch", "")
    for name in ("draft-unanswered", "draft-of-the-user"):
        app.mail.times[name] = app.clock.now()
    app.mail.next["create_draft"] = [Ambiguous()]
    message_id = await app.accepted()
    await app.later(minutes=3)
    assert await app.standing(message_id) == ("sent", None)
    return message_id


async def test_drafts_of_other_builds_are_taken_away(ready: App) -> None:
    """Once a send is over, drafts of its other builds are deleted, and never a draft that is not ours (E-11)."""
    await second_build(ready)
    assert len(ready.mail.drafts) == 2
    await ready.later(minutes=12)
    assert list(ready.mail.drafts) == ["draft-of-the-user"]
    assert list(ready.mail.deleted) == ["draft-unanswered"]
    assert (len(ready.mail.sent), await tasks(ready)) == (1, [])
    assert ready.mail.calls.count("delete_draft") == 1


async def test_a_plain_send_costs_no_look(ready: App) -> None:
    """A send that needed one draft only costs no search for others."""
    await ready.accepted()
    await ready.later(minutes=30)
    assert "find_by_key" not in ready.mail.calls
    assert await tasks(ready) == []


@pytest.mark.parametrize("step", ["find_by_key", "delete_draft"])
@pytest.mark.parametrize(
    "error", [ProviderUnavailable(), Throttled(60), Ambiguous()], ids=lambda error: type(error).__name__
)
async def test_trouble_while_tidying_up_is_tried_again(ready: App, step: str, error: Exception) -> None:
    """Deleting left drafts is tried again after a failure, and the send stays `sent`."""
    message_id = await second_build(ready)
    ready.mail.next[step] = [error]
    await ready.later(minutes=20)
    assert list(ready.mail.drafts) == ["draft-of-the-user"]
    assert (await ready.standing(message_id), await tasks(ready)) == (("sent", None), [])


@pytest.mark.parametrize("error", [GrantDead(), MailboxUnusable(), ZeroDivisionError()], ids=repr)
async def test_tidying_up_is_given_up(ready: App, error: Exception) -> None:
    """Deleting left drafts is given up when it keeps failing, and the send stays `sent`."""
    message_id = await second_build(ready)
    ready.mail.next["find_by_key"] = [error] * 20
    await ready.later(hours=2)
    assert await tasks(ready) == []
    assert await ready.standing(message_id) == ("sent", None)


async def test_the_draft_of_a_refused_send_is_taken_away(ready: App) -> None:
    """The draft of a send that Graph refused is deleted, since the CRM was told that it failed."""
    ready.mail.next["send"] = [MessageRefused("invalid_recipient")]
    message_id = await ready.accepted()
    await ready.later(minutes=12)
    assert await ready.standing(message_id) == ("failed", "invalid_recipient")
    assert (ready.mail.drafts, list(ready.mail.deleted)) == ({}, ["draft-1"])
    assert await tasks(ready) == []


async def test_a_mailbox_that_takes_no_subscription_ends_the_send(ready: App) -> None:
    """A send through a mailbox that cannot be used fails when already its subscription says so."""
    ready.mail.next["subscribe"] = [MailboxUnusable()]
    message_id = await ready.accepted()
    await ready.pump()
    assert await ready.standing(message_id) == ("failed", "mailbox_unusable")


async def test_a_draft_that_is_gone_is_never_made_again(ready: App) -> None:
    """From `sending` on no second draft is made, even when the first is gone (E-10)."""
    ready.mail.next["send"] = [ItemGone()]
    await ready.accepted()
    await ready.pump()
    ready.mail.drafts.clear()
    await ready.later(hours=2)
    assert ready.mail.calls.count("create_draft") == 1


@pytest.mark.parametrize("without", ["find_by_key", "find_by_message_id"])
async def test_a_search_that_a_corrupt_mail_always_fails(ready: App, without: str) -> None:
    """A send whose search for its copy fails for ever is told as unconfirmed after an hour, and looked for no more.

    So it is where one corrupt item makes each list that would show it a 500 (microsoft-graph-docs issue 2913).
    """
    message_id = await vanished(ready)
    ready.mail.next[without] = [ProviderUnavailable() for _ in range(2_000)]
    await ready.later(minutes=50)
    assert await ready.standing(message_id) == ("sending", None)
    await ready.later(minutes=45)
    assert await ready.standing(message_id) == ("needs_attention", "outcome_unknown")
    await days(ready, 9)
    assert ready.crm.types()[1:] == ["message.unconfirmed"]
    assert (await tasks(ready), ready.mail.calls.count("send")) == ([], 1)
