"""Open the three stores of a storage account; the only place that knows how one is reached."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from shared.storage.api import BlobStore, Observe, QueueStore, TableStore, observe_nothing

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential

ONE_REQUEST_BYTES = 64 * 1024 * 1024


class StorageAddress(Protocol):
    """How the storage account is reached: a connection string (Azurite), or three addresses and an identity."""

    @property
    def connection_string(self) -> str | None:
        """A whole connection string; when set, the rest is not looked at."""
        ...

    @property
    def table_uri(self) -> str | None:
        """The https address of the table service."""
        ...

    @property
    def queue_uri(self) -> str | None:
        """The https address of the queue service."""
        ...

    @property
    def blob_uri(self) -> str | None:
        """The https address of the blob service."""
        ...

    @property
    def client_id(self) -> str | None:
        """The user-assigned identity to sign in with; None for the system-assigned one."""
        ...


@dataclass(frozen=True, slots=True)
class Address:
    """A `StorageAddress` written down."""

    connection_string: str | None = None
    table_uri: str | None = None
    queue_uri: str | None = None
    blob_uri: str | None = None
    client_id: str | None = None


@dataclass(frozen=True, slots=True)
class Stores:
    """The three stores, opened together."""

    tables: TableStore
    blobs: BlobStore
    queues: QueueStore
    credential: AsyncTokenCredential | None = field(default=None, repr=False)

    async def close(self) -> None:
        """Let go of all connections."""
        await self.tables.close()
        await self.blobs.close()
        await self.queues.close()
        if self.credential is not None:
            await self.credential.close()


def open_stores(
    address: StorageAddress,
    observe: Observe = observe_nothing,
    credential: AsyncTokenCredential | None = None,
) -> Stores:
    """Clients for the storage account; nothing is sent yet, sessions open inside the loop that first uses them.

    The SDKs repeat nothing: retries are decided in one place, above. `credential` replaces the managed identity
    (the operator's own sign-in, in commands). The SDKs are imported here because they cost a third of a second.
    """
    from azure.data.tables.aio import TableServiceClient
    from azure.storage.blob.aio import BlobServiceClient
    from azure.storage.queue.aio import QueueServiceClient

    from shared.storage.blobs import AzureBlobs
    from shared.storage.queues import AzureQueues
    from shared.storage.tables import AzureTables

    if address.connection_string:
        tables = TableServiceClient.from_connection_string(address.connection_string, **_options())
        blobs = BlobServiceClient.from_connection_string(
            address.connection_string, **_options(**_blob_limits())
        )
        queues = QueueServiceClient.from_connection_string(address.connection_string, **_options())
    else:
        credential = credential or _identity(address.client_id)
        tables = TableServiceClient(_need(address.table_uri), credential=credential, **_options())
        blobs = BlobServiceClient(
            _need(address.blob_uri), credential=credential, **_options(**_blob_limits())
        )
        queues = QueueServiceClient(_need(address.queue_uri), credential=credential, **_options())
    return Stores(
        AzureTables(tables, observe), AzureBlobs(blobs, observe), AzureQueues(queues, observe), credential
    )


def _options(**more: Any) -> dict[str, Any]:
    """Every client has its own session; all of the SDK's kinds of retry are off."""
    from shared.storage.wire import Transport

    off = ("retry_total", "retry_connect", "retry_read", "retry_status")
    return {"transport": Transport(), **dict.fromkeys(off, 0), **more}


def _blob_limits() -> dict[str, int]:
    """Our files are at most some megabytes: one request up, one down, no blocks."""
    return {"max_single_put_size": ONE_REQUEST_BYTES, "max_single_get_size": ONE_REQUEST_BYTES}


def _identity(client_id: str | None) -> AsyncTokenCredential:
    from azure.identity.aio import ManagedIdentityCredential

    return ManagedIdentityCredential(client_id=client_id) if client_id else ManagedIdentityCredential()


def _need(address: str | None) -> str:
    if not address:
        message = "the storage account needs a connection string, or table, queue and blob addresses"
        raise ValueError(message)
    return address
