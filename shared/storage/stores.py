"""Open the three stores of a storage account; the only place that knows how one is reached."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from shared.storage.api import BlobStore, Observe, QueueStore, TableStore, observe_nothing

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential

    from shared.transport import Dial

Options = Callable[..., dict[str, Any]]
ONE_REQUEST_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Stores:
    """The three stores, opened together."""

    tables: TableStore
    blobs: BlobStore
    queues: QueueStore

    async def close(self) -> None:
        """Let go of all connections."""
        await self.tables.close()
        await self.blobs.close()
        await self.queues.close()


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
    credential: AsyncTokenCredential | None = None,
    observe: Observe = observe_nothing,
    ca_file: str | None = None,
    dial: Dial | None = None,
) -> Stores:
    """Stores over one account. Nothing is loaded, made or sent before the first use of each, inside its loop.

    The account is reached by a whole `connection_string` (Azurite), and then the addresses are not looked at; or by the
    https addresses of its three services, with `credential`. `observe` is told of each request; `ca_file` and `dial`
    as in `shared.azure_http`. The SDKs repeat nothing: retries are decided in one place, above. Raises ValueError when
    there is no connection string and an address or the credential is missing.
    """
    if not connection_string and not (table_uri and queue_uri and blob_uri and credential):
        message = "the storage account needs a connection string, or table, queue and blob addresses and a credential"
        raise ValueError(message)

    def options(**more: Any) -> dict[str, Any]:
        """Every client has its own session."""
        from shared.azure_http import NO_RETRIES, AzureTransport

        return {"transport": AzureTransport(ca_file, dial), **NO_RETRIES, **more}

    return Stores(
        cast(
            "TableStore", _Late(lambda: _tables(connection_string, table_uri, credential, observe, options))
        ),
        cast("BlobStore", _Late(lambda: _blobs(connection_string, blob_uri, credential, observe, options))),
        cast(
            "QueueStore", _Late(lambda: _queues(connection_string, queue_uri, credential, observe, options))
        ),
    )


def _tables(
    connection_string: str | None,
    uri: str | None,
    credential: AsyncTokenCredential | None,
    observe: Observe,
    options: Options,
) -> TableStore:
    from azure.data.tables.aio import TableServiceClient

    from shared.storage.tables import AzureTables

    if connection_string:
        service = TableServiceClient.from_connection_string(connection_string, **options())
    else:
        service = TableServiceClient(uri or "", credential=credential, **options())
    return AzureTables(service, observe)


def _blobs(
    connection_string: str | None,
    uri: str | None,
    credential: AsyncTokenCredential | None,
    observe: Observe,
    options: Options,
) -> BlobStore:
    from azure.storage.blob.aio import BlobServiceClient

    from shared.storage.blobs import AzureBlobs

    # Our files are at most some megabytes: one request up, one down, no blocks.
    one_request = options(max_single_put_size=ONE_REQUEST_BYTES, max_single_get_size=ONE_REQUEST_BYTES)
    if connection_string:
        service = BlobServiceClient.from_connection_string(connection_string, **one_request)
    else:
        service = BlobServiceClient(uri or "", credential=credential, **one_request)
    return AzureBlobs(service, observe)


def _queues(
    connection_string: str | None,
    uri: str | None,
    credential: AsyncTokenCredential | None,
    observe: Observe,
    options: Options,
) -> QueueStore:
    from azure.storage.queue.aio import QueueServiceClient

    from shared.storage.queues import AzureQueues

    if connection_string:
        service = QueueServiceClient.from_connection_string(connection_string, **options())
    else:
        service = QueueServiceClient(uri or "", credential=credential, **options())
    return AzureQueues(service, observe)
