"""What a storage account can do, as small protocols that Azure's clients and the in-memory stores both fulfil.

Errors of every method:
    StoreUnavailable    no answer, "busy" or access denied: nothing was written (it has `retry_after_seconds` where the
                        store said so)
    OutcomeUnknown      writes only: sent, and the answer was lost, a 5xx or none of the store's; read a row (E-6)
    TooLarge            over a limit of the service; found out before anything is sent where the limit is known
    UpstreamSurprise    anything else that the service's documentation does not lead to, such as a missing table
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

Value = str | int | float | bool | datetime | bytes | None
"""A column. None is not stored (the column is absent when read); datetimes are aware and keep their microseconds."""

Observe = Callable[[str, str], None]
"""Told (port, operation) once per request that goes over the wire: `observe("tables", "transact")` (T-1)."""


def observe_nothing(port: str, operation: str) -> None:
    """The observer of those who do not count."""


@dataclass(frozen=True, slots=True)
class Row:
    """One entity as read, without its system columns."""

    partition: str
    row: str
    values: dict[str, Value]
    etag: str


@dataclass(frozen=True, slots=True)
class Insert:
    """A row that must not be there yet."""

    row: str
    values: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Replace:
    """A whole row, if it is still as read."""

    row: str
    values: Mapping[str, Value]
    etag: str


@dataclass(frozen=True, slots=True)
class Delete:
    """A row to take away; it must be there, and unchanged when an ETag is given."""

    row: str
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class Upsert:
    """A whole row, whatever was there: only where the last writer may win."""

    row: str
    values: Mapping[str, Value]


Op = Insert | Replace | Delete | Upsert


class TableStore(Protocol):
    """Rows under (partition, row) with ETags. Keys are case-sensitive; slashes, # ? and control characters are refused.

    Rows of a query come in order of their keys, as the service sorts them (ordinal).
    """

    async def ensure(self, tables: Sequence[str]) -> None:
        """Create the tables that are missing."""
        ...

    async def get(self, table: str, partition: str, row: str) -> Row | None:
        """One row, or None."""
        ...

    async def insert(self, table: str, partition: str, row: str, values: Mapping[str, Value]) -> str:
        """Store a new row and return its ETag. Raises RowExists."""
        ...

    async def replace(
        self, table: str, partition: str, row: str, values: Mapping[str, Value], etag: str
    ) -> str:
        """Store a whole row over the one read as `etag` and return the new ETag. Raises RowChanged, RowMissing."""
        ...

    async def upsert(self, table: str, partition: str, row: str, values: Mapping[str, Value]) -> str:
        """Store a row whatever is there (due rows, watermarks, audit: never state, E-2) and return its ETag."""
        ...

    async def delete(self, table: str, partition: str, row: str, etag: str | None = None) -> None:
        """Take a row away. Without an ETag a missing row is fine; with one raises RowChanged, RowMissing."""
        ...

    async def query(
        self,
        table: str,
        partition: str,
        row_from: str | None = None,
        row_to: str | None = None,
        limit: int | None = None,
    ) -> list[Row]:
        """Rows of one partition with row_from <= key < row_to, in key order, at most `limit`."""
        ...

    def query_partitions(
        self,
        table: str,
        partition_from: str | None = None,
        partition_to: str | None = None,
        row_from: str | None = None,
        row_to: str | None = None,
    ) -> AsyncIterator[Row]:
        """Rows of the partitions partition_from <= key < partition_to (audits and commands; never a hot path)."""
        ...

    async def transact(self, table: str, partition: str, ops: Sequence[Op]) -> list[str]:
        """All of `ops` or none, in one entity group transaction; the new ETags in their order ("" for a Delete).

        1 to 100 operations, each row once, under 4 MiB together ("Performing entity group transactions", Azure Tables).
        Raises RowExists, RowChanged, RowMissing for the first operation that failed, with its row; TooLarge.
        """
        ...

    async def close(self) -> None:
        """Let go of the connections."""
        ...


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob with its bytes."""

    data: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class BlobInfo:
    """A blob as it appears in a list."""

    name: str
    size_bytes: int
    modified_at: datetime


class BlobStore(Protocol):
    """Bytes under names."""

    async def ensure(self, containers: Sequence[str]) -> None:
        """Create the containers that are missing."""
        ...

    async def put(
        self, container: str, name: str, data: bytes, content_type: str, *, overwrite: bool = False
    ) -> None:
        """Store a blob. Raises BlobExists unless it may be overwritten."""
        ...

    async def get(self, container: str, name: str) -> Blob | None:
        """A whole blob, or None."""
        ...

    async def delete(self, container: str, name: str) -> None:
        """Take a blob away; a missing one is fine."""
        ...

    async def list(self, container: str, prefix: str = "") -> list[BlobInfo]:
        """The blobs whose names begin with `prefix`, by name."""
        ...

    async def close(self) -> None:
        """Let go of the connections."""
        ...


@dataclass(frozen=True, slots=True)
class QueueMessage:
    """A message somebody received; `intact` is False when its text was not base64 and is given as it stood."""

    id: str
    receipt: str
    text: str
    dequeue_count: int
    inserted_at: datetime
    intact: bool = True


FOREVER_SECONDS = -1
"""`ttl_seconds` of a message that never expires."""


class QueueStore(Protocol):
    """Messages with a visibility time; at least once, order not promised.

    Texts travel as base64 of their UTF-8, as the Functions host expects them (`messageEncoding` in host.json).
    """

    async def ensure(self, queues: Sequence[str]) -> None:
        """Create the queues that are missing, and for each its `-poison` queue."""
        ...

    async def put(
        self, queue: str, text: str, delay_seconds: int = 0, ttl_seconds: int | None = FOREVER_SECONDS
    ) -> None:
        """Send a message, visible after `delay_seconds` (at most 7 days), living `ttl_seconds` (None: 7 days).

        Raises TooLarge over 48 KiB of text: 64 KiB once encoded.
        """
        ...

    async def receive(self, queue: str, count: int = 1, visibility_seconds: int = 30) -> list[QueueMessage]:
        """Up to `count` (at most 32) messages, hidden from others for `visibility_seconds`."""
        ...

    async def delete(self, queue: str, message: QueueMessage) -> bool:
        """Finish with a received message; False when somebody else has received or deleted it meanwhile."""
        ...

    async def peek(self, queue: str, count: int = 1) -> list[str]:
        """Texts of up to `count` (at most 32) visible messages; nothing is hidden or counted."""
        ...

    async def oldest_at(self, queue: str) -> datetime | None:
        """When the message that would be received next was put; None where none is visible. Nothing is hidden."""
        ...

    async def count(self, queue: str) -> int:
        """How many messages there are, visible or not (the service calls it approximate)."""
        ...

    async def close(self) -> None:
        """Let go of the connections."""
        ...
