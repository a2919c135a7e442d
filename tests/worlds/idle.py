"""A world in which nothing happens: a module of its own, since processes find it by its name."""

from __future__ import annotations

from tests.worlds.oracle import Verdict
from tests.worlds.run import Result


def nothing_happens(seed: int, moves: int) -> Result:
    """As many days as moves."""
    return Result(seed, Verdict(), [], days=float(moves))
