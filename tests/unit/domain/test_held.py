"""When a mail is held, and when it is looked at again (R14)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain import held
from shared.domain.errors import (
    AccessRefused,
    Ambiguous,
    GrantDead,
    ItemGone,
    ItemUnreadable,
    MailboxClosed,
    MailboxUnusable,
    OutcomeUnknown,
    ProviderUnavailable,
    RaceLost,
    StoreUnavailable,
    Throttled,
    UpstreamSurprise,
)
from shared.domain.held import STUB_BYTES, may_change
from shared.domain.model import Reason, RemoteFile
from tests.builders import NOW

ALONE = [
    ItemUnreadable(),
    AccessRefused(),
    UpstreamSurprise(),
    ProviderUnavailable(),
    Ambiguous(),
    KeyError("odd"),
]
OF_ALL = [
    Throttled(5.0),
    GrantDead(),
    MailboxUnusable(),
    StoreUnavailable(),
    OutcomeUnknown(),
    RaceLost(),
    MailboxClosed(),
    ItemGone(),
]


def test_what_one_mail_has_to_itself() -> None:
    """Refusals of an item, and faults over it, are held; what all mail meets, or the store says, is not."""
    assert [held.fails_alone(error) for error in ALONE] == len(ALONE) * [True]
    assert [held.fails_alone(error) for error in OF_ALL] == len(OF_ALL) * [False]


def test_an_outage_gets_its_quick_tries_first() -> None:
    """A 5xx is tried again at once before a mail is held for it; a refusal of the item is not."""
    assert [held.passes_soon(ProviderUnavailable(), attempts) for attempts in range(4)] == [
        True,
        True,
        False,
        False,
    ]
    assert not held.passes_soon(ItemUnreadable(), 0)


def test_pauses_grow_to_a_day() -> None:
    """Looks come after 1, 3, 10 and 30 minutes, then after 1, 4 and 12 hours, then once a day."""
    minutes = [held.pause_after(looks) // timedelta(minutes=1) for looks in range(1, 10)]
    assert minutes == [1, 3, 10, 30, 60, 240, 720, 1440, 1440]


@given(st.integers(-5, 10**6))
def test_every_look_has_a_next_one(looks: int) -> None:
    """Whatever a row says, the next look lies between a minute and a day ahead."""
    assert timedelta(minutes=1) <= held.pause_after(looks) <= timedelta(days=1)


def test_the_fifth_look_is_final() -> None:
    """What the look after all short pauses finds is told."""
    assert [held.is_final(looks) for looks in range(1, 6)] == [False, False, False, True, True]


def test_a_run_of_failures_is_an_outage_for_a_day() -> None:
    """Mails that fail together in a way an outage gives too wait for a day; one alone, or another error, does not."""
    error, soon, late = ProviderUnavailable(), NOW + timedelta(hours=2), NOW + timedelta(hours=24)
    assert held.waits_out(error, NOW, soon, 3)
    assert not held.waits_out(error, NOW, soon, 2)
    assert not held.waits_out(error, NOW, late, 3)
    assert not held.waits_out(ItemUnreadable(), NOW, soon, 3)


def test_whether_others_are_readable_decides() -> None:
    """Where a mail that was read before can be read, one fails alone; where it cannot, a week is waited, not longer."""
    soon, next_week = NOW + timedelta(hours=2), NOW + held.LONGEST_OUTAGE
    for error in (ProviderUnavailable(), ItemUnreadable(), KeyError()):
        assert not held.waits_out(error, NOW, soon, 9, others_readable=True)
        assert held.waits_out(error, NOW, NOW + timedelta(days=5), 0, others_readable=False)
        assert not held.waits_out(error, NOW, next_week, 0, others_readable=False)


def test_a_look_in_vain_is_counted_and_one_nobody_made_is_not() -> None:
    """Each look in vain makes the pause longer; what only waits keeps its place."""
    first = held.first_held(NOW, 3, "<a@b.c>")
    assert (first.look_at, first.looks, first.since) == (NOW + timedelta(minutes=1), 1, NOW)
    again = held.looked(replace(first, missing=2), NOW)
    assert (again.look_at, again.looks, again.missing) == (NOW + timedelta(minutes=3), 2, 0)
    assert held.put_off(again, NOW + timedelta(hours=5)).looks == 2
    assert held.waited(again, NOW) == replace(again, look_at=NOW + timedelta(minutes=30))


CHANGES = [
    (Reason.ATTACHMENT_UNREADABLE, 10_000_000, "file", True),
    (Reason.ATTACHMENT_TYPE, 0, "item", True),
    (Reason.ATTACHMENT_MISMATCH, STUB_BYTES, "file", True),
    (Reason.ATTACHMENT_MISMATCH, STUB_BYTES + 1, "file", False),
    (Reason.ATTACHMENT_TYPE, 300, "file", False),
    (Reason.ATTACHMENT_TOO_LARGE, 4_000_000, "file", False),
    (Reason.ATTACHMENT_EMPTY, 0, "file", False),
]


@pytest.mark.parametrize(("reason", "size", "kind", "changes"), CHANGES)
def test_which_verdicts_may_change(reason: Reason, size: int, kind: str, changes: bool) -> None:
    """An item, a small file of other content and an unreadable one may be scanned still; size and type are final."""
    assert may_change(reason, size, kind) is changes


def test_one_final_file_settles_a_mail_unless_files_are_left_out() -> None:
    """A mail with a final verdict does not wait for its other files; where files are left out each one counts."""
    item = (RemoteFile("1", "x", None, 10, inline=False, kind="item"), Reason.ATTACHMENT_TYPE)
    program = (RemoteFile("2", "a.exe", None, 10, inline=False, kind="file"), Reason.ATTACHMENT_TYPE)
    assert held.is_unsettled([item], leaves_out=False)
    assert not held.is_unsettled([item, program], leaves_out=False)
    assert held.is_unsettled([item, program], leaves_out=True)
    assert not held.is_unsettled([program], leaves_out=True)
    assert not held.is_unsettled([], leaves_out=False)


def test_a_look_that_was_asked_for_is_not_counted() -> None:
    """After a look in vain that somebody asked for the next one comes when it would have come anyway."""
    first = held.first_held(NOW, 1)
    asked = held.asked_for(held.asked_for(first, NOW), NOW + timedelta(seconds=5))
    assert held.looked(asked, NOW + timedelta(seconds=9)) == first
    late = held.looked(asked, first.look_at + timedelta(seconds=1))
    assert (late.looks, late.planned_at) == (first.looks, None)
    assert late.look_at > first.look_at
