"""The table `DeadLetters`: work that crashed or was given up, kept as rows until somebody looks (E-29)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from shared.state import keys
from shared.state.codec import Stored, encode
from shared.storage.api import TableStore


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One piece of work that was given up, with its cause; the payload holds ids only."""

    queue: str
    payload: str
    cause: str
    at: datetime


class DeadLetters:
    """Writer of dead letters; the same one twice is one row."""

    def __init__(self, tables: TableStore) -> None:
        self._tables = tables

    async def add(self, letter_id: str, letter: DeadLetter) -> None:
        """Keep a dead letter under a constant id."""
        await self._tables.upsert(keys.DEAD_LETTERS, letter.queue, letter_id, encode(Stored(letter)))
