"""Records to table columns and back.

A row is `schema`, `kind` and the record as JSON, cut into columns `data`, `data1`, … because a property holds at
most 64 KiB of UTF-16, in which an emoji takes four bytes. Members that this version does not know are kept and
written back (two versions run side by side during a deployment).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Generic, Self, TypeVar

import msgspec

SCHEMA: Final = 1
PIECE_CHARACTERS: Final = 16_000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Stored(Generic[T]):
    """A record with the ETag it was read under; `etag` None means it is new and must not exist yet."""

    value: T
    etag: str | None = None
    unknown: Mapping[str, Any] = field(default_factory=dict)

    def changed(self, value: T) -> Self:
        """The same row with another value."""
        return replace(self, value=value)


def encode(stored: Stored[Any]) -> dict[str, str | int]:
    """Columns of a record."""
    members = {**stored.unknown, **msgspec.to_builtins(stored.value)}
    text = msgspec.json.encode(members).decode()
    columns: dict[str, str | int] = {"schema": SCHEMA, "kind": type(stored.value).__name__}
    for number, start in enumerate(range(0, len(text), PIECE_CHARACTERS)):
        columns[_column(number)] = text[start : start + PIECE_CHARACTERS]
    return columns


def decode(kind: type[T], columns: Mapping[str, Any], etag: str) -> Stored[T]:
    """The record in these columns. Raises msgspec.ValidationError when the row is not of that kind."""
    text, number = "", 0
    while (piece := columns.get(_column(number))) is not None:
        text, number = text + str(piece), number + 1
    members: dict[str, Any] = msgspec.json.decode(text)
    known = _names(kind)
    unknown = {name: value for name, value in members.items() if name not in known}
    return Stored(msgspec.convert(members, kind), etag, unknown)


def _column(number: int) -> str:
    return f"data{number}" if number else "data"


def _names(kind: type) -> frozenset[str]:
    return frozenset(kind.__dataclass_fields__)  # type: ignore[attr-defined]  # every record is a dataclass
