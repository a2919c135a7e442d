"""The virtual loop: its order, its time, its threads."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from typing import Any

import pytest

from sandbox.clock import VirtualClock
from tests.concurrency.loop import NothingLeft, VirtualLoop
from tests.concurrency.processes import Died, Process, cross, mortal


def run(seed: int, act: Coroutine[Any, Any, Any]) -> Any:
    """Run it in a loop that draws."""
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(VirtualClock(), dice=random.Random(seed))) as runner:
        return runner.run(act)


async def _race() -> list[str]:
    said: list[str] = []

    async def runner(name: str) -> None:
        for step in range(4):
            said.append(f"{name}{step}")
            await asyncio.sleep(0)

    await asyncio.gather(*(runner(name) for name in "abc"))
    return said


def test_a_seed_gives_the_order() -> None:
    """The same seed runs coroutines in the same order, other seeds in others."""
    orders = {tuple(run(seed, _race())) for seed in range(8)}
    assert len(orders) > 6
    assert run(3, _race()) == run(3, _race())


def test_time_costs_nothing() -> None:
    """A day passes at once, and a timeout ends what takes longer."""

    async def act() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(20):
                await asyncio.sleep(30)
        await asyncio.sleep(86_400)
        return asyncio.get_running_loop().time()

    assert run(1, act()) == pytest.approx(86_420)


def test_a_thread_keeps_the_order() -> None:
    """What a thread asks of the loop comes at the same place in each run of a seed."""

    async def answer(said: list[str]) -> str:
        for step in range(3):
            said.append(f"answer {step}")
            await asyncio.sleep(0)
        return "answered"

    async def act() -> list[str]:
        said: list[str] = []
        loop = asyncio.get_running_loop()

        def think() -> str:
            said.append("thread begins")
            got = asyncio.run_coroutine_threadsafe(answer(said), loop).result(5)
            said.append(f"thread was {got}")
            return "thought"

        async def beside() -> None:
            for step in range(5):
                said.append(f"beside {step}")
                await asyncio.sleep(0)

        _, thought = await asyncio.gather(beside(), asyncio.to_thread(think))
        return [*said, thought]

    runs = [run(5, act()) for _ in range(5)]
    assert all(each == runs[0] for each in runs)
    assert runs[0][-1] == "thought"


def test_a_thread_that_fails_says_so() -> None:
    """An error of a thread reaches whoever waits for it."""

    def fail() -> None:
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        run(1, asyncio.to_thread(fail))


def test_waiting_for_each_other_is_told() -> None:
    """A world in which nothing can happen any more does not hang."""

    async def act() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(NothingLeft):
        run(1, act())


def test_a_dead_process_does_not_go_on() -> None:
    """Who waits for a process that dies is told so, and nothing of its `finally` is run."""
    said: list[str] = []

    async def work() -> None:
        try:
            for step in range(9):
                said.append(f"step {step}")
                await cross()
        finally:
            said.append("cleaned up")

    async def act() -> None:
        with pytest.raises(Died):
            await Process("worker", services=None, left=2).run(work)  # type: ignore[arg-type]  # none is asked for
        await asyncio.sleep(3600)
        assert said == ["step 0", "step 1", "step 2"]

    run(1, act())


def test_a_sleeper_dies_too() -> None:
    """A coroutine that slept while its process died does not wake."""
    said: list[str] = []

    async def work() -> None:
        await mortal(asyncio.sleep)(60)
        said.append("woke")

    async def act() -> None:
        process = Process("worker", services=None)  # type: ignore[arg-type]  # none is asked for
        asyncio.get_running_loop().call_later(30, process.die)
        with pytest.raises(Died):
            await process.run(work)
        await asyncio.sleep(3600)
        assert not said

    run(1, act())
