"""Open the three stores of a storage account; the only place that knows how one is reached."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, Self, cast

from shared.storage.api import BlobStore, Observe, QueueStore, TableStore, observe_nothing

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken
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


class _Late:
    """A store that is opened by its first use, because its SDK costs a tenth of a second to load."""

    def __init__(self, opened: Callable[[], TableStore | BlobStore | QueueStore]) -> None:
        self._open = opened
        self._store: TableStore | BlobStore | QueueStore | None = None

    def __getattr__(self, name: str) -> Any:
        if self._store is None:
            self._store = self._open()
        return getattr(self._store, name)

    async def close(self) -> None:
        """Let go of the connections, if there are any."""
        if self._store is not None:
            await self._store.close()


def open_stores(
    address: StorageAddress,
    observe: Observe = observe_nothing,
    credential: AsyncTokenCredential | None = None,
) -> Stores:
    """Stores over that account. Nothing is loaded, made or sent before the first use of each, inside its loop.

    The SDKs repeat nothing: retries are decided in one place, above. `credential` replaces the managed identity
    (the operator's own sign-in, in commands). Raises ValueError for an address that lacks something.
    """
    if not address.connection_string:
        if not (address.table_uri and address.queue_uri and address.blob_uri):
            message = "the storage account needs a connection string, or table, queue and blob addresses"
            raise ValueError(message)
        credential = credential or _Identity(address.client_id)
    return Stores(
        cast("TableStore", _Late(lambda: _tables(address, credential, observe))),
        cast("BlobStore", _Late(lambda: _blobs(address, credential, observe))),
        cast("QueueStore", _Late(lambda: _queues(address, credential, observe))),
        credential,
    )


def _tables(address: StorageAddress, credential: AsyncTokenCredential | None, observe: Observe) -> TableStore:
    from azure.data.tables.aio import TableServiceClient

    from shared.storage.tables import AzureTables

    if address.connection_string:
        service = TableServiceClient.from_connection_string(address.connection_string, **_options())
    else:
        service = TableServiceClient(address.table_uri or "", credential=credential, **_options())
    return AzureTables(service, observe)


def _blobs(address: StorageAddress, credential: AsyncTokenCredential | None, observe: Observe) -> BlobStore:
    from azure.storage.blob.aio import BlobServiceClient

    from shared.storage.blobs import AzureBlobs

    # Our files are at most some megabytes: one request up, one down, no blocks.
    options = _options(max_single_put_size=ONE_REQUEST_BYTES, max_single_get_size=ONE_REQUEST_BYTES)
    if address.connection_string:
        service = BlobServiceClient.from_connection_string(address.connection_string, **options)
    else:
        service = BlobServiceClient(address.blob_uri or "", credential=credential, **options)
    return AzureBlobs(service, observe)


def _queues(address: StorageAddress, credential: AsyncTokenCredential | None, observe: Observe) -> QueueStore:
    from azure.storage.queue.aio import QueueServiceClient

    from shared.storage.queues import AzureQueues

    if address.connection_string:
        service = QueueServiceClient.from_connection_string(address.connection_string, **_options())
    else:
        service = QueueServiceClient(address.queue_uri or "", credential=credential, **_options())
    return AzureQueues(service, observe)


def _options(**more: Any) -> dict[str, Any]:
    """Every client has its own session; all of the SDK's kinds of retry are off."""
    from shared.storage.wire import Transport

    off = ("retry_total", "retry_connect", "retry_read", "retry_status")
    return {"transport": Transport(), **dict.fromkeys(off, 0), **more}


class _Identity:
    """The app's managed identity, loaded by the first token."""

    def __init__(self, client_id: str | None) -> None:
        self._client_id = client_id
        self._real: AsyncTokenCredential | None = None

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """A token for these scopes."""
        if self._real is None:
            from azure.identity.aio import ManagedIdentityCredential

            self._real = ManagedIdentityCredential(client_id=self._client_id)
        return await self._real.get_token(*scopes, **options)

    async def close(self) -> None:
        """Let go of the connections, if there are any."""
        if self._real is not None:
            await self._real.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
