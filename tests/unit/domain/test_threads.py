"""How a thread grows, and that it never outgrows its row."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import ThreadStopped
from shared.domain.model import StoppedBy
from shared.domain.threads import (
    MOST_CONVERSATIONS,
    MOST_PARTICIPANTS,
    begun_by,
    continued_by,
    resumed,
    stopped,
    with_conversation,
    with_people,
)
from tests.builders import NOW, a_mailbox, later, outbox_item, thread


def test_people_are_kept_in_the_order_in_which_they_came() -> None:
    """A thread keeps each participant once, as written, in the order in which they came."""
    grown = with_people(thread(participants=("a@x.example",)), ["B@x.example", "a@x.example", "c@x.example"])
    assert grown.participants == ("a@x.example", "B@x.example", "c@x.example")


def test_the_first_participants_stay_when_there_are_too_many() -> None:
    """When a thread has too many participants the first ones, the CRM's contacts, stay."""
    crowd = [f"p{number}@x.example" for number in range(2 * MOST_PARTICIPANTS)]
    grown = with_people(thread(participants=("carla@x.example",)), crowd)
    assert len(grown.participants) == MOST_PARTICIPANTS
    assert grown.participants[0] == "carla@x.example"


def test_the_newest_conversations_stay_when_there_are_too_many() -> None:
    """When a thread has too many conversations the newest stay; a known one, or none, changes nothing."""
    grown = thread(conversation_ids=())
    for number in range(2 * MOST_CONVERSATIONS):
        grown = with_conversation(grown, f"conv-{number}")
    assert len(grown.conversation_ids) == MOST_CONVERSATIONS
    assert grown.conversation_ids[-1] == f"conv-{2 * MOST_CONVERSATIONS - 1}"
    assert with_conversation(grown, grown.conversation_ids[3]) == grown
    assert with_conversation(grown, None) == grown


@given(st.lists(st.emails(), max_size=30), st.lists(st.emails(), max_size=30))
def test_nobody_is_forgotten_below_the_bound(known: list[str], fresh: list[str]) -> None:
    """Below the bound everybody who was ever on a thread is a participant."""
    grown = with_people(with_people(thread(participants=()), known), fresh)
    assert set(grown.participants) == {*known, *fresh}


def test_no_send_goes_on_in_a_thread_that_was_stopped() -> None:
    """A stopped thread takes no send, and after its resumption none that was accepted before the stop (R12)."""
    begun = begun_by(a_mailbox(), outbox_item(), NOW)
    halted = stopped(begun, StoppedBy.CRM, later(minutes=5))
    goes_on = resumed(halted, StoppedBy.CRM, later(minutes=9))
    before, after = outbox_item(created_at=later(minutes=5)), outbox_item(created_at=later(minutes=6))
    for own, item in ((halted, before), (halted, after), (goes_on, before)):
        with pytest.raises(ThreadStopped):
            continued_by(own, a_mailbox(), item, later(minutes=10))
    assert continued_by(goes_on, a_mailbox(), after, later(minutes=10)).stopped_at is None
