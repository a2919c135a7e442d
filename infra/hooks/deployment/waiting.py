"""Waiting with an end, and with a line at every look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from deployment.console import Console


@dataclass(frozen=True, slots=True)
class Wait:
    """How long something is waited for: seconds in all, and between two looks."""

    total_seconds: int
    every_seconds: int

    @property
    def looks(self) -> int:
        """How often it is looked at, the first time at once."""
        return self.total_seconds // self.every_seconds + 1


def wait(
    console: Console, sleep: Callable[[float], None], pace: Wait, look: Callable[[], str | None]
) -> str | None:
    """Look until `look` answers None, which is done; else what it answered last, after the whole time."""
    answer = look()
    for number in range(1, pace.looks):
        if answer is None:
            return None
        waited = (number - 1) * pace.every_seconds
        console.say(f"    not yet ({answer}); {waited} of at most {pace.total_seconds} seconds waited")
        sleep(pace.every_seconds)
        answer = look()
    return answer
