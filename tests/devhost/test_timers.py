"""Timers under a clock that stands still, and their status in memory."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import azure.functions as func

from sandbox.clock import VirtualClock
from sandbox.devhost.inprocess import Host, MemoryTimers, build_host
from sandbox.devhost.monitor import NEVER, Status
from tests.devhost.apps import anonymous_app

NINE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def hosted(
    ran: list[func.TimerRequest],
    clock: VirtualClock,
    store: MemoryTimers,
    schedule: str = "0 */15 * * * *",
    **more: Any,
) -> Host:
    app = anonymous_app()

    @app.timer_trigger(arg_name="timer", schedule=schedule, **more)
    async def tick(timer: func.TimerRequest) -> None:
        ran.append(timer)

    return build_host(app, timers=store, clock=clock, environ={})


async def test_it_fires_when_due() -> None:
    """The first look notes when a timer fires next, and a due timer runs once with its status."""
    ran: list[func.TimerRequest] = []
    clock, store = VirtualClock(NINE), MemoryTimers()
    host = hosted(ran, clock, store)
    assert await host.run_due_timers() == []
    clock.advance(899)
    assert await host.run_due_timers() == []
    clock.advance(1)
    assert await host.run_due_timers() == ["tick"]
    assert isinstance(ran[0], func.TimerRequest)
    assert ran[0].past_due is False
    assert ran[0].schedule == {"AdjustForDST": True}
    assert ran[0].schedule_status == {
        "Last": "0001-01-01T00:00:00",
        "Next": "2026-03-02T09:15:00+00:00",
        "LastUpdated": "0001-01-01T00:00:00",
    }
    assert host.next_timer_at() == NINE + timedelta(minutes=30)
    assert store.statuses["tick"].last == NINE + timedelta(minutes=15)


async def test_a_jump_forward_fires_once() -> None:
    """After a jump of three days a timer fires once, and its next firing is in the future."""
    ran: list[func.TimerRequest] = []
    clock = VirtualClock(NINE)
    host = hosted(ran, clock, MemoryTimers())
    await host.run_due_timers()
    clock.advance(3 * 86_400 + 1)
    assert await host.run_due_timers() == ["tick"]
    assert await host.run_due_timers() == []
    assert host.next_timer_at() == NINE + timedelta(days=3, minutes=15)


async def test_past_due_at_start() -> None:
    """A firing that was missed while no host ran is made up for once, as past due."""
    ran: list[func.TimerRequest] = []
    missed = NINE - timedelta(minutes=15)
    store = MemoryTimers({"tick": Status(NEVER, missed, missed - timedelta(minutes=1))})
    await hosted(ran, VirtualClock(NINE + timedelta(seconds=1)), store).run_due_timers()
    assert [timer.past_due for timer in ran] == [True]
    assert store.statuses["tick"].next == NINE + timedelta(minutes=15)


async def test_a_changed_schedule_is_not_past_due() -> None:
    """A timer whose schedule has changed does not make up for a firing of the old one."""
    ran: list[func.TimerRequest] = []
    before = NINE - timedelta(hours=5)
    store = MemoryTimers({"tick": Status(before, before + timedelta(hours=1), before)})
    host = hosted(ran, VirtualClock(NINE), store)
    await host.run_due_timers()
    assert ran == []
    assert host.next_timer_at() == NINE + timedelta(minutes=15)


async def test_a_status_from_the_future_is_forgotten() -> None:
    """A timer's status from the future, left by a clock that was put back, is forgotten."""
    ran: list[func.TimerRequest] = []
    later = NINE + timedelta(days=30)
    store = MemoryTimers({"tick": Status(later, later, later)})
    host = hosted(ran, VirtualClock(NINE), store)
    await host.run_due_timers()
    assert host.next_timer_at() == NINE + timedelta(minutes=15)


async def test_run_on_startup() -> None:
    """A timer with `run_on_startup` runs at the start, not as past due."""
    ran: list[func.TimerRequest] = []
    await hosted(ran, VirtualClock(NINE), MemoryTimers(), run_on_startup=True).run_due_timers()
    assert [timer.past_due for timer in ran] == [False]


async def test_without_a_monitor() -> None:
    """A timer with `use_monitor=False`, or that fires more than once a minute, keeps no status."""
    for schedule, more in (
        ("0 */15 * * * *", {"use_monitor": False}),
        ("*/10 * * * * *", {"use_monitor": True}),
    ):
        ran: list[func.TimerRequest] = []
        clock, store = VirtualClock(NINE), MemoryTimers()
        host = hosted(ran, clock, store, schedule, **more)
        await host.run_due_timers()
        clock.advance(900)
        assert await host.run_due_timers() == ["tick"]
        assert ran[0].schedule_status == {}
        assert store.statuses == {}


async def test_a_failing_timer_goes_on() -> None:
    """A timer whose run fails keeps to its schedule."""
    app = anonymous_app()

    @app.timer_trigger(arg_name="timer", schedule="%WHEN%")
    def tick(timer: func.TimerRequest) -> None:
        raise ValueError

    clock = VirtualClock(NINE)
    host = build_host(app, clock=clock, environ={"WHEN": "0 */15 * * * *"})
    await host.run_due_timers()
    clock.advance(900)
    assert await host.run_due_timers() == ["tick"]
    assert host.next_timer_at() == NINE + timedelta(minutes=30)
    assert await host.run_timer("tick") is False
