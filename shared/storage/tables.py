"""Tables through `azure-data-tables`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, NoReturn

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.data.tables import EdmType, EntityProperty, TableTransactionError, UpdateMode
from azure.data.tables.aio import TableClient, TableServiceClient

from shared.domain.errors import RowChanged, RowExists, RowMissing, UpstreamSurprise
from shared.storage import limits
from shared.storage.api import Delete, Insert, Observe, Op, Replace, Row, Upsert, Value
from shared.storage.wire import answered, code_of, speaks

PAGE = 1000
INT32 = 2**31
Outcomes = Mapping[int, type[RowExists | RowChanged | RowMissing]]
INSERTED: Outcomes = {409: RowExists}
REPLACED: Outcomes = {412: RowChanged, 404: RowMissing}
TRANSACTED: Outcomes = {**INSERTED, **REPLACED}


class AzureTables:
    """`TableStore` over a storage account, or over Azurite."""

    def __init__(self, service: TableServiceClient, observe: Observe) -> None:
        self._service = service
        self._observe = observe
        self._clients: dict[str, TableClient] = {}

    async def ensure(self, tables: Sequence[str]) -> None:
        """Create the tables that are missing."""
        for table in tables:
            self._observe("table", "create")
            async with answered(writes=True):
                await self._service.create_table_if_not_exists(table)

    async def get(self, table: str, partition: str, row: str) -> Row | None:
        """One row, or None."""
        limits.check_keys(partition, row)
        self._observe("table", "get")
        async with answered(writes=False):
            try:
                return _row(await self._client(table).get_entity(partition, row))
            except ResourceNotFoundError as error:
                _insist_on_table(error)
                return None

    async def insert(self, table: str, partition: str, row: str, values: Mapping[str, Value]) -> str:
        """Store a new row and return its ETag."""
        limits.check_row(partition, row, values)
        self._observe("table", "insert")
        async with answered(writes=True):
            try:
                return str((await self._client(table).create_entity(_entity(partition, row, values)))["etag"])
            except HttpResponseError as error:
                _conclude(error, INSERTED, row)

    async def replace(
        self, table: str, partition: str, row: str, values: Mapping[str, Value], etag: str
    ) -> str:
        """Store a whole row over the one read as `etag`."""
        limits.check_row(partition, row, values)
        self._observe("table", "replace")
        async with answered(writes=True):
            try:
                done = await self._client(table).update_entity(
                    _entity(partition, row, values), mode=UpdateMode.REPLACE, **_unchanged(etag)
                )
            except HttpResponseError as error:
                _conclude(error, REPLACED, row)
            return str(done["etag"])

    async def upsert(self, table: str, partition: str, row: str, values: Mapping[str, Value]) -> str:
        """Store a row whatever is there."""
        limits.check_row(partition, row, values)
        self._observe("table", "upsert")
        async with answered(writes=True):
            done = await self._client(table).upsert_entity(
                _entity(partition, row, values), UpdateMode.REPLACE
            )
            return str(done["etag"])

    async def delete(self, table: str, partition: str, row: str, etag: str | None = None) -> None:
        """Take a row away.

        This is a transaction of one, because the client's own delete takes every 404 for a missing row.
        """
        if etag is not None:
            await self.transact(table, partition, [Delete(row, etag)])
            return
        limits.check_keys(partition, row)
        with suppress(RowMissing):
            await self._submit(table, partition, [Delete(row)], "delete")

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
        bounds = _bounds("RowKey", row_from, row_to)
        found: list[Row] = []
        async for page in self._pages(table, [("PartitionKey", "eq", partition), *bounds], limit):
            found += page
            if limit is not None and len(found) >= limit:
                return found[:limit]
        return found

    async def query_partitions(
        self,
        table: str,
        partition_from: str | None = None,
        partition_to: str | None = None,
        row_from: str | None = None,
        row_to: str | None = None,
    ) -> AsyncIterator[Row]:
        """Rows of a range of partitions."""
        bounds = [
            *_bounds("PartitionKey", partition_from, partition_to),
            *_bounds("RowKey", row_from, row_to),
        ]
        async for page in self._pages(table, bounds, None):
            for row in page:
                yield row

    async def transact(self, table: str, partition: str, ops: Sequence[Op]) -> list[str]:
        """All of `ops` or none."""
        limits.check_transaction(partition, ops)
        return await self._submit(table, partition, ops, "transact")

    async def _submit(self, table: str, partition: str, ops: Sequence[Op], operation: str) -> list[str]:
        self._observe("table", operation)
        async with answered(writes=True):
            try:
                done = await self._client(table).submit_transaction([_operation(partition, op) for op in ops])
            except TableTransactionError as error:
                failed = ops[error.index] if error.index < len(ops) else ops[0]
                _conclude(error, TRANSACTED, failed.row)
            return [str(answer.get("etag", "")) for answer in done]

    async def close(self) -> None:
        """Let go of the connections."""
        await self._service.close()

    def _client(self, table: str) -> TableClient:
        if table not in self._clients:
            self._clients[table] = self._service.get_table_client(table)
        return self._clients[table]

    async def _pages(
        self, table: str, bounds: Sequence[tuple[str, str, str]], limit: int | None
    ) -> AsyncIterator[list[Row]]:
        parameters = {f"p{number}": value for number, (_, _, value) in enumerate(bounds)}
        asked = " and ".join(f"{name} {sign} @p{number}" for number, (name, sign, _) in enumerate(bounds))
        client = self._client(table)
        size = min(limit or PAGE, PAGE)
        listing = (
            client.query_entities(asked, parameters=parameters, results_per_page=size)
            if bounds
            else client.list_entities(results_per_page=size)
        )
        pages = listing.by_page()
        while True:
            self._observe("table", "query")
            async with answered(writes=False):
                page = await anext(pages, None)
                rows = None if page is None else [_row(entity) async for entity in page]
            if rows is None:
                return
            yield rows


def _bounds(name: str, start: str | None, end: str | None) -> list[tuple[str, str, str]]:
    return [(name, sign, value) for sign, value in (("ge", start), ("lt", end)) if value is not None]


def _unchanged(etag: str) -> dict[str, Any]:
    return {"etag": etag, "match_condition": MatchConditions.IfNotModified}


def _entity(partition: str, row: str, values: Mapping[str, Value]) -> dict[str, Any]:
    columns = {name: _column(value) for name, value in values.items() if value is not None}
    return {"PartitionKey": partition, "RowKey": row, **columns}


def _column(value: Value) -> Any:
    """The client writes every int as Edm.Int32 unless told otherwise, and fails beyond that."""
    if isinstance(value, int) and not isinstance(value, bool) and not -INT32 <= value < INT32:
        return EntityProperty(value, EdmType.INT64)
    return value


def _row(entity: Any) -> Row:
    values = {name: _value(value) for name, value in entity.items() if name not in {"PartitionKey", "RowKey"}}
    return Row(entity["PartitionKey"], entity["RowKey"], values, entity.metadata["etag"])


def _value(value: Any) -> Value:
    if isinstance(value, EntityProperty):
        return int(value.value)
    if isinstance(value, datetime):  # the client's own subclass remembers its text and would write that back
        return datetime.combine(value.date(), value.time(), UTC)
    return value  # type: ignore[no-any-return]  # the other types are the client's add


def _operation(partition: str, op: Op) -> tuple[str, dict[str, Any], dict[str, Any]]:
    match op:
        case Insert():
            return "create", _entity(partition, op.row, op.values), {}
        case Replace():
            return (
                "update",
                _entity(partition, op.row, op.values),
                {"mode": UpdateMode.REPLACE, **_unchanged(op.etag)},
            )
        case Upsert():
            return "upsert", _entity(partition, op.row, op.values), {"mode": UpdateMode.REPLACE}
        case Delete():
            return "delete", _entity(partition, op.row, {}), _unchanged(op.etag) if op.etag else {}


def _conclude(error: HttpResponseError, outcomes: Outcomes, row: str) -> NoReturn:
    """Raise what a refused write means for its row; any other error goes on as it is, to be translated."""
    _insist_on_table(error)
    if speaks(error) and (kind := outcomes.get(error.status_code or 0)):
        raise kind(row) from error
    raise error


def _insist_on_table(error: HttpResponseError) -> None:
    if code_of(error) == "TableNotFound":
        raise UpstreamSurprise("A table is missing in the storage account.") from error
