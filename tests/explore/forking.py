"""Cases are played in copies of a prepared process: `os.fork` copies the whole world at once."""

from __future__ import annotations

import faulthandler
import gc
import os
import select
import sys
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from tests.explore.case import Case, Outcome, play, prepare
from tests.explore.truth import Truth
from tests.explore.world import Wrap, build

LONGEST_SECONDS = 60


def prepared(flow: str, folder: Path, wrap: Wrap | None = None) -> Truth:
    """A world in which the flow is about to begin; its one file is in `folder`."""
    world = build(folder, wrap=wrap)
    return world.loop.run_until_complete(prepare(world, flow))


def play_here(truth: Truth, case: Case, *, show: bool = False) -> Outcome:
    """In this very process, which is of no use afterwards."""
    return truth.world.loop.run_until_complete(play(truth, case, show=show))


def play_all(truth: Truth, cases: Iterable[Case], jobs: int) -> Iterator[tuple[Case, Outcome]]:
    """Each case in a copy of this process, `jobs` at once, in the order in which they end."""
    gc.collect()
    gc.freeze()
    running: dict[int, tuple[Case, int]] = {}
    waiting = iter(cases)
    while True:
        while len(running) < jobs and (case := next(waiting, None)) is not None:
            pid, pipe = _fork(truth, case)
            running[pipe] = (case, pid)
        if not running:
            break
        ready, _, _ = select.select(list(running), [], [])
        for pipe in ready:
            case, pid = running.pop(pipe)
            yield case, _collect(case, pid, pipe)
    gc.unfreeze()


def _fork(truth: Truth, case: Case) -> tuple[int, int]:
    reading, writing = os.pipe()
    sys.stdout.flush()
    if pid := os.fork():
        os.close(writing)
        return pid, reading
    os.close(reading)
    gc.disable()  # it ends within a second or so
    faulthandler.dump_traceback_later(LONGEST_SECONDS, exit=True)
    try:
        document: Any = play_here(truth, case).as_json()
    except BaseException:  # noqa: BLE001 - whatever it is, the parent reports it
        document = Outcome(str(case), {"crash": [traceback.format_exc()[-1500:]]}).as_json()
    with os.fdopen(writing, "wb") as pipe:
        pipe.write(msgspec.json.encode(document))
    os._exit(0)


def _collect(case: Case, pid: int, pipe: int) -> Outcome:
    with os.fdopen(pipe, "rb") as stream:
        text = stream.read()
    os.waitpid(pid, 0)
    if not text:
        return Outcome(str(case), {"crash": [f"no end within {LONGEST_SECONDS} s"]})
    return Outcome.read(msgspec.json.decode(text))
