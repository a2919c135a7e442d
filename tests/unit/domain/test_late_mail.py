"""Which mail came so late that its answers may have been taken for foreign, and how sweeps go back for them."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from shared.domain.inbound import answers_missed_since, is_long_ago, may_answer
from shared.domain.renewals import (
    SWEEP_ACTIVE_EVERY,
    SWEEP_LEASE,
    sweep_since,
    with_sweep_again_from,
    with_sweep_taken,
)
from tests.builders import NOW, a_mailbox, later, outline


@pytest.mark.parametrize(
    ("received_at", "listed_since", "since"),
    [
        (None, None, None),
        (later(minutes=-8), None, None),
        (later(minutes=-9), None, later(minutes=-9)),
        (later(minutes=-9), later(minutes=-9), None),
        (later(minutes=-9), later(minutes=-8), later(minutes=-9)),
    ],
    ids=["no time", "in time", "late", "within this sweep", "older than this sweep"],
)
def test_late_is_what_the_next_sweep_does_not_list(
    received_at: datetime | None, listed_since: datetime | None, since: datetime | None
) -> None:
    """Answers are missing only of mail that neither the next sweep nor the one under way lists from its time on."""
    assert answers_missed_since(outline(received_at=received_at), listed_since, NOW) == since


def test_a_week_is_swept_again() -> None:
    """Within a week the sweep goes back; further back it would list too much."""
    assert not is_long_ago(later(days=-7), NOW)
    assert is_long_ago(later(days=-7, seconds=-1), NOW)


def test_an_answer_has_left_and_came_later() -> None:
    """A draft, the mail itself and what came before it answer nothing; what has no time may."""
    mail = outline(graph_message_id="a", received_at=NOW)
    assert not may_answer(mail, mail)
    assert not may_answer(outline(graph_message_id="b", received_at=later(seconds=1), is_draft=True), mail)
    assert not may_answer(outline(graph_message_id="b", received_at=later(seconds=-1)), mail)
    assert may_answer(outline(graph_message_id="b", received_at=NOW), mail)
    assert may_answer(outline(graph_message_id="b", received_at=None), mail)


def test_the_earliest_time_that_was_asked_for_counts() -> None:
    """Of several times from which a sweep was asked for the earliest counts, and the sweep comes in a quarter hour."""
    asked = with_sweep_again_from(a_mailbox(sweep_at=later(hours=6)), later(hours=-2), NOW)
    assert asked.sweep_at == NOW + SWEEP_ACTIVE_EVERY
    assert with_sweep_again_from(asked, later(hours=-1), NOW) == asked
    assert with_sweep_again_from(asked, None, NOW) == asked
    assert with_sweep_again_from(asked, later(hours=-3), NOW).sweep_again_from == later(hours=-3)


@pytest.mark.parametrize(
    ("cursor", "again", "begins"),
    [(0, -60, -60), (-90, -60, -90), (0, None, 0), (None, -60, -60)],
    ids=["back", "not forward", "nothing asked", "never swept"],
)
def test_a_sweep_begins_where_it_was_asked_to(cursor: int | None, again: int | None, begins: int) -> None:
    """Who takes a sweep begins at the time that was asked for, if the cursor stands behind it."""
    mailbox = a_mailbox(
        sweep_cursor=None if cursor is None else later(minutes=cursor),
        sweep_again_from=None if again is None else later(minutes=again),
    )
    taken = with_sweep_taken(mailbox, NOW)
    assert (taken.sweep_again_from, taken.sweep_leased_until) == (None, NOW + SWEEP_LEASE)
    assert sweep_since(taken, NOW) == later(minutes=begins) - timedelta(minutes=10)
