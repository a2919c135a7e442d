"""The table `Sessions`: short-lived rows of people's browsers, and of files uploaded ahead of a send.

Whatever a browser holds is random and stored only as a hash. A one-time row is deleted by its ETag before it is
used, so that the second to arrive finds nothing (O-4). Before each row a note of its end is written, in a partition
per five minutes: so rows that nobody comes for are found and erased without looking through the others.
"""

from __future__ import annotations

import hashlib
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Protocol, TypeVar

from shared.domain.errors import LinkUnusable, RowChanged, RowMissing
from shared.domain.model import CrmUser, StagedFile
from shared.ports import Clock
from shared.state import keys
from shared.state.codec import Stored, decode, encode
from shared.storage.api import Row, TableStore


class Expiring(Protocol):
    """A row that is good until a time."""

    @property
    def expires_at(self) -> datetime:
        """Aware UTC."""
        ...


E = TypeVar("E", bound=Expiring)


@dataclass(frozen=True, slots=True)
class SessionLink:
    """A link the CRM's server asked for (W-1)."""

    tenant_id: str
    user: CrmUser
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Session:
    """A settings page that is open (W-3)."""

    tenant_id: str
    user: CrmUser
    expires_at: datetime
    absolute_until: datetime


@dataclass(frozen=True, slots=True)
class StartTicket:
    """The right to start one sign-in (O-2)."""

    tenant_id: str
    user: CrmUser
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class SignInState:
    """A sign-in under way, bound to one browser by the hash of its cookie (O-2, O-3). `flow` is sealed."""

    tenant_id: str
    user: CrmUser
    cookie_hash: str
    flow: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class PendingConnection:
    """A sign-in that waits for the person's yes on the confirm page (O-7). `grant` is sealed."""

    tenant_id: str
    user: CrmUser
    tid: str
    oid: str
    address: str
    display_name: str
    aliases: tuple[str, ...]
    grant: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Upload:
    """A file uploaded ahead of a send. `used`: a send has taken its bytes, so they do not end with this row."""

    file: StagedFile
    expires_at: datetime
    used: bool = False


def secret_hash(secret: str) -> str:
    """How a browser's secret is stored: 256 random bits need no salt."""
    return hashlib.sha256(secret.encode()).hexdigest()


PARTITIONS: Final = {
    SessionLink: "link",
    Session: "session",
    StartTicket: "ticket",
    SignInState: "state",
    PendingConnection: "pending",
}


ENDS: Final = "ends|"


class Sessions:
    """Repository of short-lived rows."""

    def __init__(self, tables: TableStore, clock: Clock) -> None:
        self._tables = tables
        self._clock = clock

    async def keep(self, secret: str, record: Expiring) -> None:
        """Keep a row under the hash of a fresh secret."""
        await self._insert(PARTITIONS[type(record)], secret_hash(secret), record)

    async def look(self, kind: type[E], secret: str) -> Stored[E]:
        """A row that may be used several times. Raises LinkUnusable."""
        row = await self._tables.get(keys.SESSIONS, PARTITIONS[kind], secret_hash(secret))
        if row is None:
            raise LinkUnusable
        stored = decode(kind, row.values, row.etag)
        if stored.value.expires_at <= self._clock.now():
            raise LinkUnusable
        return stored

    async def take(self, kind: type[E], secret: str) -> E:
        """A row that is used once: gone before it is used. Raises LinkUnusable."""
        stored = await self.look(kind, secret)
        try:
            await self._tables.delete(keys.SESSIONS, PARTITIONS[kind], secret_hash(secret), stored.etag)
        except (RowChanged, RowMissing) as err:
            raise LinkUnusable from err
        return stored.value

    async def prolong(self, secret: str, stored: Stored[Session]) -> None:
        """Move a session's idle end; losing a race against another page load is fine."""
        try:
            await self._tables.replace(
                keys.SESSIONS, "session", secret_hash(secret), encode(stored), stored.etag or ""
            )
        except (RowChanged, RowMissing):
            return

    async def keep_upload(self, tenant_id: str, file_id: str, upload: Upload) -> None:
        """Keep an uploaded file's description."""
        await self._insert(f"{tenant_id}|upload", secret_hash(file_id), upload)

    async def upload(self, tenant_id: str, file_id: str) -> Stored[Upload] | None:
        """An uploaded file of this tenant that is still there; any text may be asked for."""
        row = await self._tables.get(keys.SESSIONS, f"{tenant_id}|upload", secret_hash(file_id))
        if row is None:
            return None
        found = decode(Upload, row.values, row.etag)
        return found if found.value.expires_at > self._clock.now() else None

    async def use_upload(self, tenant_id: str, file_id: str, stored: Stored[Upload]) -> bool:
        """Take a file's bytes for one send; False when another was faster, or its time has just ended."""
        row = encode(stored.changed(replace(stored.value, used=True)))
        try:
            await self._tables.replace(
                keys.SESSIONS, f"{tenant_id}|upload", secret_hash(file_id), row, stored.etag or ""
            )
        except (RowChanged, RowMissing):
            return False
        return True

    async def erase_ended(self, limit: int) -> tuple[int, list[str]]:
        """Erase up to `limit` rows whose time is over, sealed tokens of unconfirmed sign-ins among them.

        Returns how many, and the blobs of uploads that no send has used: nothing leads to them any more.
        """
        over = f"{ENDS}{keys.bucket_of(self._clock.now()):012d}"
        notes: list[Row] = []
        rows = self._tables.query_partitions(keys.SESSIONS, ENDS, over)
        async with aclosing(rows):  # type: ignore[type-var]  # every store's is a generator
            async for note in rows:
                notes.append(note)
                if len(notes) >= limit:
                    break
        erased = [row for note in notes if (row := await self._erase_if_ended(note)) is not None]
        return len(erased), [blob for row in erased for blob in _unused_blobs(row)]

    async def _erase_if_ended(self, note: Row) -> Row | None:
        """The row that was erased. A session lives longer by being used: then its note moves on with its end."""
        partition, _, row = note.row.rpartition("|")
        found = await self._tables.get(keys.SESSIONS, partition, row)
        end = _end_of(found) if found is not None else None
        ended = end is not None and end <= self._clock.now()
        if end is not None and not ended:
            await self._note_end(partition, row, end)
        elif found is not None and not await self._erase(found):
            return None  # used at this moment: the next run looks again
        await self._tables.delete(keys.SESSIONS, note.partition, note.row)
        return found if ended else None

    async def _erase(self, row: Row) -> bool:
        try:
            await self._tables.delete(keys.SESSIONS, row.partition, row.row, row.etag)
        except (RowChanged, RowMissing):
            return False
        return True

    async def _insert(self, partition: str, row: str, record: Expiring) -> None:
        await self._note_end(partition, row, record.expires_at)
        await self._tables.insert(keys.SESSIONS, partition, row, encode(Stored(record)))

    async def _note_end(self, partition: str, row: str, end: datetime) -> None:
        place = (f"{ENDS}{keys.bucket_of(end):012d}", f"{partition}|{row}")
        await self._tables.upsert(keys.SESSIONS, *place, {"schema": 1})


@dataclass(frozen=True, slots=True)
class _Ending:
    """All that rows of every kind have in common."""

    expires_at: datetime


def _end_of(row: Row) -> datetime:
    return decode(_Ending, row.values, row.etag).value.expires_at


def _unused_blobs(row: Row) -> list[str]:
    if not row.partition.endswith("|upload"):
        return []
    upload = decode(Upload, row.values, row.etag).value
    return [upload.file.blob] if upload.file.blob and not upload.used else []
