"""Open the three stores of a storage account; the only place that knows how one is reached."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, cast

from shared.storage.api import BlobStore, Observe, QueueStore, TableStore, observe_nothing

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken
    from azure.core.credentials_async import AsyncTokenCredential

ONE_REQUEST_BYTES = 64 * 1024 * 1024


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
    *,
    connection_string: str | None = None,
    table_uri: str | None = None,
    queue_uri: str | None = None,
    blob_uri: str | None = None,
    client_id: str | None = None,
    observe: Observe = observe_nothing,
    credential: AsyncTokenCredential | None = None,
) -> Stores:
    """Stores over one account. Nothing is loaded, made or sent before the first use of each, inside its loop.

    The account is reached by a whole `connection_string` (Azurite), and then the addresses are not looked at; or by the
    https addresses of its three services. Those are asked with the managed identity `client_id` (None: the one that the
    system assigned), or with `credential` instead. `observe` is told of each request. The SDKs repeat nothing: retries
    are decided in one place, above. Raises ValueError when there is no connection string and an address is missing.
    """
    if not connection_string:
        if not (table_uri and queue_uri and blob_uri):
            message = "the storage account needs a connection string, or table, queue and blob addresses"
            raise ValueError(message)
        credential = credential or _Identity(client_id)
    return Stores(
        cast("TableStore", _Late(lambda: _tables(connection_string, table_uri, credential, observe))),
        cast("BlobStore", _Late(lambda: _blobs(connection_string, blob_uri, credential, observe))),
        cast("QueueStore", _Late(lambda: _queues(connection_string, queue_uri, credential, observe))),
        credential,
    )


def _tables(
    connection_string: str | None, uri: str | None, credential: AsyncTokenCredential | None, observe: Observe
) -> TableStore:
    from azure.data.tables.aio import TableServiceClient

    from shared.storage.tables import AzureTables

    if connection_string:
        service = TableServiceClient.from_connection_string(connection_string, **_options())
    else:
        service = TableServiceClient(uri or "", credential=credential, **_options())
    return AzureTables(service, observe)


def _blobs(
    connection_string: str | None, uri: str | None, credential: AsyncTokenCredential | None, observe: Observe
) -> BlobStore:
    from azure.storage.blob.aio import BlobServiceClient

    from shared.storage.blobs import AzureBlobs

    # Our files are at most some megabytes: one request up, one down, no blocks.
    options = _options(max_single_put_size=ONE_REQUEST_BYTES, max_single_get_size=ONE_REQUEST_BYTES)
    if connection_string:
        service = BlobServiceClient.from_connection_string(connection_string, **options)
    else:
        service = BlobServiceClient(uri or "", credential=credential, **options)
    return AzureBlobs(service, observe)


def _queues(
    connection_string: str | None, uri: str | None, credential: AsyncTokenCredential | None, observe: Observe
) -> QueueStore:
    from azure.storage.queue.aio import QueueServiceClient

    from shared.storage.queues import AzureQueues

    if connection_string:
        service = QueueServiceClient.from_connection_string(connection_string, **_options())
    else:
        service = QueueServiceClient(uri or "", credential=credential, **_options())
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
