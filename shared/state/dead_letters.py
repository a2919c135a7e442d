"""The tables `DeadLetters` (work that cannot be done, kept as rows, E-29) and `Subscriptions` (an audit trail)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from shared.domain.model import MailboxRef
from shared.state import keys
from shared.state.codec import Stored, encode
from shared.storage.api import TableStore


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One piece of work that was given up, with its cause; the payload holds ids only."""

    queue: str
    payload: str
    cause: str
    at: datetime


@dataclass(frozen=True, slots=True)
class SubscriptionNote:
    """What happened to a mailbox's subscription."""

    subscription_id: str
    what: str
    expires_at: datetime | None
    at: datetime


class DeadLetters:
    """Writer of both tables; the same letter twice is one row."""

    def __init__(self, tables: TableStore) -> None:
        self._tables = tables

    async def add(self, letter_id: str, letter: DeadLetter) -> None:
        """Keep a dead letter under a constant id."""
        await self._tables.upsert(keys.DEAD_LETTERS, letter.queue, letter_id, encode(Stored(letter)))

    async def note_subscription(self, mailbox: MailboxRef, note: SubscriptionNote) -> None:
        """Add a line to the mailbox's audit trail."""
        row = f"{keys.stamp(note.at)}|{note.what}"
        await self._tables.upsert(
            keys.SUBSCRIPTIONS, keys.mailbox_partition(mailbox), row, encode(Stored(note))
        )
