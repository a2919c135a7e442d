"""The files of a mail as a list: metadata and, as far as Graph tells them, Content-IDs."""

from __future__ import annotations

from typing import Any, Final

from shared.domain.errors import UpstreamSurprise
from shared.domain.model import RemoteFile
from shared.graph import mapping, wire
from shared.graph.client import GraphClient, decoded
from shared.graph.errors import status_of
from shared.ports import Access

# Read whole only to learn its Content-ID; beyond this it is not worth it (domain rules do without).
MOST_BYTES_FOR_A_CONTENT_ID: Final = 6_000_000
BAD_REQUEST: Final = 400


class AttachmentLists:
    """Lists of attachments, and whether Graph takes the cast to `contentId`."""

    def __init__(self, client: GraphClient) -> None:
        self._client = client
        self._casts_refused = False

    async def read(self, access: Access, graph_message_id: str) -> tuple[RemoteFile, ...]:
        """Metadata of the mail's files, the Content-IDs of inline ones included as far as Graph tells them."""
        found = [
            mapping.graph_to_file(attachment)
            for attachment in await self._read_attachments(access, graph_message_id)
        ]
        return tuple([await self._read_content_id(access, graph_message_id, file) for file in found])

    async def _read_attachments(self, access: Access, graph_message_id: str) -> list[wire.Attachment]:
        """The list, Content-IDs included where Graph takes the cast.

        `contentId` is not on the base type. The cast is in wide use but on no page, so a 400 is believed for good.
        """
        builder = self._client.message(graph_message_id).attachments
        if not self._casts_refused:
            try:
                return await self._list_files(access, builder, [*wire.SELECT_FILES, wire.CONTENT_ID_CAST])
            except UpstreamSurprise as err:
                if status_of(err) != BAD_REQUEST:
                    raise
                self._casts_refused = True
        return await self._list_files(access, builder, [*wire.SELECT_FILES])

    async def _list_files(self, access: Access, builder: Any, select: list[str]) -> list[wire.Attachment]:
        page = wire.Page[wire.Attachment]
        return await self._client.get_all(access, "files", builder, page, select=select)

    async def _read_content_id(self, access: Access, graph_message_id: str, file: RemoteFile) -> RemoteFile:
        """An inline file whose Content-ID the list left out is looked at by itself, which brings its content too."""
        small = file.size_bytes <= MOST_BYTES_FOR_A_CONTENT_ID
        if not file.inline or file.kind != "file" or file.content_id or not small:
            return file
        builder = self._client.message(graph_message_id).attachments.by_attachment_id(file.remote_id)
        found = mapping.graph_to_file(
            decoded(await self._client.get(access, "file", builder), wire.Attachment)
        )
        return found if found.kind == "file" else file
