"""An event loop whose time is a virtual clock: where nobody can run, the clock moves to what comes next.

Sleeps, timeouts and timers take no real time. While a thread of `asyncio.to_thread` computes (MSAL), the loop stands
still, so that the same program gives the same run. With `dice`, which of the coroutines that can go on goes on next is
drawn each time, so that every await may be a switch; without, they go on in their order.
"""

from __future__ import annotations

import asyncio
import inspect
import queue
import random
import selectors
import threading
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context
from datetime import timedelta
from typing import Any

from sandbox.clock import VirtualClock

THREAD_SECONDS = 60.0  # real ones, in which a thread ends or asks the loop for something
Lives = Callable[[Context], bool]


class NothingLeft(RuntimeError):
    """Everybody waits, and nothing will ever happen."""


class _Drawn(deque[Any]):
    """The handles that are ready; each is taken at random."""

    def __init__(self, dice: random.Random) -> None:
        super().__init__()
        self.dice = dice

    def popleft(self) -> Any:
        """Any of them."""
        place = self.dice.randrange(len(self))
        self.rotate(-place)
        handle = super().popleft()
        self.rotate(place)
        return handle


class _Standstill(selectors.SelectSelector):
    """No file is watched; waiting means that the clock moves."""

    clock: VirtualClock

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise NothingLeft
        if timeout > 0:
            self.clock.current += timedelta(microseconds=int(timeout * 1_000_000) + 1)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """`lives` says of a context whether its process still runs: what a dead process would do is never done."""

    def __init__(
        self, clock: VirtualClock, lives: Lives | None = None, dice: random.Random | None = None
    ) -> None:
        selector = _Standstill()
        selector.clock = clock
        self._clock, self._begun = clock, clock.current
        super().__init__(selector)
        self._lives = lives
        self._clock_resolution = 1e-6
        self._turns: dict[int, queue.SimpleQueue[Any]] = {}
        self.kept: list[Any] = []  # what ran in a dead process is never finished, so it must not be collected
        if dice is not None:
            self._ready = _Drawn(dice)
        if lives is not None:
            self.set_task_factory(self._make_task)

    def time(self) -> float:
        return (self._clock.current - self._begun).total_seconds()

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> asyncio.Handle:
        context = context if context is not None else copy_context()
        if self._lives is not None and not self._lives(context):
            return asyncio.Handle(_nothing, (), self, context)
        return super().call_soon(callback, *args, context=context)

    def call_at(
        self, when: float, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        context = context if context is not None else copy_context()
        if self._lives is not None and not self._lives(context):
            return asyncio.TimerHandle(when, _nothing, (), self, context)
        return super().call_at(when, callback, *args, context=context)

    def drop_the_dead(self) -> None:
        """Nothing of a process that has just died is left to do."""
        for handle in [*self._ready, *self._scheduled]:
            if self._lives is not None and not self._lives(handle._context):
                handle.cancel()

    def _make_task(self, loop: Any, coro: Any, **more: Any) -> asyncio.Task[Any]:
        task = asyncio.Task(coro, loop=loop, **more)
        self.kept.append(task)
        return task

    # ---- threads

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:
        """Run it in a thread of its own. Between its calls of this loop, the loop waits for it."""
        outcome, turn = self.create_future(), queue.SimpleQueue[Any]()

        def work() -> None:
            self._turns[threading.get_ident()] = turn
            try:
                turn.put(("result", func(*args)))
            except BaseException as error:  # noqa: BLE001 - it is raised where the thread is awaited
                turn.put(("error", error))
            finally:
                del self._turns[threading.get_ident()]

        threading.Thread(target=work, daemon=True).start()
        self._follow(turn, outcome)
        return outcome

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Context | None = None) -> Any:
        """As ever; for a thread of `run_in_executor`, the loop goes on and the thread waits for its answer."""
        turn = self._turns.get(threading.get_ident())
        if turn is None:
            return self.call_soon(callback, *args, context=context)
        turn.put(("asks", (callback, args, context or copy_context())))
        return None

    def _follow(self, turn: queue.SimpleQueue[Any], outcome: asyncio.Future[Any]) -> None:
        """Wait until the thread has ended or asks for a coroutine, and again when that is answered."""
        kind, value = turn.get(timeout=THREAD_SECONDS)
        if kind == "asks":
            callback, args, context = value
            # `asyncio.run_coroutine_threadsafe` keeps the future that its thread waits for in this closure.
            waited_for = inspect.getclosurevars(callback).nonlocals.get("future")
            if waited_for is not None:
                waited_for.add_done_callback(lambda _: self._follow_on(turn, outcome))
            self.call_soon(callback, *args, context=context)
        elif outcome.done():
            return
        elif kind == "result":
            outcome.set_result(value)
        else:
            outcome.set_exception(value)

    def _follow_on(self, turn: queue.SimpleQueue[Any], outcome: asyncio.Future[Any]) -> None:
        if asyncio._get_running_loop() is self:  # else the thread itself has given up
            self._follow(turn, outcome)


def _nothing() -> None:
    """What a dead process does."""
