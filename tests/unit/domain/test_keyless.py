"""Which mail without our key is a copy of a send."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.keyless import has_its_words, may_be_its_copy, unknown_reason
from shared.domain.model import Address, FetchedMessage, OutboxItem, Outline, Phase, Reason
from tests.builders import NOW, outbox_item


def left(**changes: Any) -> OutboxItem:
    item = outbox_item(phase=Phase.SUBMITTED, send_started_at=NOW, send_tried_at=NOW, without_key=True)
    return replace(item, **changes)


def copy_of(item: OutboxItem, **changes: Any) -> FetchedMessage:
    outline = Outline("AAMk-9", "<other@northwind.example>", "conv", is_draft=False)
    mail = FetchedMessage(outline, Address("ann@northwind.example"), item.to, item.cc, (), (), item.subject,
                          "<p>Hi</p>", None, NOW, NOW, has_attachments=False)  # fmt: skip
    return replace(mail, **changes)


def test_its_copy() -> None:
    """The user's own mail of the thread at that time, with those people and that subject, may be the copy."""
    item = left()
    assert may_be_its_copy(item, item.thread_id, copy_of(item), NOW)
    legacy = Address("/O=EXCHANGELABS/OU=X/CN=BEA")
    assert may_be_its_copy(item, item.thread_id, copy_of(item, to=(legacy,)), NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {"to": (Address("somebody@else.example"),)},
        {"subject": "Lunch"},
        {"sent_at": NOW - timedelta(minutes=11)},
        {"sent_at": NOW + timedelta(minutes=61)},
        {"sent_at": None, "received_at": None},
    ],
    ids=str,
)
def test_another_mail_of_the_thread(changes: dict[str, Any]) -> None:
    """A mail of the thread with other people, another subject or from another time is not the copy."""
    item = left()
    assert not may_be_its_copy(item, item.thread_id, copy_of(item, **changes), NOW)


@pytest.mark.parametrize(
    "changes",
    [{"without_key": False}, {"phase": Phase.SENT}, {"phase": Phase.BUILDING}, {"send_started_at": None}],
    ids=str,
)
def test_a_send_that_is_not_looked_for_so(changes: dict[str, Any]) -> None:
    """A send with our key, over already, or not begun, has no sent copy that is recognised by what it looks like."""
    item = left(**changes)
    assert not may_be_its_copy(item, item.thread_id, copy_of(item), NOW)


@pytest.mark.parametrize(
    ("phase", "fits"), [(Phase.SENDING, True), (Phase.SENT, True), (Phase.FAILED, False)]
)
def test_a_received_copy(phase: Phase, fits: bool) -> None:
    """A received copy never carries the key, so it is known by what it looks like, before and after the sent copy."""
    item = left(without_key=False, phase=phase)
    received = copy_of(item, headers=(("Received", "from mail.northwind.example"),))
    assert may_be_its_copy(item, item.thread_id, received, NOW) is fits
    assert not may_be_its_copy(item, item.thread_id, replace(received, subject="Lunch"), NOW)


def test_a_copy_that_lost_everything_we_know_it_by() -> None:
    """Ten minutes after a send left without a copy seen, a mail without key that looks like it is its copy (E-12)."""
    item = left(without_key=False)
    assert not may_be_its_copy(item, item.thread_id, copy_of(item), NOW + timedelta(minutes=9))
    assert may_be_its_copy(item, item.thread_id, copy_of(item), NOW + timedelta(minutes=10))
    assert not may_be_its_copy(
        replace(item, phase=Phase.SENT), item.thread_id, copy_of(item), NOW + timedelta(hours=1)
    )


def test_a_mail_of_another_thread() -> None:
    """A mail of another thread is never the copy."""
    item = left()
    assert not may_be_its_copy(item, "thr_other", copy_of(item), NOW)


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("Dear Bea,\r\n\r\nhere it is.\n\nFrom: Bea", True),
        ("DEAR\u00a0BEA — here it is", True),
        ("Bea wrote: Dear Bea, here it is.", False),
        ("Another word.", False),
    ],
)
def test_its_words(text: str, fits: bool) -> None:
    """A copy begins with the words of the send, whatever became of spaces and signs; a quotation of them is none."""
    assert has_its_words("Dear Bea, here it is.", text) == fits


@pytest.mark.parametrize(
    ("own", "text", "fits"),
    [("\U0001f44d", " \U0001f44d\n> Dear Ann", True), ("\U0001f44d", "Dear Ann", False),
     (" ", "", True), ("", "Dear Ann", False)],
)  # fmt: skip
def test_a_send_of_no_letters(own: str, text: str, fits: bool) -> None:
    """A send of signs alone is known by its signs, and one of no words is not taken for every mail."""
    assert has_its_words(own, text) == fits


def test_why_nobody_knows() -> None:
    """A send without a key that nobody can find says that the mailbox took no key."""
    assert unknown_reason(left()) is Reason.NAMED_PROPERTIES_SPENT
    assert unknown_reason(left(without_key=False)) is Reason.OUTCOME_UNKNOWN
