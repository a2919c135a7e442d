"""Sends whose draft could not carry our key: what else tells their sent copy from other mail of the thread.

Draft id and Message-ID are looked at first, as for every send (E-12). Where sending changed both, what is left is the
thread that evidence led to, the time, the people, the subject, and the words.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from shared.domain.addresses import comparable_address
from shared.domain.model import FetchedMessage, OutboxItem, Phase, Reason

CLOCKS_DIFFER: Final = timedelta(minutes=10)
LEAVES_WITHIN: Final = timedelta(hours=1)
HAS_LEFT: Final = frozenset({Phase.SENDING, Phase.SUBMITTED, Phase.NEEDS_ATTENTION})


def may_be_its_copy(item: OutboxItem, thread_id: str, message: FetchedMessage) -> bool:
    """Whether the user's own mail of this thread can be the copy of a send without a key; its words decide then.

    Recipients that Exchange names by no mail address (an X.500 name) prove nothing and are passed over.
    """
    if not item.without_key or item.phase not in HAS_LEFT or item.thread_id != thread_id:
        return False
    at, first = message.sent_at or message.received_at, item.send_started_at
    if at is None or first is None:
        return False
    last = item.send_tried_at or first
    meant = {comparable_address(person.address) for person in (*item.to, *item.cc)}
    named = {comparable_address(person.address) for person in (*message.to, *message.cc)}
    return (
        first - CLOCKS_DIFFER <= at <= last + LEAVES_WITHIN
        and {address for address in named if "@" in address} <= meant
        and message.subject.strip() == item.subject.strip()
    )


def has_its_words(own: str, text: str) -> bool:
    """Whether a mail's text begins with these words; Exchange may change spaces, breaks and signs between them."""
    return _letters(text).startswith(_letters(own))


def _letters(text: str) -> str:
    return "".join(letter for letter in text.casefold() if letter.isalnum())


def unknown_reason(item: OutboxItem) -> Reason:
    """Why nobody knows what became of a send: without a key its copy may lie there unrecognised."""
    return Reason.NAMED_PROPERTIES_SPENT if item.without_key else Reason.OUTCOME_UNKNOWN
