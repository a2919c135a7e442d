"""The table `Subscriptions`: what happened to a mailbox's subscription, for whoever looks into it later."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from shared.domain.model import MailboxRef
from shared.state import keys
from shared.state.codec import Stored, encode
from shared.storage.api import TableStore


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
