"""Addresses whose time is over: a salted hash is left, and an address is still known by it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.domain.addresses import among, hidden_address, is_hidden
from shared.domain.copies import NOBODY, THE_USER, find_same, may_come_from_a_list
from shared.domain.model import (
    Address,
    Author,
    Bounce,
    Direction,
    FetchedMessage,
    MessageRecord,
    MessageStatus,
    Origin,
)
from shared.domain.retention import bare_index, bare_record, bare_send, bare_thread, is_under_way
from shared.domain.threads import with_people
from tests.builders import ANN, BEA, NOW, a_mailbox, index, outbox_item, outline, thread


@pytest.mark.parametrize("written", [BEA, BEA.upper(), f" {BEA} "])
def test_an_address_is_known_by_its_hash(written: str) -> None:
    """However it is written; another one is not."""
    hidden = hidden_address(BEA, "salt")
    assert is_hidden(hidden)
    assert among([written], [hidden]) == among([written], [BEA]) != set()
    assert among([ANN], [hidden]) == set()


def test_what_is_hidden_says_nothing_and_stays() -> None:
    """Neither name nor domain stands in it; hidden again it is the same; two threads do not show the same person."""
    hidden = hidden_address(BEA, "salt")
    assert not {"bea", "fabrikam"} & set(hidden.replace("|", " ").split())
    assert hidden_address(hidden, "other") == hidden
    assert hidden != hidden_address(BEA, "other")


@pytest.mark.parametrize("address", ["", "|", "a|b@x.example", "|a|b@x.example", "/o=exchangelabs/cn=ann"])
def test_no_address_is_taken_for_a_hidden_one(address: str) -> None:
    """Pipes in a local part are allowed (RFC 5322, 3.2.3)."""
    assert not is_hidden(address)


def test_a_contact_that_writes_again_is_known_by_the_address_again() -> None:
    """And is in the thread once."""
    quiet = bare_thread(thread(participants=(BEA, ANN), subject="Your offer"))
    assert quiet.subject == ""
    assert all(is_hidden(address) for address in quiet.participants)
    again = with_people(quiet, [BEA])
    assert BEA in again.participants
    assert len(again.participants) == 2


def test_a_copy_is_known_by_its_hidden_author() -> None:
    """Who wrote a mail is compared by the hash; the user and nobody have no address."""
    bare = bare_index(index(author=BEA, others=(Author(THE_USER, NOW), Author(NOBODY, NOW))))
    assert is_hidden(bare.author)
    assert [each.author for each in bare.others] == [THE_USER, NOBODY]
    assert bare_index(bare) == bare
    assert find_same(bare, [BEA], NOW, "msg_other")
    assert not find_same(bare, [ANN], NOW, "msg_other")


def test_a_colleague_whose_time_is_over_is_still_no_list() -> None:
    """A contact under the user's own domain is known by the hash: no original of such a mail is looked for."""
    colleague = ANN.replace("ann", "eva")
    received = FetchedMessage(
        outline(), Address(colleague, ""), (), (), (), (), "Re: Your offer", "<p>Yes.</p>", None, NOW, NOW,
        has_attachments=False, headers=(("Received", "from outside"),),
    )  # fmt: skip
    quiet = bare_thread(thread(participants=(colleague,)))
    assert may_come_from_a_list(received, a_mailbox(), [])
    assert not may_come_from_a_list(received, a_mailbox(), [colleague])
    assert not may_come_from_a_list(received, a_mailbox(), quiet.participants)


def test_nothing_of_people_is_left_of_a_send() -> None:
    """Ids, times and reasons stay."""
    item = outbox_item()
    bare = bare_send(item)
    assert (bare.to, bare.cc, bare.bcc, bare.subject, bare.crm_context) == ((), (), (), "", "{}")
    assert (bare.key, bare.crm_message_id, bare.created_at) == (
        item.key,
        item.crm_message_id,
        item.created_at,
    )
    assert is_under_way(replace(item, due_at=NOW))
    assert not is_under_way(replace(item, due_at=None))


def test_of_a_bounce_its_codes_stay() -> None:
    """Of whom it was, and what the other side said, does not."""
    bounce = Bounce(BEA, "5.1.1", f"550 no {BEA}", reported_by="msg_9", at=NOW)
    record = MessageRecord(
        "msg_1", "thr_1", Direction.OUTBOUND, Origin.CRM, MessageStatus.SENT, None, NOW, bounces=(bounce,)
    )
    assert bare_record(record).bounces == (Bounce(None, "5.1.1", None, reported_by="msg_9", at=NOW),)
