"""The table `Connections`: who is connected to which mailbox, with the sealed tokens beside."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from shared.domain.errors import RowChanged, RowExists, RowMissing
from shared.domain.model import Connection, MailboxRef
from shared.ports import Clock, Sealer
from shared.state import keys
from shared.state.codec import Stored, decode, encode
from shared.state.remembered import Remembered
from shared.storage.api import Delete, Insert, Op, Replace, Row, TableStore

CURRENT_ROW = "current"


@dataclass(frozen=True, slots=True)
class Current:
    """Which connection of a user counts."""

    connection_id: str


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed secret with the time it is good until (for access tokens)."""

    sealed: str
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class OpenedTokens:
    """A connection's tokens in clear, with the rows they must be saved over (K-7)."""

    cache: str = field(repr=False)
    cache_row: Stored[Sealed] = field(repr=False)
    access_token: str | None = field(repr=False, default=None)
    expires_at: datetime | None = None
    access_row: Stored[Sealed] | None = field(repr=False, default=None)

    @property
    def cache_etag(self) -> str:
        """What tells whether the cache is still the one that was read."""
        return self.cache_row.etag or ""


class Connections:
    """Repository of connections; a user's rows share a partition, so that a swap is one transaction.

    Access tokens are remembered for a minute.
    """

    def __init__(self, tables: TableStore, sealer: Sealer, clock: Clock) -> None:
        self._tables = tables
        self._sealer = sealer
        self._access: Remembered[tuple[str, datetime]] = Remembered(clock)

    async def current(self, tenant_id: str, user_id: str) -> Stored[Connection] | None:
        """The connection that counts for this user, whatever its status; None before the first.

        One that has ended is looked at twice: another may have taken its place between the two reads.
        """
        partition = keys.user_partition(tenant_id, user_id)
        ended: Stored[Connection] | None = None
        while True:
            row = await self._tables.get(keys.CONNECTIONS, partition, CURRENT_ROW)
            if row is None:
                return None
            connection_id = decode(Current, row.values, row.etag).value.connection_id
            if ended is not None and ended.value.connection_id == connection_id:
                return ended
            ended = await self.get(tenant_id, user_id, connection_id)
            if ended is None or ended.value.ended_at is None:
                return ended

    async def get(self, tenant_id: str, user_id: str, connection_id: str) -> Stored[Connection] | None:
        """One connection of a user."""
        partition = keys.user_partition(tenant_id, user_id)
        row = await self._tables.get(keys.CONNECTIONS, partition, _row("conn", connection_id))
        return decode(Connection, row.values, row.etag) if row else None

    async def connect(
        self, tenant_id: str, connection: Connection, cache: str, previous: Stored[Connection] | None
    ) -> None:
        """Make this the user's current connection and keep its token cache, in one transaction.

        Raises RowChanged or RowExists when somebody else changed the user's connection meanwhile.
        """
        partition = keys.user_partition(tenant_id, connection.user.user_id)
        sealed = await self._seal(tenant_id, partition, "tokens", connection.connection_id, cache)
        present = await self._tables.get(keys.CONNECTIONS, partition, CURRENT_ROW)
        ops: list[Op] = [
            _write(CURRENT_ROW, Current(connection.connection_id), present),
            Insert(_row("conn", connection.connection_id), encode(Stored(connection))),
            Insert(_row("tokens", connection.connection_id), encode(Stored(Sealed(sealed)))),
        ]
        if previous is not None:
            ops.append(
                Replace(_row("conn", previous.value.connection_id), encode(previous), previous.etag or "")
            )
        await self._tables.transact(keys.CONNECTIONS, partition, ops)

    async def step_back(
        self, tenant_id: str, ended: Stored[Connection], former: Stored[Connection] | None
    ) -> None:
        """Write a connection that has ended, and make the former one current where this one was; its tokens go.

        Raises RowChanged or RowMissing when somebody else changed the user's connection meanwhile.
        """
        connection_id = ended.value.connection_id
        partition = keys.user_partition(tenant_id, ended.value.user.user_id)
        ops: list[Op] = [Replace(_row("conn", connection_id), encode(ended), ended.etag or "")]
        present = await self._tables.get(keys.CONNECTIONS, partition, CURRENT_ROW)
        is_current = present and decode(Current, present.values, present.etag).value == Current(connection_id)
        if former is not None and present is not None and is_current:
            ops += [
                _write(CURRENT_ROW, Current(former.value.connection_id), present),
                Replace(_row("conn", former.value.connection_id), encode(former), former.etag or ""),
            ]
        await self._tables.transact(keys.CONNECTIONS, partition, ops)
        await self.forget_tokens(tenant_id, ended.value.user.user_id, connection_id)

    async def repair(self, tenant_id: str, connection: Stored[Connection], cache: str) -> None:
        """Put a fresh token cache under an existing connection (O-11); the cached access token goes."""
        partition = keys.user_partition(tenant_id, connection.value.user.user_id)
        connection_id = connection.value.connection_id
        sealed = Sealed(await self._seal(tenant_id, partition, "tokens", connection_id, cache))
        tokens = await self._tables.get(keys.CONNECTIONS, partition, _row("tokens", connection_id))
        access = await self._tables.get(keys.CONNECTIONS, partition, _row("access", connection_id))
        ops: list[Op] = [
            Replace(_row("conn", connection_id), encode(connection), connection.etag or ""),
            _write(_row("tokens", connection_id), sealed, tokens),
        ]
        if access is not None:
            ops.append(Delete(access.row))
        await self._tables.transact(keys.CONNECTIONS, partition, ops)
        self._access.drop(connection_id)

    async def save(self, tenant_id: str, connection: Stored[Connection]) -> None:
        """Write a changed connection under the ETag it was read with."""
        partition = keys.user_partition(tenant_id, connection.value.user.user_id)
        row = _row("conn", connection.value.connection_id)
        await self._tables.replace(
            keys.CONNECTIONS, partition, row, encode(connection), connection.etag or ""
        )

    async def tokens(self, tenant_id: str, user_id: str, connection_id: str) -> OpenedTokens | None:
        """The connection's tokens, opened; None after Disconnect."""
        partition = keys.user_partition(tenant_id, user_id)
        kept = await self._tables.get(keys.CONNECTIONS, partition, _row("tokens", connection_id))
        if kept is None:
            return None
        cache_row = decode(Sealed, kept.values, kept.etag)
        cache = await self._open(tenant_id, partition, "tokens", connection_id, cache_row.value)
        row = await self._tables.get(keys.CONNECTIONS, partition, _row("access", connection_id))
        if row is None:
            return OpenedTokens(cache, cache_row)
        access = decode(Sealed, row.values, row.etag)
        token = await self._open(tenant_id, partition, "access", connection_id, access.value)
        return OpenedTokens(cache, cache_row, token, access.value.expires_at, access)

    async def tokens_etag(self, tenant_id: str, user_id: str, connection_id: str) -> str | None:
        """What tells whether the connection's tokens are still those that were read; None after Disconnect."""
        partition = keys.user_partition(tenant_id, user_id)
        kept = await self._tables.get(keys.CONNECTIONS, partition, _row("tokens", connection_id))
        return kept.etag if kept else None

    def remembered_token(self, connection_id: str, since: datetime | None) -> tuple[str, datetime] | None:
        """The access token and its expiry, as this process knew them within the last minute; nothing is read.

        `since`: what was remembered before that time is not taken.
        """
        return self._access.get(connection_id, since=since)

    async def access_token(
        self, tenant_id: str, user_id: str, connection_id: str
    ) -> tuple[str, datetime] | None:
        """The stored access token and its expiry."""
        self._access.drop(connection_id)
        partition = keys.user_partition(tenant_id, user_id)
        row = await self._tables.get(keys.CONNECTIONS, partition, _row("access", connection_id))
        if row is None:
            return None
        kept = decode(Sealed, row.values, row.etag).value
        token = await self._open(tenant_id, partition, "access", connection_id, kept)
        return self._access.put(connection_id, (token, kept.expires_at)) if kept.expires_at else None

    async def save_tokens(
        self,
        tenant_id: str,
        user_id: str,
        connection_id: str,
        read: OpenedTokens,
        cache: str,
        access_token: str,
        expires_at: datetime,
    ) -> bool:
        """Keep refreshed tokens, only where the ones they came from still lie (nothing rises again after Disconnect).

        Returns False when somebody was faster; their tokens are as good.
        """
        partition = keys.user_partition(tenant_id, user_id)
        sealed_cache = await self._seal(tenant_id, partition, "tokens", connection_id, cache)
        sealed_access = await self._seal(tenant_id, partition, "access", connection_id, access_token)
        ops = [
            _write_over(_row("tokens", connection_id), Sealed(sealed_cache), read.cache_row),
            _write_over(_row("access", connection_id), Sealed(sealed_access, expires_at), read.access_row),
        ]
        try:
            await self._tables.transact(keys.CONNECTIONS, partition, ops)
        except (RowChanged, RowExists, RowMissing):
            return False
        self._access.put(connection_id, (access_token, expires_at))
        return True

    async def forget_tokens(self, tenant_id: str, user_id: str, connection_id: str) -> None:
        """Delete what could call Graph for this connection; the cache first, so that no access token is kept after."""
        self._access.drop(connection_id)
        partition = keys.user_partition(tenant_id, user_id)
        for name in ("tokens", "access"):
            await self._tables.delete(keys.CONNECTIONS, partition, _row(name, connection_id))

    async def _seal(self, tenant_id: str, partition: str, name: str, connection_id: str, plain: str) -> str:
        place = (keys.CONNECTIONS, partition, _row(name, connection_id), "sealed")
        return await self._sealer.seal(tenant_id, place, plain.encode())

    async def _open(self, tenant_id: str, partition: str, name: str, connection_id: str, kept: Sealed) -> str:
        place = (keys.CONNECTIONS, partition, _row(name, connection_id), "sealed")
        return (await self._sealer.unseal(tenant_id, place, kept.sealed)).decode()


def mailbox_ref(tenant_id: str, connection: Connection) -> MailboxRef:
    """Where the state of a connection's mailbox lives."""
    return MailboxRef(tenant_id, connection.mailbox_id)


def _write(row: str, value: Current | Sealed, present: Row | None) -> Op:
    """The write of a row that may be there already, as it was just read."""
    before = decode(type(value), present.values, present.etag) if present is not None else None
    return _write_over(row, value, before)


def _write_over(row: str, value: Current | Sealed, before: Stored[Any] | None) -> Op:
    if before is None:
        return Insert(row, encode(Stored(value)))
    return Replace(row, encode(before.changed(value)), before.etag or "")


def _row(name: str, connection_id: str) -> str:
    return f"{name}:{connection_id}"
