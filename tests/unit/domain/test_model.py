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
    one
    for one in vars(model).values()
    if isinstance(one, type) and is_dataclass(one) and one.__module__.startswith("shared.domain")
]


@pytest.mark.parametrize("kind", RECORDS, ids=lambda one: one.__name__)
def test_values_are_frozen(kind: Any) -> None:
    """Nobody changes what somebody else holds, and a misspelled member is an error."""
    assert kind.__dataclass_params__.frozen
    assert "__slots__" in vars(kind)


def test_there_are_values() -> None:
    """The list above is no empty one, and a frozen value refuses."""
    assert len(RECORDS) > 30
    with pytest.raises(FrozenInstanceError):
        a_mailbox().generation = 2  # type: ignore[misc]


def test_two_phases_are_final() -> None:
    """All others are looked at again, also the one that needs attention."""
    assert {one for one in Phase if one.final} == {Phase.SENT, Phase.FAILED}


def test_a_mailbox_has_all_its_addresses() -> None:
    """Aliases mean its user as well."""
    assert a_mailbox(aliases=(CAL,)).own_addresses == (ANN, CAL)
    assert a_mailbox().own_addresses == (ANN,)


def test_everyone_on_a_mail() -> None:
    """Sender first; a mail without one has the rest."""
    assert [one.address for one in people(BEA, (ANN,), (CAL,)).everyone()] == [BEA, ANN, CAL]
    assert People(None, (Address(ANN),)).everyone() == (Address(ANN),)


@given(times, times)
def test_refs_of_events_sort_by_time(one: datetime, other: datetime) -> None:
    """As texts, which is how a table lists them."""
    if one < other:
        assert event(at=one).ref < event(at=other).ref
    assert (event(at=one).ref == event(at=other).ref) == (one == other)


def test_a_ref_is_the_same_in_every_time_zone() -> None:
    """The moment counts, not how it is written."""
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
    """Neither in a traceback nor in a log (L-1)."""
    assert "canary" not in repr(value)
    assert {one.name for one in fields(value) if not one.repr} == {"cache", "access_token"}
