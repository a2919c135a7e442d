"""Blobs through `azure-storage-blob`."""

from __future__ import annotations

from collections.abc import Sequence

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import ContentSettings
from azure.storage.blob.aio import BlobServiceClient

from shared.domain.errors import BlobExists, UpstreamSurprise
from shared.storage.api import Blob, BlobInfo, Observe
from shared.storage.wire import answered, code_of, speaks


class AzureBlobs:
    """`BlobStore` over a storage account, or over Azurite."""

    def __init__(self, service: BlobServiceClient, observe: Observe) -> None:
        self._service = service
        self._observe = observe

    async def ensure(self, containers: Sequence[str]) -> None:
        """Create the containers that are missing."""
        for container in containers:
            self._observe("blob", "create")
            async with answered(writes=True):
                try:
                    await self._service.create_container(container)
                except ResourceExistsError:
                    continue

    async def put(
        self, container: str, name: str, data: bytes, content_type: str, *, overwrite: bool = False
    ) -> None:
        """Store a blob in one request (`open_stores` sets the client's limit for that)."""
        self._observe("blob", "put")
        async with answered(writes=True):
            try:
                await self._service.get_blob_client(container, name).upload_blob(
                    data,
                    overwrite=overwrite,
                    content_settings=ContentSettings(content_type=content_type),
                )
            except ResourceExistsError as error:
                if not speaks(error):
                    raise
                raise BlobExists from error

    async def get(self, container: str, name: str) -> Blob | None:
        """A whole blob, or None."""
        self._observe("blob", "get")
        async with answered(writes=False):
            try:
                download = await self._service.get_blob_client(container, name).download_blob()
            except ResourceNotFoundError as error:
                _insist_on_blob(error)
                return None
            data = await download.readall()
            return Blob(data, str(download.properties.content_settings.content_type))

    async def delete(self, container: str, name: str) -> None:
        """Take a blob away; a missing one is fine."""
        self._observe("blob", "delete")
        async with answered(writes=True):
            try:
                await self._service.get_blob_client(container, name).delete_blob()
            except ResourceNotFoundError as error:
                _insist_on_blob(error)

    async def list(self, container: str, prefix: str = "") -> list[BlobInfo]:
        """The blobs whose names begin with `prefix`, by name."""
        pages = self._service.get_container_client(container).list_blobs(prefix or None).by_page()
        found: list[BlobInfo] = []
        while True:
            self._observe("blob", "list")
            async with answered(writes=False):
                page = await anext(pages, None)
                if page is None:
                    return found
                found += [BlobInfo(blob.name, blob.size, blob.last_modified) async for blob in page]

    async def close(self) -> None:
        """Let go of the connections."""
        await self._service.close()


def _insist_on_blob(error: ResourceNotFoundError) -> None:
    """Only the service knows that a blob is not there: a gateway's 404 says nothing of it."""
    if not speaks(error):
        raise error
    if code_of(error) == "ContainerNotFound":
        raise UpstreamSurprise("A container is missing in the storage account.") from error
