"""Hypothesis: any value a rule or a table may meet, built from the types of the fields themselves."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from enum import Enum
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

R = TypeVar("R")

times = st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - bounds are naive by contract
texts = st.text(max_size=40)
numbers = st.integers(-(2**40), 2**40)
# Members that the API bounds: a send waits for a minute to thirty days.
BOUNDED = {"send_within_seconds": st.integers(60, 2_592_000)}
message_ids = st.from_regex(r"<[a-z0-9]{1,4}@[a-z]{1,3}>", fullmatch=True)


def records(kind: type[R], **chosen: st.SearchStrategy[Any]) -> st.SearchStrategy[R]:
    """Any record of that dataclass: optional members vary too, which `st.builds` alone leaves at their defaults."""
    hints = get_type_hints(kind)
    known = {**BOUNDED, **chosen}
    made = {field.name: known.get(field.name, _of(hints[field.name])) for field in fields(kind)}  # type: ignore[arg-type]
    return st.builds(kind, **made)


def _of(hint: Any) -> st.SearchStrategy[Any]:
    if get_origin(hint) in {Union, UnionType}:
        return st.one_of([_of(argument) for argument in get_args(hint)])
    if get_origin(hint) is tuple:
        return _tuple(get_args(hint))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return st.sampled_from(hint)
    if hint is type(None):
        return st.none()
    return _plain(hint)


def _plain(hint: Any) -> st.SearchStrategy[Any]:
    simple = {str: texts, int: numbers, bool: st.booleans(), bytes: st.binary(max_size=40), datetime: times}
    return simple[hint] if hint in simple else records(hint)


def _tuple(members: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    if len(members) == 2 and members[1] is Ellipsis:
        return st.lists(_of(members[0]), max_size=3).map(tuple)
    return st.tuples(*[_of(member) for member in members])
