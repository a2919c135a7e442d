"""After an outage every listed mailbox is to be swept: how far that has come, in one row of the table `Due`."""

from __future__ import annotations

from typing import Final

from shared.ports import Clock
from shared.state import keys
from shared.storage.api import TableStore

PLACE: Final = (keys.DUE, "outage", "catch_up")
STANDSTILL: Final = (keys.DUE, "outage", "standstill")
NEXT: Final = "bucket"


class CatchUps:
    """The row, there while a catch-up is under way. The last writer wins: what is done twice is done once."""

    def __init__(self, tables: TableStore, clock: Clock) -> None:
        self._tables = tables
        self._clock = clock

    async def begin(self) -> None:
        """From the mailboxes that are listed for now on; anew where one is under way. Raises StoreUnavailable."""
        await self.go_on(keys.bucket_of(self._clock.now()))

    async def begin_once(self, standstill: int) -> bool:
        """The same, unless one was begun for this standstill, named by its bucket. Raises StoreUnavailable.

        A list that stands still is found so at each tick; a catch-up that began anew each time would not get on.
        """
        row = await self._tables.get(*STANDSTILL)
        if row is not None and str(row.values.get(NEXT, "")) == str(standstill):
            return False
        await self.begin()
        await self._tables.upsert(*STANDSTILL, {"schema": 1, NEXT: standstill})
        return True

    async def go_on(self, bucket: int) -> None:
        """The mailboxes listed in this bucket and behind it are still to be looked after. Raises StoreUnavailable."""
        await self._tables.upsert(*PLACE, {"schema": 1, NEXT: bucket})

    async def next_bucket(self) -> int | None:
        """Where to go on; None where none is under way. Raises StoreUnavailable."""
        row = await self._tables.get(*PLACE)
        if row is None:
            return None
        text = str(row.values.get(NEXT, ""))
        return int(text) if text.isdecimal() else keys.bucket_of(self._clock.now())

    async def end(self) -> None:
        """All are looked after. Raises StoreUnavailable."""
        await self._tables.delete(*PLACE)
