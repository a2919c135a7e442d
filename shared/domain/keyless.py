"""Copies of a send that do not carry our key: what else tells them from other mail of the thread.

No copy has it where the draft could not carry it. A received copy never has it: the user was on cc, or a mailing list
brought the mail back, and it can be here before the sent copy is. Draft id and Message-ID are looked at first, as for
every send (E-12). Where sending changed both, what is left is the thread that evidence led to, the time, the people,
the subject, and the words.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from shared.domain.addresses import comparable_address
from shared.domain.model import FetchedMessage, OutboxItem, Phase, Reason
from shared.domain.own_addresses import has_travelled

CLOCKS_DIFFER: Final = timedelta(minutes=10)
LEAVES_WITHIN: Final = timedelta(hours=1)
# A copy that has lost its key is known by its id; whoever moved it since, a desktop client, may have given it another.
COPY_IS_SEEN_WITHIN: Final = timedelta(minutes=10)
HAS_LEFT: Final = frozenset({Phase.SENDING, Phase.SUBMITTED, Phase.NEEDS_ATTENTION})


def may_be_its_copy(
    item: OutboxItem, thread_id: str, message: FetchedMessage, now: datetime, ahead: timedelta = timedelta()
) -> bool:
    """Whether the user's own mail of this thread, without our key, can be a copy of this send; its words decide then.

    Of a send with a key a received copy can, and ten minutes after it left without a copy seen also one that was
    written here: before, that is another mail. Of a send that is over a received copy can too: a relay may have given
    it another Message-ID.
    Recipients that Exchange names by no mail address (an X.500 name) prove nothing and are passed over. `ahead`: how
    far Graph's clock is ahead of ours, which says `now`.
    """
    received = has_travelled(message)
    if item.thread_id != thread_id or not (item.phase in HAS_LEFT or (received and item.phase is Phase.SENT)):
        return False
    at, first = message.sent_at or message.received_at, item.send_started_at
    if at is None or first is None:
        return False
    last = item.send_tried_at or first
    if not (item.without_key or received or now >= last + COPY_IS_SEEN_WITHIN):
        return False
    meant = {comparable_address(person.address) for person in (*item.to, *item.cc)}
    named = {comparable_address(person.address) for person in (*message.to, *message.cc)}
    return (
        first - CLOCKS_DIFFER <= at - ahead <= last + LEAVES_WITHIN
        and {address for address in named if "@" in address} <= meant
        and message.subject.strip() == item.subject.strip()
    )


def has_its_words(own: str, text: str) -> bool:
    """Whether a mail's text begins with these words; Exchange may change spaces, breaks and signs between them.

    A send of signs alone is known by its signs, and one of no words by there being none.
    """
    if words := _letters(own):
        return _letters(text).startswith(words)
    signs, found = "".join(own.split()), "".join(text.split())
    return found.startswith(signs) if signs else not found


def _letters(text: str) -> str:
    return "".join(letter for letter in text.casefold() if letter.isalnum())


def unknown_reason(item: OutboxItem) -> Reason:
    """Why nobody knows what became of a send: without a key its copy may lie there unrecognised."""
    return Reason.NAMED_PROPERTIES_SPENT if item.without_key else Reason.OUTCOME_UNKNOWN
