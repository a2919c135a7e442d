"""An event loop that runs coroutines in an order drawn from a seed, under a time that costs nothing.

Which of the coroutines that can go on goes on next is drawn anew each time, so that every await may be a switch. When
none can, the time jumps to the next timer: `asyncio.sleep`, `asyncio.timeout` and `loop.call_later` take no real time.
While a thread of `asyncio.to_thread` computes, the loop stands still, so that the same seed gives the same run.

    with asyncio.Runner(loop_factory=lambda: SeededLoop(seed)) as runner:
        runner.run(main())
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import queue
import random
import selectors
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

THREAD_SECONDS = 60.0  # real ones, in which a thread ends or asks the loop for something


class NothingWillHappen(RuntimeError):
    """Every coroutine waits for another one: no timer is set and nothing is ready."""


class _Drawn(deque[Any]):
    """The handles that are ready; each is taken at random."""

    def __init__(self, dice: random.Random) -> None:
        super().__init__()
        self.dice = dice

    def popleft(self) -> Any:
        """One of all."""
        place = self.dice.randrange(len(self))
        self.rotate(-place)
        handle = super().popleft()
        self.rotate(place)
        return handle


class _Jumping(selectors.DefaultSelector):  # type: ignore[valid-type,misc]  # a class chosen by the platform
    """Waits for no socket: where the loop would wait, its time moves on."""

    loop: SeededLoop

    def select(self, timeout: float | None = None) -> Any:
        """What is readable now; the time is moved by `timeout`."""
        found = super().select(0)
        if timeout is None and not found:
            raise NothingWillHappen
        if timeout and not found:
            self.loop.seconds += timeout
        return found


class SeededLoop(asyncio.SelectorEventLoop):
    """See the module. `seconds` is its time, which begins at 0."""

    def __init__(self, seed: int | str) -> None:
        self.seconds = 0.0
        selector = _Jumping()
        selector.loop = self
        super().__init__(selector)
        self._ready = _Drawn(random.Random(f"loop {seed}"))
        self._turns: dict[int, queue.SimpleQueue[Any]] = {}

    def time(self) -> float:
        """Seconds of this loop's time."""
        return self.seconds

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:
        """Run it in a thread of its own. Between its calls of this loop, the loop waits for it."""
        del executor
        outcome, turn = self.create_future(), queue.SimpleQueue[Any]()

        def work() -> None:
            self._turns[threading.get_ident()] = turn
            try:
                turn.put(("result", func(*args)))
            except BaseException as error:  # noqa: BLE001 - handed to whoever awaits the thread
                turn.put(("error", error))
            finally:
                del self._turns[threading.get_ident()]

        threading.Thread(target=work, daemon=True).start()
        self._follow(turn, outcome)
        return outcome

    def call_soon_threadsafe(self, callback: Callable[..., Any], *args: Any, context: Any = None) -> Any:
        """As ever; from a thread of `run_in_executor`, the loop goes on and the thread waits for its answer."""
        turn = self._turns.get(threading.get_ident())
        if turn is None:
            return super().call_soon_threadsafe(callback, *args, context=context)
        turn.put(("asks", (callback, args, context or contextvars.copy_context())))
        return None

    def _follow(self, turn: queue.SimpleQueue[Any], outcome: asyncio.Future[Any]) -> None:
        """Wait until the thread has ended or asks for a coroutine, and then again when that is answered."""
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
