"""Answers that the strict decoder refuses, read as far as they can be read.

Exchange keeps what mail programs wrote, and Graph hands it on: half a surrogate pair in a subject or a file name,
`null` where a person or a type should stand. What cannot be read costs that member, never the mail or the page.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final, TypeVar

import msgspec
from msgspec import inspect

from shared.telemetry import log

T = TypeVar("T")

# A backslash of the text itself, a whole pair, half of one, in this order: `\\\\ud83d` is plain letters.
_ESCAPE: Final = re.compile(
    rb"\\\\|\\u[dD][89aAbB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\(u[dD][89a-fA-F][0-9a-fA-F]{2})"
)
_REPLACED: Final = "\ufffd"
# Without one a list would end early, and mails or files be passed over without a word.
_NEEDED: Final = frozenset({"@odata.nextLink", "attachments@odata.nextLink"})
_PLAIN: Final[dict[type[inspect.Type], Any]] = {
    inspect.StrType: str,
    inspect.IntType: int,
    inspect.BoolType: bool,
}


class Unreadable(ValueError):
    """A member that the answer is nothing without is missing or does not fit."""


def readable(content: bytes) -> bytes:
    """JSON whose half characters have become U+FFFD.

    RFC 8259, 8.2: a text may hold escapes that are no Unicode character, such as a lone surrogate, and what readers
    make of it is unpredictable.
    """
    text = content.decode("utf-8", "replace").encode()
    return _ESCAPE.sub(lambda found: rb"\ufffd" if found[1] else found[0], text)


def decode(content: bytes, kind: type[T]) -> T:
    """A body as a wire type, without the members and items that do not fit.

    How many were passed over is logged. Raises Unreadable without a required member, or an item that is not to be
    left out, msgspec.DecodeError and RecursionError for what is no JSON.
    """
    pruning = _Pruning()
    fitting = pruning.fit(msgspec.json.decode(readable(content)), inspect.type_info(kind))
    if pruning.dropped:
        log.info("answer.mended", dropped=pruning.dropped)
    return msgspec.convert(fitting, kind)


class _Pruning:
    """Takes out what does not fit, and counts it."""

    def __init__(self) -> None:
        self.dropped = 0

    def fit(self, raw: Any, kind: inspect.Type) -> Any:
        """As much of a value as fits its type. Raises Unreadable."""
        match kind:
            case inspect.UnionType(types=types):
                return None if raw is None else self.fit(raw, types[0])
            case inspect.ListType(item_type=item):
                return self._fit_list(raw, item)
            case inspect.StructType():
                return self._fit_members(raw, kind)
            case inspect.AnyType():
                return raw
            case _:
                return _fit_plain(raw, kind)

    def _fit_list(self, raw: Any, kind: inspect.Type) -> list[Any]:
        if not isinstance(raw, list):
            raise Unreadable
        whole = isinstance(kind, inspect.StructType) and getattr(kind.cls, "not_left_out", False)
        found = []
        for item in raw:
            try:
                found.append(self.fit(item, kind))
            except Unreadable:
                if whole:
                    raise
                self.dropped += 1
        return found

    def _fit_members(self, raw: Any, kind: inspect.StructType) -> dict[str, Any]:
        if not isinstance(raw, dict):
            raise Unreadable
        found = {}
        for field in kind.fields:
            needed = field.required or field.encode_name in _NEEDED
            if field.encode_name not in raw:
                if field.required:
                    raise Unreadable
                continue
            try:
                value = self.fit(raw[field.encode_name], field.type)
            except Unreadable:
                if needed:
                    raise
                self.dropped += 1
                continue
            if needed and isinstance(value, str) and _REPLACED in value:
                raise Unreadable  # an id or address that was mended would name something else
            found[field.encode_name] = value
        return found


def _fit_plain(raw: Any, kind: inspect.Type) -> Any:
    """A text, number, truth value or time. Raises Unreadable."""
    wanted = _PLAIN.get(type(kind), datetime)
    try:
        value = msgspec.convert(raw, wanted)
    except msgspec.ValidationError as err:
        raise Unreadable from err
    if isinstance(value, datetime) and value.tzinfo is None:
        raise Unreadable  # a time of no zone is no time
    return value
