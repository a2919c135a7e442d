"""What a version ahead of this one would write: rows and queue messages with members that nobody knows yet."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from shared.state import keys
from shared.state.codec import SCHEMA, Form, columns_of, form_in
from shared.storage.testing import MemoryTables

MARK = "of_the_next_version"
KEPT = {"why": ["nobody", "knows"]}
NOT_RECORDS = (keys.DUE,)


def with_marks(value: Any) -> Any:
    """The value with one more member in every object of it."""
    if isinstance(value, Mapping):
        return {**{name: with_marks(member) for name, member in value.items()}, MARK: KEPT}
    return [with_marks(item) for item in value] if isinstance(value, list) else value


def marks(value: Any) -> int:
    """How many objects of the value have that member as it was put there."""
    if isinstance(value, Mapping):
        inner = sum(marks(member) for name, member in value.items() if name != MARK)
        return inner + (value.get(MARK) == KEPT)
    return sum(marks(item) for item in value) if isinstance(value, list) else 0


def newer(columns: Mapping[str, Any], schema: int = SCHEMA + 1) -> dict[str, Any]:
    """A row as the next version writes it: a schema of its own, members at every depth, and a column beside."""
    form = form_in(columns)
    beside = Form(columns={**form.columns, MARK: "column"}, schema=schema)
    return columns_of(str(columns["kind"]), with_marks(form.members), beside)


def with_members(columns: Mapping[str, Any], **members: Any) -> dict[str, Any]:
    """The row with these members."""
    form = form_in(columns)
    return columns_of(str(columns["kind"]), {**form.members, **members}, form)


async def rewrite(
    tables: MemoryTables,
    change: Callable[[Mapping[str, Any]], Mapping[str, Any]],
    table: str,
    prefix: str = "",
) -> int:
    """Change every record of a table whose row key begins so; returns how many."""
    count = 0
    async for row in tables.query_partitions(table):
        if row.row.startswith(prefix) and "kind" in row.values:
            await tables.replace(table, row.partition, row.row, change(row.values), row.etag)
            count += 1
    return count


async def records(tables: MemoryTables) -> dict[tuple[str, str, str], dict[str, Any]]:
    """The columns of every record of every table."""
    return {
        (table, row.partition, row.row): dict(row.values)
        for table in keys.TABLES
        async for row in tables.query_partitions(table)
        if "kind" in row.values
    }


def newer_message(text: str, **envelope: Any) -> str:
    """A queue message as the next version writes it."""
    return json.dumps({**with_marks(json.loads(text)), **envelope})
