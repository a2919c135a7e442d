"""What is done with a mail that a notification or a sweep pointed at."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.inbound import (
    VANISHED_TRIES_SECONDS,
    Echo,
    Look,
    Skip,
    Trace,
    Wait,
    after_move,
    decide_before_looking,
    decide_by_outline,
    decide_missing,
    decide_unknown,
    may_answer_an_unseen_copy,
)
from shared.domain.model import (
    FenceState,
    Mailbox,
    Outline,
    Reason,
    Right,
    Seen,
)
from tests.builders import KEY, NOW, a_mailbox, later, outline, seen
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
    ("_case", "own", "generation", "known", "decision"), BEFORE_CASES, ids=[case[0] for case in BEFORE_CASES]
)
def test_before_looking(
    _case: str, own: Mailbox | None, generation: int | None, known: Seen | None, decision: Any
) -> None:
    """A closed mailbox, an old generation and a seen mail cost no call to Graph, and a pause is waited for."""
    assert decide_before_looking(own, generation, known, NOW) == decision


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
    """While the consent is dead a hint is skipped, since a sweep will find the mail.

    Where none will come, it is looked at.
    """
    own = a_mailbox(**{"grant_dead": True, "sweep_at": later(days=1), **changes})
    assert decide_before_looking(own, 1, None, NOW, hinted=hinted) == decision


@given(st.none() | records(Mailbox), st.none() | numbers, st.none() | records(Seen), times)
def test_every_hint_gets_a_decision(
    own: Mailbox | None, generation: int | None, known: Seen | None, now: datetime
) -> None:
    """Every hint gets a decision, and only an unseen mail of an open mailbox of that generation is looked at."""
    decision = decide_before_looking(own, generation, known, now)
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
    """A mail's outline tells drafts, our own sends by their key, and all other mail apart."""
    assert decide_by_outline(mail) == decision


@given(records(Outline))
def test_every_outline_gets_a_decision(mail: Outline) -> None:
    """Every outline is skipped, taken for our own send, or traced to a thread."""
    assert isinstance(decide_by_outline(mail), Skip | Echo | Trace)


def test_a_missing_mail_is_looked_for_three_times_over_ten_minutes() -> None:
    """A missing mail is looked for three times over ten minutes and then counts as vanished."""
    waits = [decide_missing(attempt, NOW) for attempt in range(len(VANISHED_TRIES_SECONDS))]
    assert [decision.until - NOW for decision in waits if isinstance(decision, Wait)] == [
        timedelta(seconds=seconds) for seconds in VANISHED_TRIES_SECONDS
    ]
    assert sum(VANISHED_TRIES_SECONDS) == timedelta(minutes=10).total_seconds()
    assert decide_missing(len(VANISHED_TRIES_SECONDS), NOW) == Skip(Reason.VANISHED)


@given(st.integers(0, 1000), times)
def test_a_missing_mail_is_not_waited_for_for_ever(attempts: int, now: datetime) -> None:
    """A missing mail is given up from the third attempt on, whatever the number."""
    decision = decide_missing(attempts, now)
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
    """Only an answer in a mailbox with recent thread activity may answer an unseen copy, for three more looks."""
    assert may_answer_an_unseen_copy(outline(**tags), a_mailbox(**changes), attempts, NOW) is asked


def test_unknown_mail_is_foreign_unless_a_copy_may_be_coming() -> None:
    """Unknown mail is looked at three more times within two minutes while a copy may be coming, and else is foreign."""
    waits = [decide_unknown(outline(), number, NOW, NOW) for number in range(4)]
    assert waits == [
        Wait(later(seconds=20), counts=1),
        Wait(later(seconds=20), counts=1),
        Wait(later(seconds=30), counts=1),
        Skip(Reason.FOREIGN),
    ]
    assert decide_unknown(outline(), 0, NOW, None) == Skip(Reason.FOREIGN)


@pytest.mark.parametrize(
    ("received_at", "waits"),
    [(later(days=-300), False), (later(seconds=-121), False), (later(seconds=-120), True), (later(seconds=9), True),
     (None, True)],
)  # fmt: skip
def test_no_answer_is_older_than_what_it_answers(received_at: datetime | None, *, waits: bool) -> None:
    """Mail received more than two minutes before the send is foreign at once. Mail without a time is waited for."""
    decision = decide_unknown(outline(received_at=received_at), 0, NOW, NOW)
    assert isinstance(decision, Wait) is waits


def test_a_moved_mail_is_the_one_of_the_same_time_and_conversation() -> None:
    """Of mails with its Message-ID only one of the same time and conversation is a mail under its new id."""
    gone = outline(graph_message_id="old", conversation_id="c", received_at=NOW)
    moved = replace(gone, graph_message_id="new")
    others = [
        gone,
        replace(gone, graph_message_id="1", conversation_id="d"),
        replace(gone, graph_message_id="2", received_at=later(seconds=1)),
        replace(gone, graph_message_id="3", is_draft=True),
        replace(gone, graph_message_id="4", internet_message_id="<other@x>"),
    ]
    assert after_move(gone, others) is None
    assert after_move(gone, [*others, moved]) == "new"
