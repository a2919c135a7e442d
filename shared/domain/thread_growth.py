"""How a thread grows with each of its mails: who takes part, and which conversations of Graph lead to it.

Both lists are bounded, because a thread is one row: a list server or a long life must not make it outgrow its row.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from shared.domain.model import Thread

MOST_PARTICIPANTS: Final = 500
MOST_CONVERSATIONS: Final = 100


def with_people(thread: Thread, addresses: Iterable[str]) -> Thread:
    """Those known first stay: they are the CRM's contacts, whose mail is evidence (see `admission`)."""
    known = dict.fromkeys((*thread.participants, *addresses))
    return replace(thread, participants=tuple(known)[:MOST_PARTICIPANTS])


def with_conversation(thread: Thread, conversation_id: str | None) -> Thread:
    """The newest stay: Exchange goes on in the conversation it began last."""
    if conversation_id is None or conversation_id in thread.conversation_ids:
        return thread
    return replace(thread, conversation_ids=(*thread.conversation_ids, conversation_id)[-MOST_CONVERSATIONS:])
