"""Which mail is another copy of one that is known by its Message-ID."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.copies import (
    COPY_WITHIN,
    MOST_AUTHORS,
    NOBODY,
    THE_USER,
    author_of,
    find_same,
    with_further_mail,
)
from shared.domain.model import Address, Author, MessageIndex
from tests.builders import BEA, CAL, NOW, index
from tests.strategies import records


def is_copy(known: MessageIndex | None, author: str, at: datetime | None, message_id: str = "msg_x") -> bool:
    """Whether a mail of another message is a copy of one that the row knows."""
    return bool(find_same(known, [author], at, message_id))


COPY_CASES = [
    ("the same mail a minute later", BEA, timedelta(minutes=1), True),
    ("the same mail a minute earlier", BEA, timedelta(minutes=-1), True),
    ("just within", BEA, COPY_WITHIN, True),
    ("just outside", BEA, COPY_WITHIN + timedelta(seconds=1), False),
    ("a program that uses one Message-ID for everything", BEA, timedelta(days=3), False),
    ("somebody else, at once", CAL, timedelta(), False),
    ("the user, at once", THE_USER, timedelta(), False),
    ("nobody, at once", NOBODY, timedelta(), False),
]


@pytest.mark.parametrize(
    ("_case", "author", "after", "copy"), COPY_CASES, ids=[case[0] for case in COPY_CASES]
)
def test_a_copy_has_the_same_author_and_nearly_the_same_time(
    _case: str, author: str, after: timedelta, *, copy: bool
) -> None:
    """A mail with a known Message-ID is a copy where the author agrees and the times differ by ten minutes (E-15)."""
    assert is_copy(index(author=BEA, at=NOW), author, NOW + after) is copy


@pytest.mark.parametrize("at", [NOW, NOW + timedelta(days=9), None])
def test_for_the_users_own_mail_time_is_no_limit(at: datetime | None) -> None:
    """A list may bring the user's own mail back whenever it likes; another's mail with that Message-ID is no copy."""
    assert is_copy(index(author=THE_USER), THE_USER, at)
    assert not is_copy(index(author=THE_USER), BEA, at)


def test_without_an_index_or_a_time_nothing_is_a_copy() -> None:
    """A mail without a known Message-ID is no copy, nor another's without a time."""
    assert not is_copy(None, THE_USER, NOW)
    assert not is_copy(index(author=BEA), BEA, None)


def test_authors_are_compared_as_mail_systems_do() -> None:
    """The user is one author under all addresses; others are known by theirs, in any case."""
    assert author_of(Address("Bea@Fabrikam.Example"), by_user=False) == BEA
    assert author_of(Address(BEA), by_user=True) == THE_USER
    assert author_of(None, by_user=True) == THE_USER
    assert author_of(None, by_user=False) == author_of(Address(""), by_user=False) == NOBODY


def test_a_row_knows_every_mail_with_its_message_id() -> None:
    """Two mails that share a Message-ID are both known afterwards, and the first one's thread stays."""
    known = index(author=CAL, admits_alone=False)
    fresh = index(author=BEA, admits_alone=False, thread_id="thr_2", message_id="msg_2")
    grown = with_further_mail(known, fresh)
    assert grown == replace(known, others=(Author(BEA, NOW, "msg_2"),))
    assert grown is not None
    assert with_further_mail(grown, fresh) is None


def test_a_mail_written_here_takes_a_message_id_over() -> None:
    """Whoever used the Message-ID of the user's mail before: answers to it are of the user's thread."""
    foisted = index(author=CAL, admits_alone=False, thread_id="thr_2", message_id="msg_2")
    grown = with_further_mail(foisted, index())
    assert grown == replace(index(), others=(Author(CAL, NOW, "msg_2"),))


def test_a_held_mail_is_no_copy_of_itself() -> None:
    """Who wrote a held mail is learned when it can be read; then it is no copy of itself, and others are of it."""
    held = index(author=NOBODY, admits_alone=False, message_id="msg_1")
    assert is_copy(held, NOBODY, NOW, "msg_2")
    assert not is_copy(held, NOBODY, NOW, "msg_1")
    read = with_further_mail(held, index(author=BEA, admits_alone=False, message_id="msg_1"))
    assert read == replace(held, author=BEA)
    assert is_copy(read, BEA, NOW, "msg_2")
    assert not is_copy(read, BEA, NOW, "msg_1")
    assert with_further_mail(index(), index(at=NOW + timedelta(days=1))) is None


def test_no_held_mail_is_a_copy_of_itself() -> None:
    """Of several held mails with one Message-ID none is a copy of itself, whichever was noted first."""
    first = index(author=NOBODY, admits_alone=False, message_id="msg_1")
    both = with_further_mail(first, replace(first, message_id="msg_2"))
    assert find_same(both, [NOBODY], NOW, "msg_1") == ("msg_2",)
    assert find_same(both, [NOBODY], NOW, "msg_2") == ("msg_1",)
    assert both is not None
    read = with_further_mail(both, replace(first, message_id="msg_2", author=BEA))
    assert find_same(read, [BEA], NOW, "msg_1") == ("msg_2",)
    assert find_same(read, [BEA], NOW, "msg_2") == ()
    assert read is not None
    assert with_further_mail(read, replace(first, message_id="msg_2")) is None


def test_whoever_a_list_names_may_have_written_it() -> None:
    """A mail by several possible authors is a copy of what any of them wrote; each message is named once."""
    known = index(author=BEA, others=(Author(CAL, NOW, "msg_2"), Author(CAL, NOW, "")))
    assert find_same(known, [CAL, BEA, BEA], NOW, "msg_x") == ("msg_1", "msg_2", "")


@given(records(MessageIndex), st.lists(records(MessageIndex), max_size=30))
def test_a_row_stays_small_and_is_never_made_weaker(known: MessageIndex, more: list[MessageIndex]) -> None:
    """However many mails share a Message-ID, a row does not outgrow its bound, and what stands alone goes on to."""
    known = replace(known, message_id="msg_0", others=())
    for number, mail in enumerate(more, start=1):
        fresh = replace(mail, message_id=f"msg_{number}", others=())
        grown = with_further_mail(known, fresh)
        assert grown is not None
        assert grown.admits_alone == (known.admits_alone or fresh.admits_alone)
        assert len(grown.others) <= MOST_AUTHORS
        assert is_copy(grown, fresh.author, fresh.at)
        known = grown


def test_a_row_learns_that_it_admits_alone() -> None:
    """Of a mail that could not be read it is known later that it was written here; never the other way round."""
    unread = index(author=THE_USER, admits_alone=False, message_id="msg_1")
    grown = with_further_mail(unread, index(author=THE_USER, message_id="msg_1"))
    assert grown is not None
    assert grown.admits_alone
    assert with_further_mail(grown, unread) is None
