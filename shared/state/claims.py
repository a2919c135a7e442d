"""The table `Claims`: rows that decide who was first; a claim that came to nothing is moved under its ETag (E-3)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from shared.domain.errors import RowChanged, RowExists, RowMissing
from shared.hashing import digest
from shared.state import keys
from shared.state.codec import Stored, decode, encode
from shared.storage.api import TableStore

C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class MailboxClaim:
    """Who holds a Microsoft mailbox (tid, oid), in all tenants (R1)."""

    tenant_id: str
    user_id: str
    mailbox_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class SendClaim:
    """What a crm_message_id was first used for, and where its `out:` row stands or will stand."""

    body_hash: str
    mailbox_id: str
    message_id: str
    thread_id: str
    generation: int
    at: datetime


class Claims:
    """Repository of claims."""

    def __init__(self, tables: TableStore) -> None:
        self._tables = tables

    async def claim_mailbox(self, tid: str, oid: str, claim: MailboxClaim) -> Stored[MailboxClaim]:
        """Claim a mailbox, or learn who holds it: the caller compares."""
        holder = digest("mailbox-claim", tid, oid)
        return await self._claim_first(f"mailbox|{holder[:2]}", holder, claim)

    async def mailbox_claim(self, tid: str, oid: str) -> Stored[MailboxClaim] | None:
        """Who holds a mailbox now."""
        holder = digest("mailbox-claim", tid, oid)
        row = await self._tables.get(keys.CLAIMS, f"mailbox|{holder[:2]}", holder)
        return decode(MailboxClaim, row.values, row.etag) if row else None

    async def move_mailbox(self, tid: str, oid: str, claim: Stored[MailboxClaim]) -> None:
        """Give a claim that its holder no longer uses to somebody else. Raises RowChanged when another was faster."""
        holder = digest("mailbox-claim", tid, oid)
        await self._tables.replace(
            keys.CLAIMS, f"mailbox|{holder[:2]}", holder, encode(claim), claim.etag or ""
        )

    async def release_mailbox(self, tid: str, oid: str, claim: Stored[MailboxClaim]) -> None:
        """Take a claim away that its holder no longer needs; one that has changed meanwhile stays."""
        holder = digest("mailbox-claim", tid, oid)
        with suppress(RowChanged, RowMissing):
            await self._tables.delete(keys.CLAIMS, f"mailbox|{holder[:2]}", holder, claim.etag)

    async def claim_send(self, tenant_id: str, key: str, claim: SendClaim) -> Stored[SendClaim]:
        """Claim a crm_message_id by its K; a repeat gets the first claim back."""
        return await self._claim_first(f"{tenant_id}|send|{key[:2]}", key, claim)

    async def find_send(self, tenant_id: str, key: str) -> Stored[SendClaim] | None:
        """The claim of a crm_message_id, if there is one."""
        row = await self._tables.get(keys.CLAIMS, f"{tenant_id}|send|{key[:2]}", key)
        return decode(SendClaim, row.values, row.etag) if row else None

    async def move_send(self, tenant_id: str, key: str, claim: Stored[SendClaim]) -> None:
        """Point a claim to another mailbox, which closed before a row stood there. Raises RowChanged."""
        await self._tables.replace(
            keys.CLAIMS, f"{tenant_id}|send|{key[:2]}", key, encode(claim), claim.etag or ""
        )

    async def _claim_first(self, partition: str, row: str, claim: C) -> Stored[C]:
        try:
            etag = await self._tables.insert(keys.CLAIMS, partition, row, encode(Stored(claim)))
        except RowExists:
            found = await self._tables.get(keys.CLAIMS, partition, row)
            if found is None:
                raise
            return decode(type(claim), found.values, found.etag)
        return Stored(claim, etag)
