"""`TableStore` in memory."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count as counter

from shared.domain.errors import RowChanged, RowExists, RowMissing, UpstreamSurprise
from shared.storage import limits
from shared.storage.api import Delete, Insert, Op, Replace, Row, Upsert, Value
from shared.storage.testing.calls import MemoryStore


@dataclass(slots=True)
class _Partition:
    """Rows by key, and their keys in the service's order."""

    rows: dict[str, Row] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)


@dataclass(slots=True)
class MemoryTables(MemoryStore):
    """Rows in dicts; an act is atomic because nothing waits inside it."""

    _tables: dict[str, dict[str, _Partition]] = field(default_factory=dict)
    _numbers: counter[int] = field(default_factory=counter)

    async def ensure(self, tables: Sequence[str]) -> None:
        """Create the tables that are missing."""
        for table in tables:
            async with self.called("table", "create", table, writes=True):
                self._tables.setdefault(table, {})

    async def get(self, table: str, partition: str, row: str) -> Row | None:
        """One row, or None."""
        limits.check_keys(partition, row)
        async with self.called("table", "get", table, partition, row, writes=False):
            found = self._partition(table, partition).rows.get(row)
            return found and _copy(found)

    async def insert(self, table: str, partition: str, row: str, values: Mapping[str, Value]) -> str:
        """Store a new row and return its ETag."""
        return await self._one("insert", table, partition, Insert(row, values))

    async def replace(
        self, table: str, partition: str, row: str, values: Mapping[str, Value], etag: str
    ) -> str:
        """Store a whole row over the one read as `etag`."""
        return await self._one("replace", table, partition, Replace(row, values, etag))

    async def upsert(self, table: str, partition: str, row: str, values: Mapping[str, Value]) -> str:
        """Store a row whatever is there."""
        return await self._one("upsert", table, partition, Upsert(row, values))

    async def delete(self, table: str, partition: str, row: str, etag: str | None = None) -> None:
        """Take a row away."""
        if etag is not None:
            await self.transact(table, partition, [Delete(row, etag)])
            return
        limits.check_keys(partition, row)
        async with self.called("table", "delete", table, partition, row, writes=True):
            _remove(self._partition(table, partition), row)

    async def query(
        self,
        table: str,
        partition: str,
        row_from: str | None = None,
        row_to: str | None = None,
        limit: int | None = None,
    ) -> list[Row]:
        """Rows of one partition in key order."""
        if limit is not None and limit < 1:
            return []
        async with self.called(
            "table", "query", table, partition, row_from or "", row_to or "", writes=False
        ):
            return _range(self._partition(table, partition), row_from, row_to)[:limit]

    async def query_partitions(
        self,
        table: str,
        partition_from: str | None = None,
        partition_to: str | None = None,
        row_from: str | None = None,
        row_to: str | None = None,
    ) -> AsyncIterator[Row]:
        """Rows of a range of partitions."""
        async with self.called(
            "table", "query", table, partition_from or "", partition_to or "", writes=False
        ):
            found = [
                row
                for key, partition in sorted(self._table(table).items(), key=lambda item: _ordinal(item[0]))
                if _within(key, partition_from, partition_to)
                for row in _range(partition, row_from, row_to)
            ]
        for row in found:
            yield row

    async def transact(self, table: str, partition: str, ops: Sequence[Op]) -> list[str]:
        """All of `ops` or none."""
        limits.check_transaction(partition, ops)
        async with self.called("table", "transact", table, partition, *(op.row for op in ops), writes=True):
            stored = self._partition(table, partition)
            for op in ops:
                _refuse(stored.rows.get(op.row), op)
            return [self._apply(stored, partition, op) for op in ops]

    async def _one(self, operation: str, table: str, partition: str, op: Insert | Replace | Upsert) -> str:
        limits.check_row(partition, op.row, op.values)
        async with self.called("table", operation, table, partition, op.row, writes=True):
            stored = self._partition(table, partition)
            _refuse(stored.rows.get(op.row), op)
            return self._apply(stored, partition, op)

    def _apply(self, stored: _Partition, partition: str, op: Op) -> str:
        if isinstance(op, Delete):
            _remove(stored, op.row)
            return ""
        present = {name: _stored(value) for name, value in op.values.items() if value is not None}
        if op.row not in stored.rows:
            insort(stored.order, op.row, key=_ordinal)
        etag = f"W/\"datetime'memory-{next(self._numbers)}'\""
        stored.rows[op.row] = Row(partition, op.row, present, etag)
        return etag

    def _table(self, table: str) -> dict[str, _Partition]:
        if table not in self._tables:
            raise UpstreamSurprise("A table is missing in the storage account.")
        return self._tables[table]

    def _partition(self, table: str, partition: str) -> _Partition:
        return self._table(table).setdefault(partition, _Partition())


def _refuse(current: Row | None, op: Op) -> None:
    """Raise what the service would answer to `op`, given the row that stands there."""
    match op:
        case Insert():
            if current is not None:
                raise RowExists(op.row)
        case Replace() | Delete():
            if current is None:
                raise RowMissing(op.row)
            if op.etag not in {None, current.etag}:
                raise RowChanged(op.row)
        case Upsert():
            pass


def _remove(stored: _Partition, row: str) -> None:
    if stored.rows.pop(row, None) is not None:
        del stored.order[bisect_left(stored.order, _ordinal(row), key=_ordinal)]


def _range(stored: _Partition, start: str | None, end: str | None) -> list[Row]:
    first = 0 if start is None else bisect_left(stored.order, _ordinal(start), key=_ordinal)
    last = None if end is None else bisect_left(stored.order, _ordinal(end), key=_ordinal)
    return [_copy(stored.rows[key]) for key in stored.order[first:last]]


def _copy(row: Row) -> Row:
    """What the reader does to its columns must not reach the store."""
    return replace(row, values=dict(row.values))


def _stored(value: Value) -> Value:
    """A column as the service gives it back: a moment in UTC, text as plain text."""
    match value:
        case datetime():
            return value.astimezone(UTC)
        case str():
            return str(value)
        case _:
            return value


def _ordinal(key: str) -> bytes:
    """Keys sort by their UTF-16 code units."""
    return key.encode("utf-16-be", "surrogatepass")


def _within(key: str, start: str | None, end: str | None) -> bool:
    place = _ordinal(key)
    return (start is None or _ordinal(start) <= place) and (end is None or place < _ordinal(end))
