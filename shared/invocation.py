"""What one invocation of a function has spent so far, wherever in it that is asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final


@dataclass(slots=True)
class Invocation:
    """`telling_seconds`: how long it has waited for the CRM in all."""

    telling_seconds: float = 0.0


_CURRENT: Final[ContextVar[Invocation | None]] = ContextVar("invocation", default=None)


@contextmanager
def invocation() -> Iterator[Invocation]:
    """A new invocation, until the block ends."""
    begun = Invocation()
    token = _CURRENT.set(begun)
    try:
        yield begun
    finally:
        _CURRENT.reset(token)


def this_invocation() -> Invocation:
    """The one that runs; outside of all, a new one each time."""
    return _CURRENT.get() or Invocation()
