"""Which mail belongs to a thread that the CRM began, and by which evidence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.admission import (
    MAX_ANCESTORS,
    Ancestor,
    Belongs,
    ancestors,
    decide_by_ancestor,
    decide_by_conversation,
    thread_is_active,
    thread_takes,
)
from shared.domain.model import Evidence, Mailbox, MessageIndex, Outline, People, Thread
from tests.builders import ANN, BEA, CAL, NOW, THREAD, a_mailbox, index, later, outline, people, thread
from tests.strategies import message_ids, records, texts

PARENT, ROOT = "<parent@x>", "<root@x>"
ALIAS = "a.archer@northwind.example"


def test_a_mail_without_tags_has_no_ancestors() -> None:
    """A mail without threading tags names no ancestor, so nothing is looked up for it."""
    assert ancestors(outline()) == ()


def test_in_reply_to_counts_before_references() -> None:
    """The parent named by In-Reply-To is looked up before References, and not twice."""
    mail = outline(in_reply_to=PARENT, references=(ROOT, PARENT))
    assert ancestors(mail) == (Ancestor(PARENT, Evidence.IN_REPLY_TO), Ancestor(ROOT, Evidence.REFERENCES))


def test_references_are_looked_up_from_the_newest_back() -> None:
    """References are looked up from the last one back, since the parent stands last (RFC 5322, 3.6.4)."""
    mail = outline(references=("<1@x>", "<2@x>", "<3@x>"))
    assert [ancestor.internet_message_id for ancestor in ancestors(mail)] == ["<3@x>", "<2@x>", "<1@x>"]


def test_a_reference_named_twice_counts_once_at_its_newest_place() -> None:
    """A reference that a header repeats is looked up once, at its newest place."""
    mail = outline(references=("<1@x>", "<2@x>", "<1@x>"))
    assert [ancestor.internet_message_id for ancestor in ancestors(mail)] == ["<1@x>", "<2@x>"]


def test_case_of_message_ids_is_kept() -> None:
    """Two Message-IDs that differ by case are two ancestors."""
    mail = outline(in_reply_to="<A@x>", references=("<a@x>",))
    assert [ancestor.internet_message_id for ancestor in ancestors(mail)] == ["<A@x>", "<a@x>"]


@given(st.none() | message_ids, st.lists(message_ids, max_size=200))
def test_ancestors_are_bounded_and_each_is_looked_up_once(parent: str | None, references: list[str]) -> None:
    """However long a header is, its ancestors are few and distinct, stand in it, and begin with the parent."""
    found = [
        ancestor.internet_message_id
        for ancestor in ancestors(outline(in_reply_to=parent, references=tuple(references)))
    ]
    assert len(found) == len(set(found)) <= MAX_ANCESTORS
    assert set(found) <= {*references, *([parent] if parent else [])}
    assert not parent or found[0] == parent


@pytest.mark.parametrize("evidence", [Evidence.IN_REPLY_TO, Evidence.REFERENCES])
def test_a_known_ancestor_is_proof(evidence: Evidence) -> None:
    """A mail belongs to the thread of a known ancestor, with the tag that led there as evidence (R7)."""
    ancestor = Ancestor(PARENT, evidence)
    assert decide_by_ancestor(ancestor, index()) == Belongs(THREAD, evidence)
    assert decide_by_ancestor(ancestor, None) is None


# participants of the thread, who is on the mail, whether it belongs to the thread
CONVERSATION_CASES = [
    ("the contact answers", (BEA,), people(BEA, (ANN,)), True),
    ("the user writes to the contact", (BEA,), people(ANN, (BEA,)), True),
    ("the contact is only copied", (BEA,), people(CAL, (ANN,), (BEA,)), True),
    ("case and spelling of an address do not matter", (BEA,), people("BEA@Fabrikam.Example"), True),
    ("nobody of the thread is on it", (BEA,), people(CAL, (ANN,)), False),
    ("only the user is on it", (BEA, ANN), people(ANN, (ANN,)), False),
    ("only an alias of the user is on it", (BEA, ALIAS), people(ALIAS), False),
    ("nobody is on it", (BEA,), people(None, ()), False),
    ("the thread has no participants", (), people(BEA), False),
]  # fmt: skip


@pytest.mark.parametrize(
    ("_case", "participants", "mail", "belongs"),
    CONVERSATION_CASES,
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_conversation_counts_only_with_a_known_participant(
    _case: str, participants: tuple[str, ...], mail: People, *, belongs: bool
) -> None:
    """A mail belongs to a conversation's thread only with a participant on it other than the mailbox's user (R4)."""
    own = a_mailbox(aliases=(ALIAS,))
    found = decide_by_conversation(own, mail, (thread(participants=participants),))
    assert found == (Belongs(THREAD, Evidence.CONVERSATION) if belongs else None)


def test_of_two_threads_the_one_with_more_known_people_wins() -> None:
    """Of two threads that share a conversation the mail belongs to the one with more of its people."""
    first, second = (
        thread(thread_id="thr_1", participants=(BEA,)),
        thread(thread_id="thr_2", participants=(BEA, CAL)),
    )
    for order in ((first, second), (second, first)):
        assert decide_by_conversation(a_mailbox(), people(BEA, (ANN,), (CAL,)), order) == Belongs(
            "thr_2", Evidence.CONVERSATION
        )


def test_a_stopped_thread_takes_nothing_from_one_that_syncs() -> None:
    """A thread that syncs gets the mail before a stopped one, however many people or how new that is (R9)."""
    stopped = thread(thread_id="thr_9", generation=2, participants=(BEA, CAL), active_from=later(hours=1))
    syncing = thread(thread_id="thr_1", participants=(BEA,))
    mail = people(BEA, (ANN,), (CAL,))
    for order in ((stopped, syncing), (syncing, stopped)):
        assert decide_by_conversation(a_mailbox(), mail, order) == Belongs("thr_1", Evidence.CONVERSATION)
    nobody_known = thread(thread_id="thr_1", participants=())
    assert decide_by_conversation(a_mailbox(), mail, (stopped, nobody_known)) == Belongs(
        "thr_9", Evidence.CONVERSATION
    )


def test_of_two_equal_threads_the_newer_wins() -> None:
    """Of two threads with equally many known people the one that became active last gets the mail."""
    older, newer = thread(thread_id="thr_9"), thread(thread_id="thr_2", active_from=later(hours=1))
    for order in ((older, newer), (newer, older)):
        assert decide_by_conversation(a_mailbox(), people(), order) == Belongs("thr_2", Evidence.CONVERSATION)


def test_without_candidates_there_is_no_thread() -> None:
    """A conversation that leads to no thread leaves the mail foreign."""
    assert decide_by_conversation(a_mailbox(), people(), ()) is None


@pytest.mark.parametrize(
    ("changes", "active"),
    [({}, True), ({"connection_id": "con_2"}, False), ({"generation": 2}, False)],
)
def test_a_thread_syncs_under_its_own_connection_and_generation(
    changes: dict[str, str | int], *, active: bool
) -> None:
    """A thread syncs only under its own connection and generation (R5, R6, R9)."""
    assert thread_is_active(thread(), a_mailbox(**changes)) is active


@given(records(Mailbox), records(People), st.lists(records(Thread), max_size=4).map(tuple))
def test_every_conversation_gets_a_decision(
    own: Mailbox, mail: People, candidates: tuple[Thread, ...]
) -> None:
    """Whatever the addresses are, the thread by conversation is one of the candidates or none."""
    found = decide_by_conversation(own, mail, candidates)
    assert found is None or found.thread_id in {candidate.thread_id for candidate in candidates}


@given(records(Outline), records(MessageIndex), texts)
def test_the_subject_is_no_evidence(mail: Outline, known: MessageIndex, subject: str) -> None:
    """A mail's thread follows from the index alone, and an outline has no subject at all (R4)."""
    assert not hasattr(mail, "subject")
    assert decide_by_ancestor(Ancestor(subject, Evidence.REFERENCES), known) == Belongs(
        known.thread_id, Evidence.REFERENCES
    )


@pytest.mark.parametrize(
    ("resumed", "received", "takes"),
    [
        (False, {"seconds": -120}, True),
        (False, {"seconds": -121}, False),
        (True, {"seconds": -5}, True),
        (True, {"seconds": -6}, False),
        (True, {"seconds": 0}, True),
        (True, {"days": 300}, True),
        (True, None, True),
    ],
)
def test_a_mail_of_before_the_thread_syncs_does_not(
    received: dict[str, float] | None, *, resumed: bool, takes: bool
) -> None:
    """A mail received before the thread was active does not sync.

    For a resumed thread the clocks may differ by seconds only (R9).
    """
    at = later(**received) if received is not None else None
    assert thread_takes(thread(active_from=NOW, resumed=resumed), a_mailbox(), at) is takes


def test_a_stopped_thread_takes_nothing() -> None:
    """A stopped thread takes no mail, whenever it was received."""
    assert not thread_takes(thread(generation=2), a_mailbox(), later(days=1))
