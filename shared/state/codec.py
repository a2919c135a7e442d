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
    """A record with the ETag it was read under; `etag` None means it is new and must not exist yet.

    `read`: the value as it was read, whatever has become of it since; None where it is new.
    """

    value: T
    etag: str | None = None
    unknown: Mapping[str, Any] = field(default_factory=dict)
    read: T | None = field(default=None, compare=False)

    def changed(self, value: T) -> Self:
        """The same row with another value."""
        return replace(self, value=value)

    def written(self, etag: str) -> Self:
        """The same row after it was written: what was changed is now what was read."""
        return replace(self, etag=etag, read=self.value)


def encode(stored: Stored[Any]) -> dict[str, str | int]:
    """Columns of a record."""
    return columns_of(type(stored.value).__name__, members_of(stored.value, stored.unknown))


def decode(kind: type[T], columns: Mapping[str, Any], etag: str) -> Stored[T]:
    """The record in these columns. Raises msgspec.ValidationError when the row is not of that kind."""
    members = members_in(columns)
    value = msgspec.convert(members, kind)
    return Stored(value, etag, unknown_members(kind, members), value)


def members_of(value: Any, unknown: Mapping[str, Any]) -> dict[str, Any]:
    """The members of a record as plain values, with those that this version does not know."""
    return {**unknown, **msgspec.to_builtins(value)}


def unknown_members(kind: type, members: Mapping[str, Any]) -> dict[str, Any]:
    """The members that a record of this kind does not have."""
    known = kind.__dataclass_fields__  # type: ignore[attr-defined]  # every record is a dataclass
    return {name: value for name, value in members.items() if name not in known}


def columns_of(kind: str, members: Mapping[str, Any]) -> dict[str, str | int]:
    """Columns that hold these members."""
    text = msgspec.json.encode(members).decode()
    columns: dict[str, str | int] = {"schema": SCHEMA, "kind": kind}
    for number, start in enumerate(range(0, len(text), PIECE_CHARACTERS)):
        columns[_column(number)] = text[start : start + PIECE_CHARACTERS]
    return columns


def members_in(columns: Mapping[str, Any]) -> dict[str, Any]:
    """The members that these columns hold."""
    text, number = "", 0
    while (piece := columns.get(_column(number))) is not None:
        text, number = text + str(piece), number + 1
    members: dict[str, Any] = msgspec.json.decode(text)
    return members


def _column(number: int) -> str:
    return f"data{number}" if number else "data"
