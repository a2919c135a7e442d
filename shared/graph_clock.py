"""Graph's clock, as its answers tell it: the times of mails are compared with it, never with ours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from shared.ports import Clock

# `Date` has whole seconds, and an answer is on its way for a moment: less is no difference that could be known.
LEFT_OF_SKEW: Final = timedelta(seconds=3)
# No clock of Graph's is further off: what says so is a gateway's answer, or our own clock is of no use at all.
LONGEST_SKEW: Final = timedelta(hours=12)


class GraphClock:
    """How far Graph's clock is ahead of this process's; None until Graph has answered here."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.ahead: timedelta | None = None

    def note(self, date: str | None) -> None:
        """An answer with this `Date` header has just come (RFC 9110, 6.6.1: when the message was made)."""
        try:
            at = parsedate_to_datetime(date) if date else None
        except (ValueError, OverflowError):
            return
        ahead = at.replace(tzinfo=at.tzinfo or UTC) - self._clock.now() if at is not None else None
        if ahead is not None and abs(ahead) <= LONGEST_SKEW:
            self.ahead = ahead if abs(ahead) > LEFT_OF_SKEW else timedelta()

    def ahead_or(self, known: timedelta) -> timedelta:
        """The difference, or what was known of it before this process began."""
        return known if self.ahead is None else self.ahead

    def now(self) -> datetime:
        """Aware UTC, by Graph's clock as far as it is known here."""
        return self._clock.now() + self.ahead_or(timedelta())
