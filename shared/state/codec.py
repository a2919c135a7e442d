"""Records to table columns and back.

A row is `schema`, `kind` and the record as JSON, cut into columns `data`, `data1`, … because a property holds at
most 64 KiB of UTF-16, in which an emoji takes four bytes. Two versions run side by side during a deployment
(docs/adr/0019): what this version does not know in a row, at any depth and beside the record, is written back as it
was read, and a row that it cannot read at all is left to the newer version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, Final, Generic, Self, TypeVar

import msgspec

from shared.domain.errors import UnknownForm

SCHEMA: Final = 1
PIECE_CHARACTERS: Final = 16_000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Form:
    """A row as it lies in its table: its schema number, the members of its record, further columns."""

    members: Mapping[str, Any] = field(default_factory=dict)
    columns: Mapping[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA


@dataclass(frozen=True, slots=True)
class Stored(Generic[T]):
    """A record with the ETag it was read under; `etag` None means it is new and must not exist yet.

    `read`: the value as it was read, whatever has become of it since, and `form` the row it stood in; None and empty
    where it is new.
    """

    value: T
    etag: str | None = None
    read: T | None = field(default=None, compare=False)
    form: Form = field(default_factory=Form, compare=False)

    @property
    def newer(self) -> bool:
        """Whether a newer version wrote the row, and said that it means more than this version knows."""
        return self.form.schema > SCHEMA

    def changed(self, value: T) -> Self:
        """The same row with another value."""
        return replace(self, value=value)

    def written(self, etag: str) -> Self:
        """The same row after it was written: what was changed is now what was read."""
        form = replace(self.form, members=members_of(self))
        return replace(self, etag=etag, read=self.value, form=form)


def encode(stored: Stored[Any]) -> dict[str, Any]:
    """Columns of a record."""
    return columns_of(type(stored.value).__name__, members_of(stored), stored.form)


def decode(kind: type[T], columns: Mapping[str, Any], etag: str) -> Stored[T]:
    """The record in these columns. Raises UnknownForm."""
    form = form_in(columns)
    value = read_as(kind, form.members)
    return Stored(value, etag, value, form)


def read_as(kind: type[T], members: Mapping[str, Any]) -> T:
    """The record that has these members; those that it does not know are left out. Raises UnknownForm."""
    try:
        return msgspec.convert(members, kind)
    except msgspec.ValidationError as err:
        raise UnknownForm from err


def members_of(stored: Stored[Any]) -> dict[str, Any]:
    """The members of a record as plain values, with those that this version does not know."""
    members: dict[str, Any] = _merged(stored.value, stored.read, stored.form.members)
    return members


def _merged(value: Any, read: Any, written: Any) -> Any:
    """A value as it is to be written: what has not changed since it was read stays as it was written, at any depth."""
    plain = msgspec.to_builtins(value)
    if is_dataclass(value) and isinstance(written, Mapping):
        if type(read) is not type(value):
            return plain
        known = {
            name: _kept(getattr(value, name), getattr(read, name), written[name])
            if name in written
            else fresh
            for name, fresh in plain.items()
        }
        return {**written, **known}
    if isinstance(value, tuple) and isinstance(written, list | tuple) and isinstance(read, tuple):
        return _merged_items(value, read, written)
    return plain


def _kept(value: Any, read: Any, written: Any) -> Any:
    return written if value == read else _merged(value, read, written)


def _merged_items(values: tuple[Any, ...], read: tuple[Any, ...], written: Any) -> list[Any]:
    """Items that were read stay as they were written; of as many items as before each is the one in its place."""
    same_places = len(values) == len(read) == len(written)
    found = []
    for place, value in enumerate(values):
        if same_places:
            found.append(_kept(value, read[place], written[place]))
        else:
            before = read.index(value) if value in read else len(written)
            found.append(written[before] if before < len(written) else msgspec.to_builtins(value))
    return found


def unknown_members(kind: type, members: Mapping[str, Any]) -> dict[str, Any]:
    """The members that a record of this kind does not have."""
    known = {member.name for member in fields(kind)}
    return {name: value for name, value in members.items() if name not in known}


def columns_of(kind: str, members: Mapping[str, Any], form: Form) -> dict[str, Any]:
    """Columns that hold these members, and what else stood in the row."""
    text = msgspec.json.encode(members).decode()
    columns = {**form.columns, "schema": max(SCHEMA, form.schema), "kind": kind}
    for number, start in enumerate(range(0, len(text), PIECE_CHARACTERS)):
        columns[_column(number)] = text[start : start + PIECE_CHARACTERS]
    return columns


def form_in(columns: Mapping[str, Any]) -> Form:
    """What these columns hold. Raises UnknownForm, also for a schema that is more than one version ahead."""
    schema = columns.get("schema", SCHEMA)
    if not isinstance(schema, int) or schema > SCHEMA + 1:
        raise UnknownForm
    text, number = "", 0
    while (piece := columns.get(_column(number))) is not None:
        text, number = text + str(piece), number + 1
    own = {"schema", "kind", *map(_column, range(number))}
    try:
        members = msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError as err:
        raise UnknownForm from err
    return Form(members, {name: value for name, value in columns.items() if name not in own}, schema)


def _column(number: int) -> str:
    return f"data{number}" if number else "data"
