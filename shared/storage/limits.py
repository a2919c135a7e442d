"""The service's limits, checked before anything is sent; Azure's clients and the in-memory stores use them.

Sources: Azure Storage, "Understanding the Table service data model" (keys, properties, sizes) and "Performing entity
group transactions".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum, StrEnum

from shared.domain.errors import TooLarge
from shared.storage.api import Delete, Op, Value

KEY_BYTES = 1024
PROPERTY_COUNT = 252
PROPERTY_NAME_LENGTH = 255
PROPERTY_BYTES = 64 * 1024
ENTITY_BYTES = 1024 * 1024
TRANSACTION_OPERATIONS = 100
TRANSACTION_BYTES = 4 * 1024 * 1024

_FORBIDDEN_IN_KEY = re.compile(r"[/\\#?\x00-\x1f\x7f-\x9f]")
_COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SYSTEM_COLUMNS = frozenset({"PartitionKey", "RowKey", "Timestamp"})
_OLDEST = datetime(1601, 1, 1, tzinfo=UTC)
_LARGEST_INT = 2**63


def check_keys(*keys: str) -> None:
    """Refuse partition or row keys that the service would not take: a mistake of ours, so ValueError."""
    for key in keys:
        if len(key) * 2 > KEY_BYTES or _FORBIDDEN_IN_KEY.search(key):
            message = f"a key of {len(key)} characters is too long or holds a forbidden character"
            raise ValueError(message)


def check_row(partition: str, row: str, values: Mapping[str, Value]) -> int:
    """Size of the row in bytes as the service counts it. Raises TooLarge; ValueError for what cannot be stored."""
    check_keys(partition, row)
    present = {name: value for name, value in values.items() if value is not None}
    if len(present) > PROPERTY_COUNT:
        raise TooLarge(f"{len(present)} columns, {PROPERTY_COUNT} are allowed")
    size = 4 + 2 * (len(partition) + len(row)) + sum(_column_bytes(*item) for item in present.items())
    if size > ENTITY_BYTES:
        raise TooLarge(f"a row of {size} bytes, {ENTITY_BYTES} are allowed")
    return size


def _column_bytes(name: str, value: Value) -> int:
    if not _COLUMN.fullmatch(name) or name in _SYSTEM_COLUMNS or len(name) > PROPERTY_NAME_LENGTH:
        message = f"no column name: {name!r}"
        raise ValueError(message)
    size = _value_bytes(name, value)
    if size > PROPERTY_BYTES:
        raise TooLarge(f"column {name} has {size} bytes, {PROPERTY_BYTES} are allowed")
    return 8 + 2 * len(name) + size


def _value_bytes(name: str, value: Value) -> int:
    if _is_stored_by_name(value):
        message = f"column {name}: the client would write the name of {value!r}, not its value"
        raise ValueError(message)
    match value:
        case str():
            return 2 * len(value) if value.isascii() else len(value.encode("utf-16-le"))
        case bytes():
            return len(value)
        case bool():
            return 1
        case int() if -_LARGEST_INT <= value < _LARGEST_INT:
            return 8
        case float():
            return 8
        case datetime() if value.tzinfo is not None and value >= _OLDEST:
            return 8
        case _:
            message = f"column {name} cannot hold this {type(value).__name__}"
            raise ValueError(message)


def _is_stored_by_name(value: object) -> bool:
    """Enumerations that are not a StrEnum become the text `Class.NAME` in the client."""
    return isinstance(value, Enum) and not isinstance(value, StrEnum)


def check_transaction(partition: str, ops: Sequence[Op]) -> None:
    """Refuse what cannot be one entity group transaction. Raises TooLarge, ValueError."""
    if not 1 <= len(ops) <= TRANSACTION_OPERATIONS:
        raise TooLarge(f"{len(ops)} operations, 1 to {TRANSACTION_OPERATIONS} make a transaction")
    if len({op.row for op in ops}) != len(ops):
        message = "a row may appear only once in a transaction"
        raise ValueError(message)
    size = sum(_operation_bytes(partition, op) for op in ops)
    if size >= TRANSACTION_BYTES:
        raise TooLarge(f"a transaction of about {size} bytes, {TRANSACTION_BYTES} are allowed")


def _operation_bytes(partition: str, op: Op) -> int:
    """About what the operation weighs on the wire: JSON in UTF-8, binary as base64, some 600 bytes of headers."""
    if isinstance(op, Delete):
        check_keys(op.row)
        return 600
    check_row(partition, op.row, op.values)
    return 600 + sum(len(name) * 2 + 30 + _wire_bytes(value) for name, value in op.values.items())


def _wire_bytes(value: Value) -> int:
    match value:
        case str():
            return len(value) if value.isascii() else len(value.encode("utf-8", "surrogatepass"))
        case bytes():
            return len(value) * 4 // 3 + 4
        case _:
            return 30
