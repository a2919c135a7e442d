"""What is read as JSON, and that nothing else is."""

from __future__ import annotations

import json
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import BodyTooLarge, InvalidRequest, MalformedBody
from shared.json_reader import MAX_DEPTH, MAX_NUMBER_CHARACTERS, read_json

LIMIT = 1 << 20


class Person(msgspec.Struct, forbid_unknown_fields=True):
    address: str
    name: str = ""


class Letter(msgspec.Struct, forbid_unknown_fields=True):
    to: list[Person]
    subject: str = ""
    size: int = 0
    notes: dict[str, int] = {}


def read(body: bytes, kind: Any = Any) -> Any:
    return read_json(body, LIMIT, kind)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a": [1, -2.5, true, null, "x"]}', {"a": [1, -2.5, True, None, "x"]}),
        (b" \r\n\t7 ", 7),
        (b'""', ""),
        (b"1e300", 1e300),
        (b"-0", 0),
        ('"B\u00fccher \u2603 \U0001f600"'.encode(), "B\u00fccher \u2603 \U0001f600"),
        (rb'"\ud83d\ude00"', "\U0001f600"),
        (rb'"\u0000"', "\x00"),
        (b'{"a": {"x": 1}, "b": {"x": 1}}', {"a": {"x": 1}, "b": {"x": 1}}),
        (b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, None),
        (b"[" + b"[],{}," * 200 + b"1]", [*[[], {}] * 200, 1]),
        (b"9" * MAX_NUMBER_CHARACTERS, int("9" * MAX_NUMBER_CHARACTERS)),
        (b'"[[[[' + b"[" * 100 + b'"', "[[[[" + "[" * 100),
        (rb'"\"' + b"{" * 100 + rb'\\"', '"' + "{" * 100 + "\\"),
    ],
)  # fmt: skip
def test_json_is_read(body: bytes, value: Any) -> None:
    """JSON within the reader's bounds is read, brackets in strings included."""
    found = read(body)
    assert value is None or found == value


REFUSED = {
    "nothing": b"",
    "white space": b"  ",
    "a form": b"a=1",
    "a byte-order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "bad UTF-8": b'{"a": "\xff"}',
    "overlong UTF-8": b'"\xc0\xaf"',
    "an encoded surrogate": b'"\xed\xa0\x80"',
    "a lone surrogate": rb'{"a": "\ud800"}',
    "a lone surrogate in a name": rb'{"\udfff": 1}',
    "surrogates in the wrong order": rb'"\ude00\ud83d"',
    "NaN": b"NaN",
    "Infinity": b'{"a": Infinity}',
    "-Infinity": b"[-Infinity]",
    "a float without bound": b"1e400",
    "a negative float without bound": b"-1e400",
    "a long integer": b"9" * (MAX_NUMBER_CHARACTERS + 1),
    "an endless integer": b"9" * 100_000,
    "a long float": b"0." + b"1" * MAX_NUMBER_CHARACTERS,
    "a member twice": b'{"a": 1, "a": 1}',
    "a member twice, spelled otherwise": rb'{"a": 1, "\u0061": 2}',
    "a member twice, deep inside": b'[{"x": {"a": 1, "a": null}}]',
    "65 levels of lists": b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
    "65 levels of objects": b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1),
    "65 levels behind many lists": b"[" + b"[]," * 200 + b"[" * MAX_DEPTH + b"]" * (MAX_DEPTH + 1),
    "endless levels": b"[" * 200_000,
    "endless levels behind a string": b'["\\\\",' + b"[" * 200_000,
    "a comment": b"{} // x",
    "single quotes": b"{'a': 1}",
    "a trailing comma": b"[1,]",
    "two values": b"{}{}",
    "a control in a string": b'"a\nb"',
    "NUL behind": b"{}\x00",
    "an open string": b'{"a": "b',
    "a strange escape": rb'"\x41"',
    "leading zeros": b"007",
}  # fmt: skip


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED)
def test_anything_else_is_malformed(body: bytes) -> None:
    """Anything that is not strict JSON within bounds is malformed (X-3)."""
    with pytest.raises(MalformedBody):
        read(body)


@pytest.mark.parametrize("body", [b'"' + b'\\"' * 500_000, b'\\"' * 500_000, b'"' + b"\\" * 500_001])
def test_no_body_takes_long_to_refuse(body: bytes) -> None:
    """A body with an endless string is refused in time linear to its length."""
    before = time.process_time()
    with pytest.raises(MalformedBody):
        read(body)
    assert time.process_time() - before < 1


def test_the_length_is_judged_first() -> None:
    """A body over the limit is refused before it is parsed, and one of the limit is read."""
    assert read_json(b'"abc"', 5, str) == "abc"
    with pytest.raises(BodyTooLarge, match="at most 5 bytes"):
        read_json(b'"abcd"', 5, str)


SHAPES = [
    (b"[]", ""),
    (b"{}", ""),
    (b'{"to": {}}', "/to"),
    (b'{"to": [{"address": 7}]}', "/to/0/address"),
    (b'{"to": [{"address": "a"}, {"name": "x"}]}', "/to/1"),
    (b'{"to": [], "subject": null}', "/subject"),
    (b'{"to": [], "size": 1.5}', "/size"),
    (b'{"to": [], "size": "1"}', "/size"),
    (b'{"to": [], "notes": {"x": "1"}}', "/notes/-"),
    (b'{"to": [], "from": "ann@northwind.example"}', ""),
]


@pytest.mark.parametrize(("body", "pointer"), SHAPES)
def test_another_shape_is_told_by_a_pointer(body: bytes, pointer: str) -> None:
    """JSON of another shape is refused with a pointer to the member, and unknown members as well (X-4)."""
    with pytest.raises(InvalidRequest) as caught:
        read(body, Letter)
    assert not isinstance(caught.value, MalformedBody)
    (error,) = caught.value.errors
    assert error.pointer == pointer
    assert error.detail
    assert "northwind" not in error.detail


def test_the_shape_that_was_asked_for_is_given() -> None:
    """JSON of the asked shape is given as that type, with defaults."""
    assert read(b'{"to": [{"address": "a@b.example"}]}', Letter) == Letter([Person("a@b.example")])


FLOATS = st.floats(allow_nan=False, allow_infinity=False)
LEAVES = st.none() | st.booleans() | st.integers(-(10**30), 10**30) | FLOATS | st.text(max_size=20)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES, st.booleans())
def test_what_a_program_writes_is_read_as_it_was_meant(value: Any, escaped: bool) -> None:
    """Any JSON value that a program writes, escaped or not, is read back the same."""
    assert read(json.dumps(value, ensure_ascii=escaped).encode()) == value


@given(st.binary(max_size=60) | st.text(alphabet='{}[]":,\\ u0d8eE-+.1\ufeff', max_size=40).map(str.encode))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """Any bytes are read or refused as malformed, and what was read can be written as UTF-8."""
    try:
        found = read(body)
    except MalformedBody:
        return
    json.dumps(found, ensure_ascii=False).encode()
