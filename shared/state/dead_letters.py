"""The table `DeadLetters`: work that crashed or was given up, kept as rows until somebody has looked (E-29).

A tenant's dead letters are its partition; `NOBODY` has those whose owner cannot be told. The payload is sealed for the
place where it lies. Kept for 30 days after it last happened (D-1); the day on which that ends is noted in partitions of
their own, so that nobody looks through the others.
"""

from __future__ import annotations

import traceback
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from shared.domain.errors import (
    KeyUnavailable,
    RowChanged,
    RowExists,
    RowMissing,
    StoreUnavailable,
    UnknownForm,
)
from shared.hashing import digest
from shared.ports import Sealer
from shared.state import keys
from shared.state.codec import Stored, decode, encode
from shared.storage.api import Row, TableStore

KEPT_FOR: Final = timedelta(days=30)
MOST_TRIES: Final = 5
UNREADABLE: Final = "row_unreadable"
_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)
NOBODY: Final = "ten_nobody"  # no tenant's id: those are longer


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Work that was given up: when it last was and first was, how often, why, whose, and what it was.

    `work`: the kind of the task, or `hints`, `listed_row`, `endpoint`. `stack`: tells where the error came up, the same
    for the same place. `sealed` is the payload: ids only. `payload`: that of rows of a former version, in clear.
    """

    queue: str
    cause: str
    at: datetime
    tenant_id: str = NOBODY
    mailbox_id: str = ""
    work: str = ""
    stack: str = ""
    first_at: datetime | None = None
    times: int = 1
    replayed_at: datetime | None = None
    sealed: str = ""
    payload: str = ""

    @property
    def is_replayed(self) -> bool:
        """Whether it was replayed since it last happened."""
        return self.replayed_at is not None and self.replayed_at >= self.at


@dataclass(frozen=True, slots=True)
class KeptLetter:
    """A dead letter and where it lies: in the partition of its owner, or of its queue in a former version."""

    partition: str
    letter_id: str
    stored: Stored[DeadLetter]

    @property
    def letter(self) -> DeadLetter:
        """The dead letter as it was read."""
        return self.stored.value


class DeadLetters:
    """Repository of dead letters; the same work is one row, however often it is given up."""

    def __init__(self, tables: TableStore, sealer: Sealer) -> None:
        self._tables = tables
        self._sealer = sealer

    async def add(self, letter_id: str, letter: DeadLetter, payload: str) -> None:
        """Keep a dead letter under a constant id; one that is there already is counted again.

        Raises StoreUnavailable, also where the key that seals cannot be used: nothing was kept, so the work goes on.
        """
        tenant_id = letter.tenant_id
        try:
            sealed = await self._sealer.seal(tenant_id, _place(tenant_id, letter_id), payload.encode())
        except KeyUnavailable as err:
            raise StoreUnavailable from err
        fresh = replace(letter, sealed=sealed, first_at=letter.first_at or letter.at)
        await self._note_end(tenant_id, letter_id, fresh.at + KEPT_FOR)
        for _ in range(MOST_TRIES):
            before = await self.find(tenant_id, letter_id)
            try:
                await self._write(letter_id, before, fresh)
            except (RowExists, RowChanged, RowMissing):
                continue
            return
        raise StoreUnavailable

    async def _write(self, letter_id: str, before: KeptLetter | None, fresh: DeadLetter) -> None:
        place = (keys.DEAD_LETTERS, fresh.tenant_id, letter_id)
        if before is None:
            await self._tables.insert(*place, encode(Stored(fresh)))
            return
        known = before.letter
        again = replace(
            fresh,
            first_at=known.first_at or known.at,
            times=known.times + 1,
            replayed_at=known.replayed_at,
            at=max(fresh.at, known.at),
        )
        await self._tables.replace(*place, encode(before.stored.changed(again)), before.stored.etag or "")

    async def find(self, tenant_id: str, letter_id: str) -> KeptLetter | None:
        """A tenant's dead letter."""
        row = await self._tables.get(keys.DEAD_LETTERS, tenant_id, letter_id)
        return _kept(row) if row is not None else None

    async def of_tenant(self, tenant_id: str, after: str, limit: int) -> list[KeptLetter]:
        """A tenant's dead letters behind that id ("" for all), by id, at most so many."""
        rows = await self._tables.query(
            keys.DEAD_LETTERS, tenant_id, f"{after}~" if after else "", "~", limit
        )
        return [_kept(row) for row in rows]

    async def all(self, letter_id: str | None = None) -> AsyncIterator[KeptLetter]:
        """Every dead letter, or those with this id; for commands."""
        span = {"row_from": letter_id, "row_to": f"{letter_id}~"} if letter_id is not None else {}
        async for row in self._tables.query_partitions(keys.DEAD_LETTERS, **span):
            if not keys.is_ends_partition(row.partition):
                yield _kept(row)

    async def payload_of(self, kept: KeptLetter) -> str:
        """What the work was, as text. Raises SealBroken, KeyUnavailable."""
        letter = kept.letter
        if not letter.sealed:
            return letter.payload
        place = _place(letter.tenant_id, kept.letter_id)
        return (await self._sealer.unseal(letter.tenant_id, place, letter.sealed)).decode()

    async def note_replay(self, kept: KeptLetter, now: datetime) -> None:
        """Note that somebody wanted its work to be due again. Where it was given up anew meanwhile, that stands.

        Nothing is written over a row that this version cannot read.
        """
        if kept.letter.cause == UNREADABLE:
            return
        letter = replace(kept.letter, replayed_at=now)
        row = encode(kept.stored.changed(letter))
        try:
            await self._tables.replace(
                keys.DEAD_LETTERS, kept.partition, kept.letter_id, row, kept.stored.etag or ""
            )
        except (RowChanged, RowMissing):
            return

    async def erase_ended(self, now: datetime, limit: int) -> int:
        """Erase up to `limit` dead letters whose time is over; returns how many notes of ends were read."""
        rows = self._tables.query_partitions(keys.DEAD_LETTERS, *keys.ends_before(now))
        notes = [note async for note in rows][:limit]
        for note in notes:
            tenant_id, _, letter_id = note.row.partition("|")
            await self._erase_if_ended(tenant_id, letter_id, now)
            await self._tables.delete(keys.DEAD_LETTERS, note.partition, note.row)
        return len(notes)

    async def _erase_if_ended(self, tenant_id: str, letter_id: str, now: datetime) -> None:
        kept = await self.find(tenant_id, letter_id)
        if kept is None:
            return
        if kept.letter.at + KEPT_FOR > now:
            await self._note_end(tenant_id, letter_id, kept.letter.at + KEPT_FOR)
            return
        try:
            await self._tables.delete(keys.DEAD_LETTERS, tenant_id, letter_id, kept.stored.etag)
        except (RowChanged, RowMissing):
            return  # it happened again: its end was noted then

    async def _note_end(self, tenant_id: str, letter_id: str, end: datetime) -> None:
        place = (keys.ends_partition(end), f"{tenant_id}|{letter_id}")
        await self._tables.upsert(keys.DEAD_LETTERS, *place, {"schema": 1})


def stack_of(error: Exception) -> str:
    """A hash of where the error came up: its class and the functions it went through, without texts or lines."""
    frames = traceback.extract_tb(error.__traceback__)
    return digest("stack", type(error).__name__, *(frame.name for frame in frames))


def _kept(row: Row) -> KeptLetter:
    """One that cannot be read, of a newer version perhaps, is shown as such, and ends at the time that was noted."""
    try:
        stored = decode(DeadLetter, row.values, row.etag)
    except UnknownForm:
        stored = Stored(DeadLetter("", UNREADABLE, _LONG_AGO, row.partition), row.etag)
    return KeptLetter(row.partition, row.row, stored)


def _place(tenant_id: str, letter_id: str) -> tuple[str, str, str, str]:
    return (keys.DEAD_LETTERS, tenant_id, letter_id, "sealed")
