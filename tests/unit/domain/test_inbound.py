"""What is done with a mail that a notification or a sweep pointed at."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.inbound import (
    COPY_WITHIN,
    VANISHED_TRIES_SECONDS,
    Echo,
    Look,
    Skip,
    Trace,
    Wait,
    before_looking,
    by_outline,
    direction_of,
    is_copy,
    may_answer_an_unseen_copy,
    when_missing,
    when_unknown,
)
from shared.domain.model import (
    Address,
    Direction,
    FenceState,
    Mailbox,
    MessageIndex,
    Outline,
    Reason,
    Right,
    Seen,
)
from tests.builders import ANN, BEA, KEY, NOW, a_mailbox, index, later, outline, seen
from tests.strategies import numbers, records, times

CLOSED = a_mailbox(state=FenceState.CLOSED)
PAUSED = a_mailbox(paused_until=later(seconds=30))

# mailbox, generation of the hint, seen row, decision
BEFORE_CASES: list[tuple[str, Mailbox | None, int | None, Seen | None, Any]] = [
    ("never connected", None, 1, None, Skip(Reason.DISCONNECTED)),
    ("disconnected", CLOSED, 1, None, Skip(Reason.DISCONNECTED)),
    ("disconnected and seen", CLOSED, 1, seen(), Skip(Reason.DISCONNECTED)),
    ("of an older connection", a_mailbox(generation=2), 1, None, Skip(Reason.STALE)),
    ("of a connection that this worker does not know yet", a_mailbox(), 2, None, Skip(Reason.STALE)),
    ("seen", a_mailbox(), 1, seen(), Skip(Reason.ALREADY_SEEN)),
    ("seen while paused", PAUSED, 1, seen(), Skip(Reason.ALREADY_SEEN)),
    ("paused", PAUSED, 1, None, Wait(later(seconds=30))),
    ("pause over this very moment", a_mailbox(paused_until=NOW), 1, None, Look()),
    ("pause long over", a_mailbox(paused_until=later(days=-1)), 1, None, Look()),
    ("found by a sweep, which knows no generation", a_mailbox(generation=7), None, None, Look()),
    ("new", a_mailbox(), 1, None, Look()),
]


@pytest.mark.parametrize(
    ("_case", "own", "generation", "known", "decision"), BEFORE_CASES, ids=[one[0] for one in BEFORE_CASES]
)
def test_before_looking(
    _case: str, own: Mailbox | None, generation: int | None, known: Seen | None, decision: Any
) -> None:
    """A shut mailbox, an old generation and a seen mail cost no call to Graph; a pause is waited for."""
    assert before_looking(own, generation, known, NOW) == decision


@pytest.mark.parametrize(
    ("changes", "hinted", "decision"),
    [
        ({}, True, Skip(Reason.GRANT_DEAD)),
        ({}, False, Look()),
        ({"sweep_at": None}, True, Look()),
        ({"grant_dead": False}, True, Look()),
        ({"denied_by_graph": True, "denied_right": Right.WRITE}, True, Look()),
        ({"denied_by_graph": True, "denied_right": Right.SUBSCRIBE}, True, Look()),
        ({"denied_by_graph": True, "denied_right": Right.READ}, True, Skip(Reason.GRANT_DEAD)),
    ],
    ids=[
        "a hint",
        "found by a sweep, or to be looked at again",
        "no sweep will come",
        "the grant lives",
        "Graph denies sending",
        "Graph denies subscriptions",
        "Graph denies reading",
    ],
)
def test_a_hint_is_no_work_while_the_grant_is_dead(
    changes: dict[str, Any], decision: Any, *, hinted: bool
) -> None:
    """The sweep after the repair finds it; only where none would come, the mail is looked at all the same."""
    own = a_mailbox(**{"grant_dead": True, "sweep_at": later(days=1), **changes})
    assert before_looking(own, 1, None, NOW, hinted=hinted) == decision


@given(st.none() | records(Mailbox), st.none() | numbers, st.none() | records(Seen), times)
def test_every_hint_gets_a_decision(
    own: Mailbox | None, generation: int | None, known: Seen | None, now: datetime
) -> None:
    """Whatever the rows say, there is one answer, and only an open mailbox of that generation is looked through."""
    decision = before_looking(own, generation, known, now)
    match decision:
        case Look():
            assert own is not None
            assert own.state is FenceState.OPEN
            assert generation in {None, own.generation}
            assert known is None
        case Wait(until):
            assert until > now
        case Skip(reason):
            assert reason in {Reason.DISCONNECTED, Reason.STALE, Reason.ALREADY_SEEN}


@pytest.mark.parametrize(
    ("mail", "decision"),
    [
        (outline(is_draft=True), Skip(Reason.DRAFT)),
        (outline(is_draft=True, key=KEY), Skip(Reason.DRAFT)),
        (outline(key=KEY), Echo(KEY)),
        (outline(key=KEY, in_reply_to="<a@x>"), Echo(KEY)),
        (outline(), Trace()),
        (outline(internet_message_id=None, conversation_id=None), Trace()),
    ],
    ids=[
        "a draft",
        "our own draft",
        "our own send",
        "our own reply",
        "somebody's mail",
        "a mail without ids",
    ],
)
def test_an_outline_is_enough_to_tell_drafts_echoes_and_the_rest(mail: Outline, decision: Any) -> None:
    """Our key is the strongest evidence; a draft is nothing until it is sent."""
    assert by_outline(mail) == decision


@given(records(Outline))
def test_every_outline_gets_a_decision(mail: Outline) -> None:
    """Whatever is read of a mail, there is one answer."""
    assert isinstance(by_outline(mail), Skip | Echo | Trace)


COPY_CASES = [
    ("the same mail a minute later", timedelta(minutes=1), True),
    ("the same mail a minute earlier", timedelta(minutes=-1), True),
    ("just within", COPY_WITHIN, True),
    ("just outside", COPY_WITHIN + timedelta(seconds=1), False),
    ("a program that uses one Message-ID for everything", timedelta(days=3), False),
]


@pytest.mark.parametrize(("_case", "after", "copy"), COPY_CASES, ids=[one[0] for one in COPY_CASES])
def test_a_copy_has_the_same_message_id_at_nearly_the_same_time(
    _case: str, after: timedelta, *, copy: bool
) -> None:
    """Ten minutes tell a copy from a reuse (E-15)."""
    assert is_copy(outline(received_at=NOW + after), index(at=NOW)) is copy


def test_without_an_index_or_a_time_nothing_is_a_copy() -> None:
    """In doubt a mail is another mail."""
    assert not is_copy(outline(), None)
    assert not is_copy(outline(received_at=None), index())


@given(records(Outline), st.none() | records(MessageIndex))
def test_every_mail_is_a_copy_or_not(mail: Outline, known: MessageIndex | None) -> None:
    """The question has an answer for any times."""
    assert is_copy(mail, known) in {True, False}


@pytest.mark.parametrize(
    ("sender", "direction"),
    [
        (Address(ANN), Direction.OUTBOUND),
        (Address("ANN@Northwind.EXAMPLE", "Ann"), Direction.OUTBOUND),
        (Address("a.archer@northwind.example"), Direction.OUTBOUND),
        (Address(BEA), Direction.INBOUND),
        (Address(BEA, ANN), Direction.INBOUND),
        (Address(""), Direction.INBOUND),
        (None, Direction.INBOUND),
    ],
)
def test_direction_is_seen_from_the_crm(sender: Address | None, direction: Direction) -> None:
    """The user's own mail, by any address of the mailbox, is outbound; everybody else's is inbound."""
    assert direction_of(sender, a_mailbox(aliases=("a.archer@northwind.example",))) is direction


def test_a_missing_mail_is_looked_for_three_times_over_ten_minutes() -> None:
    """Then it has vanished, with that reason."""
    waits = [when_missing(attempt, NOW) for attempt in range(len(VANISHED_TRIES_SECONDS))]
    assert [one.until - NOW for one in waits if isinstance(one, Wait)] == [
        timedelta(seconds=seconds) for seconds in VANISHED_TRIES_SECONDS
    ]
    assert sum(VANISHED_TRIES_SECONDS) == timedelta(minutes=10).total_seconds()
    assert when_missing(len(VANISHED_TRIES_SECONDS), NOW) == Skip(Reason.VANISHED)


@given(st.integers(0, 1000), times)
def test_a_missing_mail_is_not_waited_for_for_ever(attempts: int, now: datetime) -> None:
    """Every number of attempts gets an answer, and from the third on it is final."""
    decision = when_missing(attempts, now)
    assert isinstance(decision, Skip) == (attempts >= len(VANISHED_TRIES_SECONDS))


@pytest.mark.parametrize(
    ("tags", "changes", "attempts", "asked"),
    [
        ({"in_reply_to": "<x@y.example>"}, {"last_thread_activity_at": NOW}, 0, True),
        ({"references": ("<x@y.example>",)}, {"last_thread_activity_at": later(minutes=-10)}, 2, True),
        ({"in_reply_to": "<x@y.example>"}, {"last_thread_activity_at": NOW}, 3, False),
        ({"in_reply_to": "<x@y.example>"}, {"last_thread_activity_at": later(minutes=-11)}, 0, False),
        ({"in_reply_to": "<x@y.example>"}, {}, 0, False),
        ({}, {"last_thread_activity_at": NOW}, 0, False),
    ],
)
def test_only_answers_in_a_busy_mailbox_may_answer_an_unseen_copy(
    tags: dict[str, Any], changes: dict[str, Any], attempts: int, *, asked: bool
) -> None:
    """A new mail answers nothing, a mailbox at rest has sent nothing, and three more looks are enough."""
    assert may_answer_an_unseen_copy(outline(**tags), a_mailbox(**changes), attempts, NOW) is asked


def test_unknown_mail_is_foreign_unless_a_copy_may_be_coming() -> None:
    """Three more looks within two minutes, then it is foreign for good."""
    waits = [when_unknown(outline(), number, NOW, NOW) for number in range(4)]
    assert waits == [
        Wait(later(seconds=20), counts=1),
        Wait(later(seconds=20), counts=1),
        Wait(later(seconds=30), counts=1),
        Skip(Reason.FOREIGN),
    ]
    assert when_unknown(outline(), 0, NOW, None) == Skip(Reason.FOREIGN)


@pytest.mark.parametrize(
    ("received_at", "waits"),
    [(later(days=-300), False), (later(seconds=-121), False), (later(seconds=-120), True), (later(seconds=9), True),
     (None, True)],
)  # fmt: skip
def test_no_answer_is_older_than_what_it_answers(received_at: datetime | None, *, waits: bool) -> None:
    """Old mail is foreign at once; two minutes for the difference of two clocks; what has no time may be anything."""
    decision = when_unknown(outline(received_at=received_at), 0, NOW, NOW)
    assert isinstance(decision, Wait) is waits
