"""Finding mails by a filter, and where in the mailbox they stand."""

from __future__ import annotations

from typing import Final

from shared.domain.errors import ItemGone, UpstreamSurprise
from shared.domain.model import Located, Whereabouts
from shared.graph import mapping, wire
from shared.graph.client import GraphClient, decoded
from shared.ports import Access

MOST_FOLDERS: Final = 10_000


class Finding:
    """Looks for mails; remembers the ids of the folders that tell where they stand."""

    def __init__(self, client: GraphClient) -> None:
        self._client = client
        self._folders: dict[tuple[str, str], str] = {}

    async def find_by_key(self, access: Access, key: str) -> tuple[Located, ...]:
        """Every mail that carries our key: by the key that came with it, for a filter may let others through."""
        found = await self._list(access, "find_by_key", mapping.key_filter(key))
        hits = [message for message in found if mapping.graph_to_outline(message).key == key]
        return tuple([await self.locate(access, message) for message in hits])

    async def find_by_message_id(self, access: Access, internet_message_id: str) -> tuple[Located, ...]:
        """Every mail with that Message-ID."""
        wanted = mapping.message_id_filter(internet_message_id)
        found = await self._list(access, "find_by_message_id", wanted)
        return tuple([await self.locate(access, message) for message in found])

    async def _list(self, access: Access, operation: str, wanted: str) -> list[wire.Row]:
        """What a filter finds. No `$orderby`: with a filter on other properties Graph refuses it."""
        return await self._client.get_all(
            access,
            operation,
            self._client.builders.me.messages,
            wire.Page[wire.Row],
            filter=wanted,
            select=[*wire.SELECT_OUTLINE, "parentFolderId"],
            expand=[wire.EXPAND_TAGS],
        )

    async def locate(self, access: Access, message: wire.Message) -> Located:
        """Where a message stands: among drafts, deleted drafts, in the outbox, or sent.

        Raises UpstreamSurprise where Graph does not say whether it is a draft: a send must not be told by a guess.
        """
        if message.is_draft is None:
            raise UpstreamSurprise
        outline = mapping.graph_to_outline(message)
        other, whereabouts, otherwise = (
            ("deleteditems", Whereabouts.DELETED_DRAFT, Whereabouts.DRAFT)
            if outline.is_draft
            else ("outbox", Whereabouts.OUTBOX, Whereabouts.SENT)
        )
        folder = await self._find_folder(access, other)
        there = folder is not None and message.parent_folder_id == folder
        return Located(outline, whereabouts if there else otherwise)

    async def is_in_sent_items(self, access: Access, folder_id: str | None) -> bool:
        """Whether this folder is Sent Items."""
        return folder_id is not None and folder_id == await self._find_folder(access, "sentitems")

    async def _find_folder(self, access: Access, name: str) -> str | None:
        """The id of a well-known folder; ids of folders are constant, so it is asked once."""
        known = self._folders.get((access.mailbox_id, name))
        if known is not None:
            return known
        builder = self._client.builders.me.mail_folders.by_mail_folder_id(name)
        try:
            found = decoded(await self._client.get(access, "folder", builder, select=["id"]), wire.Folder).id
        except ItemGone:
            return None
        if len(self._folders) >= MOST_FOLDERS:
            self._folders.clear()
        self._folders[access.mailbox_id, name] = found
        return found
