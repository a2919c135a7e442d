"""A mailbox is connected anew after its fence was closed: no work of the former connection goes on (O-11)."""

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
    """Close the fence as a disconnect does: times of maintenance still stand in rows."""
    stored = await app.services.ledger.mailbox(mailbox(app))
    assert stored
    closed_now = replace(stored.value, state=FenceState.CLOSED, paused_until=app.clock.now() + paused)
    await app.services.ledger.commit(mailbox(app), stored, closed_now)


async def due(app: App) -> list[str]:
    """The maintenance that is planned, with its times."""
    tasks = await app.services.ledger.tasks(mailbox(app), app.clock.now() + timedelta(days=400), 1000)
    return sorted(
        f"{task.value.kind} {task.value.due_at}" for task in tasks if task.value.kind in MAILBOX_WORK
    )


@pytest.mark.parametrize("gone", [None, TaskKind.SWEEP, TaskKind.RENEW])
async def test_maintenance_of_the_former_connection_is_forgotten(begun: App, gone: TaskKind | None) -> None:
    """Connecting anew forgets planned maintenance, even where a task row is gone; the first send plans it afresh."""
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
    """A pause that Graph asked for is kept when the mailbox is connected anew."""
    await closed(begun, timedelta(minutes=20))
    until = (await mailbox_now(begun)).paused_until
    await begun.connect()
    assert (await mailbox_now(begun)).paused_until == until


@pytest.mark.parametrize("kind", MAILBOX_WORK)
async def test_a_maintenance_task_that_nothing_names_is_erased(begun: App, kind: TaskKind) -> None:
    """A maintenance task that the mailbox row does not name is erased, and those it names stay."""
    before = await due(begun)
    orphan = Task(begun.clock.now(), kind, "")
    await begun.services.ledger.write(mailbox(begun), new(orphan))
    await begun.later(minutes=1)
    await begun.tick("renew_subscriptions")
    await begun.pump()
    assert await due(begun) == before


async def test_maintenance_of_a_closed_mailbox_is_erased(begun: App) -> None:
    """Maintenance tasks of a closed mailbox fall due once and are erased."""
    await closed(begun)
    begun.clock.forward(days=8)
    for name in ("enqueue_due_work", "renew_subscriptions"):
        await begun.tick(name)
    await begun.pump()
    assert await due(begun) == []
