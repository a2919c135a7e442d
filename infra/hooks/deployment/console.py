"""What a hook says, and how it ends."""

from __future__ import annotations

import sys
import textwrap
from typing import Final, TextIO

REFUSED: Final = 1
WRONG_USE: Final = 2
WIDTH: Final = 100


class Stop(Exception):
    """The hook cannot go on; `text` says in plain words why and what to do. `code`: 1 refused, 2 wrong use."""

    def __init__(self, text: str, code: int = REFUSED) -> None:
        super().__init__(text)
        self.text = text
        self.code = code


class Console:
    """Writes lines at once, so that progress is seen while something is waited for."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    def say(self, text: str = "") -> None:
        """A paragraph, wrapped; lines that begin with a space stay as they are."""
        for line in text.splitlines() or [""]:
            wrapped = line if line.startswith(" ") else textwrap.fill(line, WIDTH, break_long_words=False)
            print(wrapped, file=self._stream or sys.stdout, flush=True)

    def step(self, text: str) -> None:
        """What comes now."""
        self.say(f"==> {text}")
