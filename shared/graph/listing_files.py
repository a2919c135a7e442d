"""The files of a mail: metadata and, as far as Graph tells them, Content-IDs.

They come with the mail itself where Graph takes `$expand=attachments($select=…)`, so that they cost no call. Its
`hasAttachments` is not asked: it is false where all files are inline ("message resource type"), as macOS and iOS Mail
send them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from shared.domain.errors import UpstreamSurprise
from shared.domain.model import FetchedMessage, RemoteFile
from shared.graph import mapping, wire
from shared.graph.client import MOST_PAGES, GraphClient, decoded
from shared.graph.errors import status_of
from shared.ports import Access
from shared.transport import TooMuch

# Read whole only to learn its Content-ID; beyond this it is not worth it (domain rules do without).
MOST_BYTES_FOR_A_CONTENT_ID: Final = 6_000_000
MOST_CONTENT_IDS: Final = 20
# Four times what may sync (F-8). Further pages of a list are not asked for.
MOST_FILES: Final = 200
BAD_REQUEST: Final = 400


class AttachmentLists:
    """Lists of attachments, and which ways of asking for them Graph takes: a 400 is believed for good."""

    def __init__(self, client: GraphClient) -> None:
        self._client = client
        self._casts_refused = False
        self._expansions = [wire.EXPAND_FILES_AND_IDS, wire.EXPAND_FILES, None]

    async def fetch(self, access: Access, graph_message_id: str) -> FetchedMessage:
        """One mail whole, and the list of its files; one call where Graph takes the expansion, else two."""
        read = await self._read_message(access, graph_message_id)
        message = mapping.graph_to_message(read)
        if read.attachments is None:
            found, more = await self._list(access, graph_message_id)
        else:
            found, more = await self._follow(access, read.attachments, read.attachments_link)
        wanted = _is_of_a_picture if "cid:" in (message.html or "").lower() else _none
        files = await self._with_content_ids(access, graph_message_id, found, wanted)
        return mapping.with_files(message, files, more=more)

    async def read(self, access: Access, graph_message_id: str) -> tuple[RemoteFile, ...]:
        """Metadata of the mail's files, the Content-IDs of inline ones included as far as Graph tells them."""
        found, _ = await self._list(access, graph_message_id)
        return await self._with_content_ids(access, graph_message_id, found, _is_inline)

    async def _read_message(self, access: Access, graph_message_id: str) -> wire.Message:
        """The mail with its files, by the first expansion that Graph takes.

        An answer that is too large (one with the files' bytes in it) is asked for without them, this once.
        """
        expansions = self._expansions
        for number, expansion in enumerate(expansions):
            try:
                message = await self._read_expanded(access, graph_message_id, expansion)
            except UpstreamSurprise as err:
                if expansion is None or not _may_be_due_to_the_expansion(err):
                    raise
                if isinstance(err.__cause__, TooMuch):
                    return await self._read_expanded(access, graph_message_id, None)
                continue
            # Only what was refused and then worked without was refused for that.
            self._expansions = expansions[number:]
            return message
        raise UpstreamSurprise

    async def _read_expanded(
        self, access: Access, graph_message_id: str, expansion: str | None
    ) -> wire.Message:
        answer = await self._client.get(
            access,
            "fetch",
            self._client.message(graph_message_id),
            select=list(wire.SELECT_MESSAGE),
            expand=[wire.EXPAND_TAGS_AND_CLASS, *([expansion] if expansion else [])],
        )
        return decoded(answer, wire.Message)

    async def _list(self, access: Access, graph_message_id: str) -> tuple[list[wire.Attachment], bool]:
        """The list, Content-IDs included where Graph takes the cast.

        `contentId` is not on the base type. The cast is in wide use but on no page, so a 400 is believed for good.
        """
        builder = self._client.message(graph_message_id).attachments
        if not self._casts_refused:
            try:
                return await self._list_selected(access, builder, [*wire.SELECT_FILES, wire.CONTENT_ID_CAST])
            except UpstreamSurprise as err:
                if status_of(err) != BAD_REQUEST:
                    raise
                self._casts_refused = True
        return await self._list_selected(access, builder, [*wire.SELECT_FILES])

    async def _list_selected(
        self, access: Access, builder: Any, select: list[str]
    ) -> tuple[list[wire.Attachment], bool]:
        answer = await self._client.get(access, "files", builder, select=select)
        page = decoded(answer, wire.Page[wire.Attachment])
        return await self._follow(access, page.value, page.next_link)

    async def _follow(
        self, access: Access, first: list[wire.Attachment], link: str | None
    ) -> tuple[list[wire.Attachment], bool]:
        """The files of all pages, or the first `MOST_FILES` and that there are more.

        Raises UpstreamSurprise when the list goes in circles or does not end (E-26).
        """
        found, followed = list(first), set[str]()
        while link and len(found) <= MOST_FILES:
            if link in followed or len(followed) >= MOST_PAGES:
                raise UpstreamSurprise
            followed.add(link)
            page = decoded(await self._client.follow(access, "files", link), wire.Page[wire.Attachment])
            found, link = found + page.value, page.next_link
        return found[:MOST_FILES], len(found) > MOST_FILES

    async def _with_content_ids(
        self,
        access: Access,
        graph_message_id: str,
        found: list[wire.Attachment],
        wanted: Callable[[RemoteFile], bool],
    ) -> tuple[RemoteFile, ...]:
        """The files; those whose Content-ID Graph left out of the list and that are `wanted` are looked at singly."""
        files, asked = [], 0
        for attachment in found:
            file = mapping.graph_to_file(attachment)
            if attachment.content_id is msgspec.UNSET and asked < MOST_CONTENT_IDS and wanted(file):
                file, asked = await self._read_content_id(access, graph_message_id, file), asked + 1
            files.append(file)
        return tuple(files)

    async def _read_content_id(self, access: Access, graph_message_id: str, file: RemoteFile) -> RemoteFile:
        """The file looked at by itself, which brings its content too."""
        builder = self._client.message(graph_message_id).attachments.by_attachment_id(file.remote_id)
        found = mapping.graph_to_file(
            decoded(await self._client.get(access, "file", builder), wire.Attachment)
        )
        return found if found.kind == "file" else file


def _may_be_due_to_the_expansion(err: UpstreamSurprise) -> bool:
    return status_of(err) == BAD_REQUEST or isinstance(err.__cause__, TooMuch)


def _none(_file: RemoteFile) -> bool:
    return False


def _is_inline(file: RemoteFile) -> bool:
    return file.inline and file.kind == "file" and file.size_bytes <= MOST_BYTES_FOR_A_CONTENT_ID


def _is_of_a_picture(file: RemoteFile) -> bool:
    """Whether the text may show it: a picture may say that it is not inline (microsoft-graph-docs#2095), or no type."""
    small = file.kind == "file" and file.size_bytes <= MOST_BYTES_FOR_A_CONTENT_ID
    declared = (file.content_type or "application/octet-stream").lower()
    return small and (file.inline or declared.startswith(("image/", "application/octet-stream")))
