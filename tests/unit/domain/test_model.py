"""What holds for every value the rules speak of."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, is_dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given

from shared.domain import model
from shared.domain.model import Address, Grant, People, Phase, Refreshed
from tests.builders import ANN, BEA, CAL, NOW, a_mailbox, event, people
from tests.strategies import times

RECORDS = [
    member
    for member in vars(model).values()
    if isinstance(member, type) and is_dataclass(member) and member.__module__.startswith("shared.domain")
]


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_values_are_frozen(kind: Any) -> None:
    """Every value of the domain is a frozen dataclass with slots."""
    assert kind.__dataclass_params__.frozen
    assert "__slots__" in vars(kind)


def test_there_are_values() -> None:
    """There are more than 30 domain values, and a frozen one refuses to be changed."""
    assert len(RECORDS) > 30
    with pytest.raises(FrozenInstanceError):
        a_mailbox().generation = 2  # type: ignore[misc]


def test_two_phases_are_final() -> None:
    """Only `sent` and `failed` are final phases of a send."""
    assert {phase for phase in Phase if phase.final} == {Phase.SENT, Phase.FAILED}


def test_a_mailbox_has_all_its_addresses() -> None:
    """A mailbox's own addresses are its address and its aliases."""
    assert a_mailbox(aliases=(CAL,)).own_addresses == (ANN, CAL)
    assert a_mailbox().own_addresses == (ANN,)


def test_everyone_on_a_mail() -> None:
    """Everyone on a mail is its sender, if any, and its recipients, in that order."""
    assert [person.address for person in people(BEA, (ANN,), (CAL,)).everyone()] == [BEA, ANN, CAL]
    assert People(None, (Address(ANN),)).everyone() == (Address(ANN),)


@given(times, times)
def test_refs_of_events_sort_by_time(first: datetime, second: datetime) -> None:
    """Refs of events sort as texts in the order of time."""
    if first < second:
        assert event(at=first).ref < event(at=second).ref
    assert (event(at=first).ref == event(at=second).ref) == (first == second)


def test_a_ref_is_the_same_in_every_time_zone() -> None:
    """An event's ref is the same for the same moment in any time zone."""
    east = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert event(at=east).ref == event(at=NOW).ref == "20260302T093000.000000Z|evt_1"


@pytest.mark.parametrize(
    "value",
    [
        Grant("tid", "oid", ANN, "canary-cache", "canary-token", NOW, ()),
        Refreshed("canary-cache", "canary-token", NOW),
    ],
)
def test_tokens_do_not_show_themselves(value: Any) -> None:
    """The repr of a value that holds tokens shows none of them (L-1)."""
    assert "canary" not in repr(value)
    assert {field.name for field in fields(value) if not field.repr} == {"cache", "access_token"}
