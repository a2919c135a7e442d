"""A mailbox is connected anew after its gate was closed: nothing of before rings on (O-11)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.model import FenceState, Task, TaskKind
from shared.state.ledger import Erase, new
from tests.functions.app import App
from tests.functions.test_connection_truth import mailbox_now
from tests.functions.test_making_subscriptions import mailbox

MAILBOX_WORK = (TaskKind.SWEEP, TaskKind.RENEW)


async def closed(app: App, paused: timedelta = timedelta()) -> None:
    """As a disconnect leaves it: the times of care still stand in rows."""
    stored = await app.services.ledger.mailbox(mailbox(app))
    assert stored
    shut = replace(stored.value, state=FenceState.CLOSED, paused_until=app.clock.now() + paused)
    await app.services.ledger.commit(mailbox(app), stored, shut)


async def due(app: App) -> list[str]:
    """Care that is planned, with its time."""
    tasks = await app.services.ledger.tasks(mailbox(app), app.clock.now() + timedelta(days=400), 1000)
    return sorted(f"{one.value.kind} {one.value.due_at}" for one in tasks if one.value.kind in MAILBOX_WORK)


@pytest.mark.parametrize("gone", [None, TaskKind.SWEEP, TaskKind.RENEW])
async def test_the_care_of_before_is_forgotten(begun: App, gone: TaskKind | None) -> None:
    """Also where one of its rows is gone already; the new connection plans its own with its first send."""
    old = await mailbox_now(begun)
    at = old.sweep_at if gone is TaskKind.SWEEP else old.renew_at
    if gone is not None and at is not None:
        await begun.services.ledger.write(mailbox(begun), Erase(Task(at, gone, "")))
    await closed(begun)
    await begun.connect()
    assert await due(begun) == []
    await begun.sent("m-2")
    opened = await mailbox_now(begun)
    assert await due(begun) == [f"renew {opened.renew_at}", f"sweep {opened.sweep_at}"]


async def test_a_pause_outlives_the_connection(begun: App) -> None:
    """Graph asked the mailbox to pause, whoever is connected to it."""
    await closed(begun, timedelta(minutes=20))
    until = (await mailbox_now(begun)).paused_until
    await begun.connect()
    assert (await mailbox_now(begun)).paused_until == until


@pytest.mark.parametrize("kind", MAILBOX_WORK)
async def test_a_row_of_care_that_nothing_names_is_taken_away(begun: App, kind: TaskKind) -> None:
    """Instead of ringing every minute for ever; what the gate names stays."""
    before = await due(begun)
    orphan = Task(begun.clock.now(), kind, "")
    await begun.services.ledger.write(mailbox(begun), new(orphan))
    await begun.later(minutes=1)
    await begun.tick("renew_subscriptions")
    await begun.pump()
    assert await due(begun) == before


async def test_care_of_a_closed_gate_is_taken_away(begun: App) -> None:
    """It falls due once, and is gone."""
    await closed(begun)
    begun.clock.forward(days=8)
    for name in ("enqueue_due_work", "renew_subscriptions"):
        await begun.tick(name)
    await begun.pump()
    assert await due(begun) == []
