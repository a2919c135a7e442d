"""The table `Sessions`: short-lived rows of people's browsers, and of files uploaded ahead of a send.

Whatever a browser holds is random and stored only as a hash. A one-time row is deleted by its ETag before it is
used, so that the second to arrive finds nothing (O-4). Before each row a note of its end is written, in a partition
per five minutes: so rows that nobody comes for are found and erased without looking through the others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, Protocol, TypeVar

from shared.domain.errors import (
    LinkUnusable,
    OutcomeUnknown,
    RowChanged,
    RowMissing,
    StoreUnavailable,
    UnknownForm,
)
from shared.domain.model import CrmUser, SignInOutcome, StagedFile
from shared.hashing import digest
from shared.ports import Clock
from shared.state import keys
from shared.state.codec import Stored, decode, encode
from shared.state.session_notes import Result, SignInAttempt, UserEnd
from shared.storage.api import Row, TableStore

CONNECT: Final = "connect"
DISCONNECT: Final = "disconnect"


class Expiring(Protocol):
    """A row that is good until a time."""

    @property
    def expires_at(self) -> datetime:
        """Aware UTC."""
        ...


E = TypeVar("E", bound=Expiring)
V = TypeVar("V")
MOST_PASSED_OVER: Final = 3


@dataclass(frozen=True, slots=True)
class SessionLink:
    """A link the CRM's server asked for (W-1)."""

    tenant_id: str
    user: CrmUser
    expires_at: datetime
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Session:
    """A settings page that is open (W-3)."""

    tenant_id: str
    user: CrmUser
    expires_at: datetime
    absolute_until: datetime
    created_at: datetime


@dataclass(frozen=True, slots=True)
class StartTicket:
    """The right to do one thing in a top-level window: to sign in, or to disconnect (O-2, W-6)."""

    tenant_id: str
    user: CrmUser
    expires_at: datetime
    created_at: datetime
    purpose: str = CONNECT


@dataclass(frozen=True, slots=True)
class SignInState:
    """A sign-in under way, bound to one browser by the hash of its cookie (O-2, O-3). `flow` is sealed."""

    tenant_id: str
    user: CrmUser
    cookie_hash: str
    flow: str
    expires_at: datetime
    created_at: datetime


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
    created_at: datetime


@dataclass(frozen=True, slots=True)
class PendingDisconnect:
    """A question that waits for the person's yes: to disconnect this mailbox (W-6)."""

    tenant_id: str
    user: CrmUser
    connection_id: str
    address: str
    expires_at: datetime
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Upload:
    """A file uploaded ahead of a send. `used`: a send has taken its bytes, so they do not end with this row.

    `used_by`: mailbox and key of that send, which may yet come to nothing; "" where its day ended unused, None in rows
    of an earlier version.
    """

    file: StagedFile
    expires_at: datetime
    used: bool = False
    used_by: str | None = None


Release = Callable[[str, Upload], Awaitable[None]]


def upload_owner(file_id: str) -> str:
    """By what an upload's bytes are named: not by its id, which opens them."""
    return f"upload-{secret_hash(file_id)[:32]}"


def secret_hash(secret: str) -> str:
    """How a browser's secret is stored: 256 random bits need no salt."""
    return hashlib.sha256(secret.encode()).hexdigest()


PARTITIONS: Final = {
    SessionLink: "link",
    Session: "session",
    StartTicket: "ticket",
    SignInState: "state",
    PendingConnection: "pending",
    PendingDisconnect: "disconnecting",
    Result: "result",
}
OF_A_USER: Final = (SessionLink, Session, StartTicket, SignInState, PendingConnection, PendingDisconnect)
ATTEMPT_KEPT_FOR: Final = timedelta(hours=9)
LONGEST_LIFE: Final = timedelta(hours=9)  # longer than any of these lives
ENDS: Final = "ends|"
UPLOADS: Final = "|upload"  # behind the tenant
TAKEN_FOR: Final = timedelta(hours=1)


