"""The chores of the timers that fail: since when, so that health shows it; a chore that works has no row."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared.domain.errors import RowChanged, RowExists, RowMissing
from shared.ports import Clock
from shared.state import keys
from shared.storage.api import Row, TableStore, Value

PARTITION: Final = "chores"
DIED: Final = "WorkersDied"


@dataclass(frozen=True, slots=True)
class FailingChore:
    """A chore that has failed at every tick since a time; `error` is the class of its first error.

    `deaths`: over so many tries in a row the process died, the last of them at `tried_at`.
    """

    name: str
    since: datetime
    error: str
    etag: str
    deaths: int
    tried_at: datetime


class Chores:
    """Rows in the table `Due`, beside the watermarks; written only when a chore begins or ceases to fail."""

    def __init__(self, tables: TableStore, clock: Clock) -> None:
        self._tables = tables
        self._clock = clock

    async def failing(self) -> list[FailingChore]:
        """The chores that fail. Raises StoreUnavailable."""
        return [self._chore_in(row) for row in await self._tables.query(keys.DUE, PARTITION)]

    async def note(self, before: Collection[FailingChore], errors: Mapping[str, str]) -> None:
        """After a tick: `before` are those of its chores that failed before it, `errors` names those that fail now.

        Raises StoreUnavailable, OutcomeUnknown.
        """
        for name in errors.keys() - {chore.name for chore in before}:
            await self._insert(name, errors[name])
        for chore in before:
            if chore.name not in errors:
                await self._remove(chore)

    async def begin(self, name: str, known: FailingChore | None) -> None:
        """A chore over which the process may die is at hand; whoever survives it says so. Raises StoreUnavailable."""
        now = self._clock.now()
        since, deaths = (known.since, known.deaths) if known is not None else (now, 0)
        row: dict[str, Value] = {"since": since, "error": DIED, "deaths": deaths + 1, "tried_at": now}
        await self._tables.upsert(keys.DUE, PARTITION, name, {"schema": 1, **row})

    async def survive(self, name: str, known: FailingChore | None, error: str | None) -> None:
        """It ended, with an error or without. Raises StoreUnavailable."""
        if error is None:
            await self._tables.delete(keys.DUE, PARTITION, name)
            return
        since = known.since if known is not None else self._clock.now()
        await self._tables.upsert(keys.DUE, PARTITION, name, {"schema": 1, "since": since, "error": error})

    async def _insert(self, name: str, error: str) -> None:
        values: dict[str, Value] = {"schema": 1, "since": self._clock.now(), "error": error}
        try:
            await self._tables.insert(keys.DUE, PARTITION, name, values)
        except RowExists:
            return  # another tick at the same time has noted it

    async def _remove(self, chore: FailingChore) -> None:
        try:
            await self._tables.delete(keys.DUE, PARTITION, chore.name, chore.etag)
        except (RowChanged, RowMissing):
            return  # another tick has removed it

    def _chore_in(self, row: Row) -> FailingChore:
        since = row.values.get("since")
        known = since if isinstance(since, datetime) else self._clock.now()
        deaths, tried_at = row.values.get("deaths"), row.values.get("tried_at")
        return FailingChore(
            row.row,
            known,
            str(row.values.get("error", "")),
            row.etag,
            deaths if isinstance(deaths, int) else 0,
            tried_at if isinstance(tried_at, datetime) else known,
        )
