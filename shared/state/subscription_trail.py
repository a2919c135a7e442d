"""The table `Subscriptions`: what happened to a mailbox's subscription, for whoever looks into it later (30 days)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from shared.domain.model import MailboxRef
from shared.state import keys
from shared.state.codec import Stored, encode
from shared.storage.api import Delete, TableStore


@dataclass(frozen=True, slots=True)
class SubscriptionNote:
    """What happened to a mailbox's subscription."""

    subscription_id: str
    what: str
    expires_at: datetime | None
    at: datetime


class SubscriptionTrail:
    """Writer of the trail."""

    def __init__(self, tables: TableStore) -> None:
        self._tables = tables

    async def add(self, mailbox: MailboxRef, note: SubscriptionNote) -> None:
        """Add a line to the mailbox's trail."""
        row = f"{keys.stamp(note.at)}|{note.what}"
        await self._tables.upsert(
            keys.SUBSCRIPTIONS, keys.mailbox_partition(mailbox), row, encode(Stored(note))
        )

    async def erase(self, mailbox: MailboxRef, until: datetime, limit: int) -> int:
        """Take away the notes up to that time, at most so many; returns how many."""
        partition = keys.mailbox_partition(mailbox)
        rows = await self._tables.query(keys.SUBSCRIPTIONS, partition, None, keys.stamp(until), limit)
        if rows:
            await self._tables.transact(keys.SUBSCRIPTIONS, partition, [Delete(row.row) for row in rows])
        return len(rows)