class Sessions:
    """Repository of short-lived rows."""

    def __init__(self, tables: TableStore, clock: Clock) -> None:
        self._tables = tables
        self._clock = clock

    async def keep(self, secret: str, record: Expiring) -> None:
        """Keep a row under the hash of a fresh secret."""
        await self._insert(PARTITIONS[type(record)], secret_hash(secret), record)

    async def put(self, secret: str, record: Expiring) -> None:
        """Keep a row under the hash of a secret, in place of the one that may be there."""
        await self._upsert(PARTITIONS[type(record)], secret_hash(secret), Stored(record))

    async def look(self, kind: type[E], secret: str) -> Stored[E]:
        """A row that may be used several times. Raises LinkUnusable."""
        row = await self._tables.get(keys.SESSIONS, PARTITIONS[kind], secret_hash(secret))
        if row is None:
            raise LinkUnusable
        stored = decode(kind, row.values, row.etag)
        if stored.value.expires_at <= self._clock.now() or await self.is_over(stored.value):
            raise LinkUnusable
        return stored

    async def note_attempt(self, tenant_id: str, user_id: str, outcome: SignInOutcome) -> None:
        """Note how far the user's newest sign-in has come; the last writer wins."""
        now = self._clock.now()
        attempt = SignInAttempt(outcome, now, now + ATTEMPT_KEPT_FOR)
        await self._upsert(*_attempt_place(tenant_id, user_id), Stored(attempt))

    async def attempt(self, tenant_id: str, user_id: str) -> SignInAttempt | None:
        """The user's newest sign-in of the last hours."""
        row = await self._tables.get(keys.SESSIONS, *_attempt_place(tenant_id, user_id))
        return decode(SignInAttempt, row.values, row.etag).value if row is not None else None

    async def is_over(self, record: Expiring) -> bool:
        """Whether its user was disconnected or removed since it began, also after it was taken."""
        if not isinstance(record, OF_A_USER):
            return False
        row = await self._tables.get(keys.SESSIONS, *_end_place(record.tenant_id, record.user.user_id))
        if row is None:
            return False
        end = decode(UserEnd, row.values, row.etag).value
        at = end.sessions_at if isinstance(record, SessionLink | Session) else end.at
        return at is not None and record.created_at <= at

    async def end_of_user(self, tenant_id: str, user_id: str, *, keeps_sessions: bool) -> None:
        """End the sign-ins of a user that began until now, and links and sessions as well unless they are kept."""
        now = self._clock.now()
        place = _end_place(tenant_id, user_id)
        row = await self._tables.get(keys.SESSIONS, *place)
        stored = decode(UserEnd, row.values, row.etag) if row is not None else None
        before = stored.value.sessions_at if stored is not None else None
        end = UserEnd(now, now + LONGEST_LIFE, before if keeps_sessions else now)
        await self._upsert(*place, stored.changed(end) if stored is not None else Stored(end))

    async def take(self, kind: type[E], secret: str) -> E:
        """A row that is used once: gone before it is used. Raises LinkUnusable."""
        stored = await self.look(kind, secret)
        try:
            await self._tables.delete(keys.SESSIONS, PARTITIONS[kind], secret_hash(secret), stored.etag)
        except (RowChanged, RowMissing) as err:
            raise LinkUnusable from err
        return stored.value

    async def drop(self, kind: type[Expiring], secret: str) -> None:
        """End a row before its time; again is fine."""
        await self._tables.delete(keys.SESSIONS, PARTITIONS[kind], secret_hash(secret))

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
        await self._insert(f"{tenant_id}{UPLOADS}", secret_hash(file_id), upload)

    async def upload(self, tenant_id: str, file_id: str) -> Stored[Upload] | None:
        """An uploaded file of this tenant that is still there; any text may be asked for."""
        row = await self._tables.get(keys.SESSIONS, f"{tenant_id}{UPLOADS}", secret_hash(file_id))
        if row is None:
            return None
        found = decode(Upload, row.values, row.etag)
        return found if found.value.expires_at > self._clock.now() else None

    async def use_upload(self, tenant_id: str, file_id: str, stored: Stored[Upload], used_by: str) -> bool:
        """Take a file's bytes for one send; False when another was faster, or its time has just ended."""
        row = encode(stored.changed(replace(stored.value, used=True, used_by=used_by)))
        try:
            await self._tables.replace(
                keys.SESSIONS, f"{tenant_id}{UPLOADS}", secret_hash(file_id), row, stored.etag or ""
            )
        except (RowChanged, RowMissing):
            return False
        return True

    async def erase_ended(self, limit: int, release: Release) -> int:
        """Erase up to `limit` rows whose time is over, sealed tokens of unconfirmed sign-ins among them.

        Returns how many. Before an upload's row goes, `release` is given its tenant and the upload, of which no send
        can take the bytes any more. A row that the store does not give now is passed over, and looked at by the next
        run; raises StoreUnavailable when there are many.
        """
        over = f"{ENDS}{keys.bucket_of(self._clock.now()):012d}"
        notes: list[Row] = []
        rows = self._tables.query_partitions(keys.SESSIONS, ENDS, over)
        async with aclosing(rows):  # type: ignore[type-var]  # every store's is a generator
            async for note in rows:
                notes.append(note)
                if len(notes) >= limit:
                    break
        erased = failed = 0
        for note in notes:
            try:
                erased += await self._erase_if_ended(note, release)
            except (StoreUnavailable, OutcomeUnknown):
                failed += 1
                if failed > MOST_PASSED_OVER:
                    raise
                continue
        return erased

    async def _erase_if_ended(self, note: Row, release: Release) -> int:
        """How many rows were erased, one or none. A session lives longer by being used: its note moves on with its end.

        A row whose own end cannot be read ends with its note.
        """
        partition, _, row = note.row.rpartition("|")
        found = await self._tables.get(keys.SESSIONS, partition, row) if partition and row else None
        end = _end_of(found, self._clock.now()) if found is not None else None
        ended = end is not None and end <= self._clock.now()
        if end is not None and not ended:
            await self._note_end(partition, row, end)
        elif found is not None:
            found = await self._release_upload(found, release) if ended else found
            if found is None or not await self._erase(found):
                return 0  # used at this moment: the next run looks again
        await self._tables.delete(keys.SESSIONS, note.partition, note.row)
        return int(ended)

    async def _release_upload(self, row: Row, release: Release) -> Row | None:
        """The row once the bytes of its upload are dealt with; None where a send takes them at this moment."""
        upload = _read(Upload, row) if row.partition.endswith(UPLOADS) else None
        if upload is None:
            return row
        if not upload.used:
            values = encode(
                decode(Upload, row.values, row.etag).changed(replace(upload, used=True, used_by=""))
            )
            try:
                etag = await self._tables.replace(keys.SESSIONS, row.partition, row.row, values, row.etag)
            except (RowChanged, RowMissing):
                return None
            row, upload = replace(row, etag=etag), replace(upload, used=True, used_by="")
        await release(row.partition.removesuffix(UPLOADS), upload)
        return row

    async def _erase(self, row: Row) -> bool:
        try:
            await self._tables.delete(keys.SESSIONS, row.partition, row.row, row.etag)
        except (RowChanged, RowMissing):
            return False
        return True

    async def _insert(self, partition: str, row: str, record: Expiring) -> None:
        await self._note_end(partition, row, record.expires_at)
        await self._tables.insert(keys.SESSIONS, partition, row, encode(Stored(record)))

    async def _upsert(self, partition: str, row: str, stored: Stored[Any]) -> None:
        await self._note_end(partition, row, stored.value.expires_at)
        await self._tables.upsert(keys.SESSIONS, partition, row, encode(stored))

    async def _note_end(self, partition: str, row: str, end: datetime) -> None:
        place = (f"{ENDS}{keys.bucket_of(end):012d}", f"{partition}|{row}")
        await self._tables.upsert(keys.SESSIONS, *place, {"schema": 1})


@dataclass(frozen=True, slots=True)
class _Ending:
    """All that rows of every kind have in common."""

    expires_at: datetime


def _attempt_place(tenant_id: str, user_id: str) -> tuple[str, str]:
    return f"{tenant_id}|attempt", digest("user", user_id)


def _end_place(tenant_id: str, user_id: str) -> tuple[str, str]:
    return f"{tenant_id}|end", digest("user", user_id)


def _end_of(row: Row, otherwise: datetime) -> datetime:
    """When a row's time is over. The send that took an upload's bytes has an hour to come to be."""
    ending = _read(_Ending, row)
    if ending is None:
        return otherwise
    upload = _read(Upload, row) if row.partition.endswith(UPLOADS) else None
    return ending.expires_at + (TAKEN_FOR if upload is not None and upload.used_by else timedelta())


def _read(kind: type[V], row: Row) -> V | None:
    """The record in a row; None where the row is not of that kind."""
    try:
        return decode(kind, row.values, row.etag).value
    except UnknownForm:
        return None
