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
    """The first look writes down when it fires next; a due timer runs once and knows its past."""
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
    """Three days at once are one run, not 288, and the next is in the future."""
    ran: list[func.TimerRequest] = []
    clock = VirtualClock(NINE)
    host = hosted(ran, clock, MemoryTimers())
    await host.run_due_timers()
    clock.advance(3 * 86_400 + 1)
    assert await host.run_due_timers() == ["tick"]
    assert await host.run_due_timers() == []
    assert host.next_timer_at() == NINE + timedelta(days=3, minutes=15)


async def test_past_due_at_start() -> None:
    """A firing missed while no host ran is made up for once, marked as past due."""
    ran: list[func.TimerRequest] = []
    missed = NINE - timedelta(minutes=15)
    store = MemoryTimers({"tick": Status(NEVER, missed, missed - timedelta(minutes=1))})
    await hosted(ran, VirtualClock(NINE + timedelta(seconds=1)), store).run_due_timers()
    assert [timer.past_due for timer in ran] == [True]
    assert store.statuses["tick"].next == NINE + timedelta(minutes=15)


async def test_a_changed_schedule_is_not_past_due() -> None:
    """When the expression has changed since, the missed firing of the old one is forgotten."""
    ran: list[func.TimerRequest] = []
    before = NINE - timedelta(hours=5)
    store = MemoryTimers({"tick": Status(before, before + timedelta(hours=1), before)})
    host = hosted(ran, VirtualClock(NINE), store)
    await host.run_due_timers()
    assert ran == []
    assert host.next_timer_at() == NINE + timedelta(minutes=15)


async def test_a_clock_set_back() -> None:
    """A status from the future (the world's clock was set back) is forgotten."""
    ran: list[func.TimerRequest] = []
    later = NINE + timedelta(days=30)
    store = MemoryTimers({"tick": Status(later, later, later)})
    host = hosted(ran, VirtualClock(NINE), store)
    await host.run_due_timers()
    assert host.next_timer_at() == NINE + timedelta(minutes=15)


async def test_run_on_startup() -> None:
    """`run_on_startup` runs at each start, not as past due."""
    ran: list[func.TimerRequest] = []
    await hosted(ran, VirtualClock(NINE), MemoryTimers(), run_on_startup=True).run_due_timers()
    assert [timer.past_due for timer in ran] == [False]


async def test_without_a_monitor() -> None:
    """`use_monitor=False`, and any schedule that fires more than once a minute, keep no status."""
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
    """A failed run is over; the schedule goes on."""
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
