"""Only one process fires a timer: whoever holds its lease."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import azure.functions as func
import pytest

from sandbox.clock import VirtualClock
from sandbox.devhost import timers
from sandbox.devhost.inprocess import Host, MemoryTimers, build_host
from tests.devhost.apps import anonymous_app

NINE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@dataclass(slots=True)
class Contested(MemoryTimers):
    """A store whose lease is ours only while `free`; `broken` is storage that cannot be reached."""

    free: bool = True
    broken: bool = False
    asked: int = 0
    released: list[str] = field(default_factory=list)

    async def hold(self, function: str) -> bool:
        self.asked += 1
        if self.broken:
            raise OSError
        return self.free

    async def release(self, function: str) -> None:
        self.released.append(function)


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks, renewals and attempts follow each other within milliseconds."""
    for name in ("LOOK_EVERY_SECONDS", "RENEW_EVERY_SECONDS", "TRY_LEASE_EVERY_SECONDS"):
        monkeypatch.setattr(timers, name, 0.005)


@asynccontextmanager
async def listening(store: Contested, clock: VirtualClock, ran: list[bool]) -> AsyncIterator[Host]:
    app = anonymous_app()

    @app.timer_trigger(arg_name="timer", schedule="0 */15 * * * *")
    async def tick(timer: func.TimerRequest) -> None:
        ran.append(timer.past_due)

    host = build_host(app, timers=store, clock=clock, environ={})
    host.start()
    try:
        yield host
    finally:
        await host.stop()


async def until(store: Contested, asked: int) -> None:
    """Let the listener ask for the lease so many times more."""
    goal = store.asked + asked
    async with asyncio.timeout(10):
        while store.asked < goal:  # noqa: ASYNC110 - the store sets no events
            await asyncio.sleep(0.005)


async def fired(ran: list[bool], count: int) -> None:
    async with asyncio.timeout(10):
        while len(ran) < count:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.005)


async def test_who_does_not_hold_the_lease_waits() -> None:
    """A timer does not fire while another process holds its lease, and goes on once it is free."""
    clock, ran = VirtualClock(NINE), list[bool]()
    store = Contested(free=False)
    async with listening(store, clock, ran):
        await until(store, 3)
        assert store.statuses == {}
        clock.advance(3600)
        await until(store, 3)
        assert ran == []
        store.free = True
        await until(store, 3)
        clock.advance(900)
        await fired(ran, 1)
    assert ran == [False]
    assert store.released == ["tick"]


@pytest.mark.parametrize("way", ["free", "broken"])
async def test_a_lost_lease_stops_the_timer(way: str) -> None:
    """A timer whose lease is lost, or cannot be reached, fires again when it is back, as past due."""
    clock, ran = VirtualClock(NINE), list[bool]()
    store = Contested()
    async with listening(store, clock, ran):
        await until(store, 3)
        setattr(store, way, way == "broken")
        await until(store, 3)
        clock.advance(901)
        await until(store, 3)
        assert ran == []
        setattr(store, way, way != "broken")
        await fired(ran, 1)
    assert ran == [True]  # its status says what was missed


async def test_an_output_that_fails_does_not_stop_the_timer() -> None:
    """A timer's run whose output cannot be written fails, and its schedule goes on."""
    app = anonymous_app()

    @app.timer_trigger(arg_name="timer", schedule="0 */15 * * * *")
    @app.queue_output(arg_name="out", queue_name="q", connection="X")
    async def tick(timer: func.TimerRequest, out: func.Out[str]) -> None:
        out.set("x" * 70_000)

    clock = VirtualClock(NINE)
    host = build_host(app, clock=clock, environ={})
    await host.run_due_timers()
    clock.advance(900)
    assert await host.run_due_timers() == ["tick"]
    assert await host.run_timer("tick") is False
    assert host.next_timer_at() == datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
