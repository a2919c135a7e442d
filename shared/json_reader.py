"""The one reader of JSON from outside: strict where Python's own is not (X-3).

Refused: a byte-order mark, bad UTF-8, NaN and Infinity, duplicate members, more than 64 levels, numbers without
bound, lone surrogates. What remains is checked against a type with allowed members only (X-4).
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, TypeVar

import msgspec

from shared.domain.errors import BodyTooLarge, FieldError, InvalidRequest, MalformedBody

MAX_DEPTH: Final = 64
MAX_NUMBER_CHARACTERS: Final = 32

T = TypeVar("T")

# Possessive, and content with a string that never ends: no input makes it look at a byte twice.
_STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_BRACKET: Final = re.compile(rb"[\[\]{}]")
_AT: Final = re.compile(r" - at `\$(?P<path>.*)`$")
_STEP: Final = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\[\.\.\.\]")


def read_json(body: bytes, limit_bytes: int, kind: type[T]) -> T:
    """The body as a value of `kind`.

    Raises BodyTooLarge, MalformedBody (not JSON as we read it), InvalidRequest with pointers (JSON of another shape).
    """
    if len(body) > limit_bytes:
        raise BodyTooLarge(f"The body may have at most {limit_bytes} bytes.")
    content = _parse(body)
    try:
        return msgspec.convert(content, kind)
    except msgspec.ValidationError as err:
        raise _invalid(str(err)) from err


def _parse(body: bytes) -> Any:
    if _depth(body) > MAX_DEPTH:
        raise MalformedBody("deeper than 64 levels")
    try:
        text = body.decode("utf-8")
        content = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
            parse_int=_bounded_int,
            parse_float=_bounded_float,
        )
        json.dumps(content, ensure_ascii=False).encode("utf-8")
    except (UnicodeDecodeError, UnicodeEncodeError) as err:
        raise MalformedBody("not UTF-8 throughout") from err
    except json.JSONDecodeError as err:
        raise MalformedBody(f"not JSON at character {err.pos}") from err
    return content


def _depth(body: bytes) -> int:
    """The deepest nesting, counted before anything is parsed (the parser's own recursion must not decide)."""
    deepest = level = 0
    for bracket in _BRACKET.findall(_STRING.sub(b"", body)):
        level += 1 if bracket in (b"[", b"{") else -1
        deepest = max(deepest, level)
    return deepest


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise MalformedBody("a member came twice")
    return members


def _refuse_constant(name: str) -> Any:
    raise MalformedBody(f"{name} is no JSON")


def _bounded_int(text: str) -> int:
    if len(text) > MAX_NUMBER_CHARACTERS:
        raise MalformedBody("a number is too long")
    return int(text)


def _bounded_float(text: str) -> float:
    number = float(text)
    if len(text) > MAX_NUMBER_CHARACTERS or number in (float("inf"), float("-inf")):
        raise MalformedBody("a number is out of bounds")
    return number


def _invalid(message: str) -> InvalidRequest:
    """Msgspec's sentence with its path as a JSON pointer (RFC 6901)."""
    found = _AT.search(message)
    detail = message[: found.start()] if found else message
    path = found["path"] if found else ""
    steps = [name or number or "-" for name, number in _STEP.findall(path)]
    pointer = "".join(f"/{step.replace('~', '~0').replace('/', '~1')}" for step in steps)
    return InvalidRequest("The request does not have the expected shape.", (FieldError(pointer, detail),))
