"""Finding mails by a filter, and where in the mailbox they stand."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from shared.domain.errors import ItemGone, ProviderUnavailable, UpstreamSurprise
from shared.domain.model import Located, Whereabouts
from shared.graph import mapping, wire
from shared.graph.client import GraphClient, decoded
from shared.ports import Access

MOST_FOLDERS: Final = 10_000
_SHOWN: Final = (*wire.SELECT_OUTLINE, "parentFolderId")


class Finding:
    """Looks for mails; remembers the ids of the folders that tell where they stand."""

    def __init__(self, client: GraphClient) -> None:
        self._client = client
        self._folders: dict[tuple[str, str], str] = {}

    async def find_by_key(self, access: Access, key: str) -> tuple[Located, ...]:
        """Every mail that carries our key: by the key that came with it, for a filter may let others through."""
        found = await self._find(access, "find_by_key", mapping.key_filter(key))
        hits = [message for message in found if mapping.graph_to_outline(message).key == key]
        return tuple([await self.locate(access, message) for message in hits])

    async def find_by_message_id(self, access: Access, internet_message_id: str) -> tuple[Located, ...]:
        """Every mail with that Message-ID."""
        wanted = mapping.message_id_filter(internet_message_id)
        found = await self._find(access, "find_by_message_id", wanted)
        return tuple([await self.locate(access, message) for message in found])

    async def _find(self, access: Access, operation: str, wanted: str) -> list[wire.Message]:
        """What a filter finds; each by its own id where Graph does not show them together.

        One corrupt item makes each page that shows it a 500 (microsoft-graph-docs issue 2913).
        """
        try:
            rows: list[wire.Message] = [
                *await self._list(access, operation, wanted, _SHOWN, wire.EXPAND_TAGS)
            ]
        except ProviderUnavailable:
            ids = await self._list(access, operation, wanted, ("id",))
            rows = []
            for row in ids:
                with suppress(ItemGone):  # since it was listed; what was asked for may be another
                    rows.append(decoded(await self._read(access, row.id), wire.Message))
        return rows

    async def _list(
        self, access: Access, operation: str, wanted: str, select: Sequence[str], expand: str | None = None
    ) -> list[wire.Row]:
        """Every page of a filter. No `$orderby`: with a filter on other properties Graph refuses it."""
        query = {"expand": [expand]} if expand else {}
        return await self._client.get_all(
            access,
            operation,
            self._client.builders.me.messages,
            wire.Page[wire.Row],
            filter=wanted,
            select=list(select),
            **query,
        )

    async def _read(self, access: Access, graph_message_id: str) -> bytes:
        """A call of its own name: what Graph says of one mail, that it is gone above all, it does not say of a list."""
        builder = self._client.message(graph_message_id)
        return await self._client.get(
            access, "locate", builder, select=list(_SHOWN), expand=[wire.EXPAND_TAGS]
        )

    async def locate(self, access: Access, message: wire.Message) -> Located:
        """Where a message stands: among drafts, deleted drafts, in the outbox, or sent.

        Raises UpstreamSurprise where Graph does not say whether it is a draft, or a deleted one: a send must not be
        told, or sent, by a guess.
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
        if folder is None and outline.is_draft:
            raise UpstreamSurprise  # every mailbox has Deleted Items; a draft in it must not be sent
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
