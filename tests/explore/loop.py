"""An event loop whose time is the virtual clock: where nothing can run now, the clock moves to what comes next.

The same program gives the same run, threads included: whoever hands work to a thread (MSAL) stands still until that
thread has ended or waits for the loop itself.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import selectors
import threading
from collections.abc import Callable
from contextvars import Context, copy_context
from datetime import timedelta
from typing import Any

from sandbox.clock import VirtualClock

LONGEST_WAIT_SECONDS = 60.0  # of real time: for a thread


class NothingLeft(RuntimeError):
    """Everybody waits, and nothing will ever happen."""


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

    def __init__(self, clock: VirtualClock, lives: Callable[[Context], bool]) -> None:
        selector = _Standstill()
        selector.clock = clock
        super().__init__(selector)
        self._clock, self._begun, self._lives = clock, clock.current, lives
        self._clock_resolution = 1e-6
        self._threads = threading.Condition()
        self._running_threads = 0
        self.kept: list[Any] = []  # what ran in a dead process is never finished, so it must not be collected
        self.set_task_factory(self._make_task)

    def time(self) -> float:
        return (self._clock.current - self._begun).total_seconds()

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> asyncio.Handle:
        context = context if context is not None else copy_context()
        if not self._lives(context):
            return asyncio.Handle(_nothing, (), self, context)
        return super().call_soon(callback, *args, context=context)

    def call_at(
        self, when: float, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        context = context if context is not None else copy_context()
        if not self._lives(context):
            return asyncio.TimerHandle(when, _nothing, (), self, context)
        return super().call_at(when, callback, *args, context=context)

    def drop_the_dead(self) -> None:
        """Nothing of a process that has just died is left to do."""
        for handle in [*self._ready, *self._scheduled]:
            if not self._lives(handle._context):
                handle.cancel()

    def _make_task(self, loop: Any, coro: Any, **more: Any) -> asyncio.Task[Any]:
        task = asyncio.Task(coro, loop=loop, **more)
        self.kept.append(task)
        return task

    # ---- threads

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:
        future = self.create_future()

        def settle(method: str, value: Any) -> None:
            if not future.done():
                getattr(future, method)(value)

        def run() -> None:
            try:
                result = func(*args)
            except BaseException as err:  # noqa: BLE001 - it is raised where the thread is awaited
                self.call_soon_threadsafe(settle, "set_exception", err)
            else:
                self.call_soon_threadsafe(settle, "set_result", result)

        with self._threads:
            self._running_threads += 1
        threading.Thread(target=run, daemon=True).start()
        self._await_threads()
        return future

    def call_soon_threadsafe(
        self, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        handle = self.call_soon(callback, *args, context=context)
        if self._thread_id not in {None, threading.get_ident()}:
            for cell in getattr(callback, "__closure__", None) or ():
                if isinstance(cell.cell_contents, concurrent.futures.Future):
                    cell.cell_contents.add_done_callback(self._let_thread_run)
            with self._threads:
                self._running_threads -= 1
                self._threads.notify_all()
        return handle

    def _let_thread_run(self, _: concurrent.futures.Future[Any]) -> None:
        """What a thread waited for is there: it runs on, and the loop waits for it."""
        with self._threads:
            self._running_threads += 1
        self._await_threads()

    def _await_threads(self) -> None:
        with self._threads:
            if not self._threads.wait_for(lambda: self._running_threads <= 0, LONGEST_WAIT_SECONDS):
                raise NothingLeft


def _nothing() -> None:
    """What a dead process does."""
