"""The time of a world: the loop's, seen through clocks that need not agree."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

BEGINNING = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
# Sign-in compares clocks within minutes, and would rightly refuse: Entra's clock is right, Exchange's need not be.
of_entra: ContextVar[bool] = ContextVar("of_entra", default=False)


@dataclass(slots=True)
class LoopClock:
    """The time of the running loop, wrong by `wrong_by`, unless it is Entra that is asked."""

    wrong_by: timedelta = timedelta()

    def now(self) -> datetime:
        """The present time, aware UTC."""
        right = BEGINNING + timedelta(seconds=asyncio.get_running_loop().time())
        return right if of_entra.get() else right + self.wrong_by
