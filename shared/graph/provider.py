"""`MailProvider` over Graph: outline, fetch, sweep, draft, reply, send, subscribe.

Sources are the method pages of Microsoft Graph v1.0, "message resource type" and "Outlook extended properties
overview"; every request asks for immutable ids ("Obtain immutable identifiers for Outlook resources").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import httpx

from shared.domain.attachments import TYPES, extension_of
from shared.domain.errors import ItemGone, KeyRefused, MailboxUnusable, MessageRefused, TooLarge
from shared.domain.model import (
    Draft,
    DraftContent,
    FetchedMessage,
    Located,
    OutgoingFile,
    Outline,
    OutlinePage,
    People,
    Profile,
    Reason,
    RemoteFile,
    Subscription,
)
from shared.graph import attaching, mapping, subscribing, wire
from shared.graph.client import GraphClient, decoded, unheard
from shared.graph.finding import Finding
from shared.graph.listing_files import AttachmentLists
from shared.ports import Access
from shared.transport import NeverSent, NoAnswer, TooMuch, Transport

if TYPE_CHECKING:
    from shared.domain.listing import Ask

# Graph takes requests up to 4 MB.
MAX_REQUEST_BYTES: Final = 3_900_000
MOST_BYTES_OF_LIVE: Final = 4_096


class GraphMail:
    """Microsoft Graph mail of the signed-in user."""

    def __init__(
        self,
        transport: Transport,
        base_url: str,
        own_live_url: str | None = None,
        told_time: Callable[[str | None], None] = unheard,
    ) -> None:
        """`told_time` hears the `Date` header of each answer."""
        self._client = GraphClient(transport, base_url, told_time)
        self._transport = transport
        self._own_live_url = own_live_url
        self._attachments = AttachmentLists(self._client)
        self._finding = Finding(self._client)

    async def profile(self, access: Access) -> Profile:
        """Name and addresses of the signed-in mailbox."""
        select = ["mail", "userPrincipalName", "displayName", "proxyAddresses"]
        answer = await self._client.get(access, "profile", self._client.builders.me, select=select)
        return mapping.graph_to_profile(decoded(answer, wire.User))

    async def probe(self, access: Access) -> None:
        """Read the id of the inbox: an account without a mailbox has none.

        "Get mailFolder": 404 `MailboxNotEnabledForRESTAPI` or `ResourceNotFound` for accounts without an Exchange
        mailbox in the cloud.
        """
        builder = self._client.builders.me.mail_folders.by_mail_folder_id("inbox")
        try:
            await self._client.get(access, "probe", builder, select=["id"])
        except ItemGone as err:
            raise MailboxUnusable from err

    async def outline(self, access: Access, graph_message_id: str) -> Outline:
        """Ids and threading tags of one mail."""
        return mapping.graph_to_outline(
            await self._read_message(
                access, "outline", graph_message_id, wire.SELECT_OUTLINE, wire.EXPAND_TAGS
            )
        )

    async def people(self, access: Access, graph_message_id: str) -> People:
        """Sender, to and cc of one mail, and its message class."""
        select = ("id", *wire.SELECT_PEOPLE)
        return mapping.graph_to_people(
            await self._read_message(access, "people", graph_message_id, select, wire.EXPAND_CLASS)
        )

    async def fetch(self, access: Access, graph_message_id: str) -> FetchedMessage:
        """One mail whole, with the list of its files but not their bytes."""
        return await self._attachments.fetch(access, graph_message_id)

    async def is_in_sent_items(self, access: Access, message: FetchedMessage) -> bool:
        """Whether a fetched mail lay in Sent Items."""
        return await self._finding.is_in_sent_items(access, message.folder_id)

    async def _read_message(
        self, access: Access, operation: str, graph_message_id: str, select: Sequence[str], expand: str
    ) -> wire.Message:
        builder = self._client.message(graph_message_id)
        answer = await self._client.get(access, operation, builder, select=list(select), expand=[expand])
        return decoded(answer, wire.Message)

    async def files(self, access: Access, graph_message_id: str) -> tuple[RemoteFile, ...]:
        """Metadata of the mail's files, the Content-IDs of inline ones included as far as Graph tells them."""
        return await self._attachments.read(access, graph_message_id)

    async def file_content(
        self, access: Access, graph_message_id: str, file: RemoteFile, limit_bytes: int
    ) -> bytes:
        """The bytes of one file; reading ends at the first byte too many."""
        builder = self._client.message(graph_message_id).attachments.by_attachment_id(file.remote_id)
        media_type = file.content_type or TYPES.get(extension_of(file.name))
        content = await self._client.get_content(access, "file_content", builder, limit_bytes, media_type)
        if len(content) > limit_bytes:
            raise TooLarge
        return content

    async def sweep(self, access: Access, ask: Ask) -> OutlinePage:
        """Outlines of mail modified since a time, oldest first, one page."""
        if ask.link is not None:
            answer = await self._client.follow(access, "sweep", ask.link)
        else:
            answer = await self._list_changed(access, ask, wire.SELECT_OUTLINE, expand=[wire.EXPAND_TAGS])
        page = decoded(answer, wire.Page[wire.Row])
        return OutlinePage(tuple(mapping.graph_to_outline(message) for message in page.value), page.next_link)

    async def listed_id(self, access: Access, ask: Ask) -> str | None:
        """The id of the row where that page begins, for one that cannot be listed with more."""
        answer = await self._list_changed(access, replace(ask, top=1), ("id",))
        found = decoded(answer, wire.Page[wire.Row]).value
        return found[0].id if found else None

    async def _list_changed(self, access: Access, ask: Ask, select: Sequence[str], **more: Any) -> bytes:
        """`$orderby` names what `$filter` names first ("List messages")."""
        return await self._client.get(
            access,
            "sweep",
            self._client.builders.me.messages,
            filter=f"lastModifiedDateTime ge {mapping.graph_time(ask.since)}",
            orderby=["lastModifiedDateTime asc"],
            select=list(select),
            top=ask.top,
            **({"skip": ask.skip} if ask.skip else {}),
            **more,
        )

    async def received(
        self, access: Access, since: datetime, until: datetime, skip: int, top: int
    ) -> tuple[Outline, ...]:
        """Outlines of mail received in that time, oldest first, one page; a link is not followed."""
        answer = await self._client.get(
            access,
            "received",
            self._client.builders.me.messages,
            filter=(
                f"receivedDateTime ge {mapping.graph_time(since)} and "
                f"receivedDateTime lt {mapping.graph_time(until)}"
            ),
            orderby=["receivedDateTime asc"],
            select=list(wire.SELECT_OUTLINE),
            expand=[wire.EXPAND_TAGS],
            top=top,
            **({"skip": skip} if skip else {}),
        )
        return tuple(map(mapping.graph_to_outline, decoded(answer, wire.Page[wire.Message]).value))

    async def conversation(self, access: Access, conversation_id: str) -> tuple[Outline, ...]:
        """Outlines of everything in a conversation."""
        found = await self._client.get_all(
            access,
            "conversation",
            self._client.builders.me.messages,
            wire.Page[wire.Row],
            filter=mapping.conversation_filter(conversation_id),
            select=list(wire.SELECT_OUTLINE),
            expand=[wire.EXPAND_TAGS],
        )
        return tuple(map(mapping.graph_to_outline, found))

    async def create_draft(self, access: Access, content: DraftContent) -> Draft:
        """A fresh draft; files inside when one request holds them all, else it lacks them."""
        inside = attaching.fit_inside(content, MAX_REQUEST_BYTES)
        body = mapping.draft_to_graph(content, with_files=inside)
        request = self._client.builders.me.messages.to_post_request_information(body)
        answer = await self._create(access, "create_draft", request, content)
        return replace(mapping.graph_to_draft(decoded(answer, wire.Message)), lacks_files=not inside)

    async def create_reply(self, access: Access, to_graph_message_id: str, content: DraftContent) -> Draft:
        """A reply draft with key and recipients; 200 and 201 are both documented.

        Neither `comment` nor a body is sent: the one is dropped, the other would take the quoted text's place.
        """
        body = {"message": mapping.recipients_and_key_to_graph(content)}
        builder = self._client.message(to_graph_message_id).create_reply
        request = builder.to_post_request_information(body)
        answer = await self._create(access, "create_reply", request, content)
        draft = mapping.graph_to_draft(decoded(answer, wire.Message))
        return replace(draft, lacks_files=bool(content.files))

    async def _create(self, access: Access, operation: str, request: Any, content: DraftContent) -> bytes:
        """Raises KeyRefused where the key alone may be too much; without one the mailbox is full."""
        try:
            return await self._client.call(access, operation, request)
        except KeyRefused as err:
            if content.key is None:
                raise MessageRefused(Reason.MAILBOX_FULL.value) from err
            raise

    async def fill_reply(
        self, access: Access, graph_message_id: str, content: DraftContent, html: str
    ) -> None:
        """Set a reply draft's body and recipients in one PATCH (createReply may have added people of its own).

        Its answer is read: after a gateway's 200 the reply would leave without its words.
        """
        body = {**mapping.recipients_to_graph(content), "body": {"contentType": "html", "content": html}}
        request = self._client.message(graph_message_id).to_patch_request_information(body)
        decoded(await self._client.call(access, "fill_reply", request), wire.Message)

    async def attach(
        self, access: Access, graph_message_id: str, file: OutgoingFile, *, directly: bool = False
    ) -> None:
        """Attach one file: below 3 MB by POST, else by session, each falling back to the other (F-9)."""
        await attaching.attach(self._client, access, graph_message_id, file, directly=directly)

    async def send(self, access: Access, graph_message_id: str) -> None:
        """Send that draft."""
        request = self._client.message(graph_message_id).send.to_post_request_information()
        await self._client.call(access, "send", request)

    async def locate(self, access: Access, graph_message_id: str) -> Located:
        """Where the message with that id stands now."""
        select = (*wire.SELECT_OUTLINE, "parentFolderId")
        message = await self._read_message(access, "locate", graph_message_id, select, wire.EXPAND_TAGS)
        return await self._finding.locate(access, message)

    async def find_by_key(self, access: Access, key: str) -> tuple[Located, ...]:
        """Every message of the mailbox that carries our key."""
        return await self._finding.find_by_key(access, key)

    async def find_by_message_id(self, access: Access, internet_message_id: str) -> tuple[Located, ...]:
        """Every message of the mailbox with that Message-ID."""
        return await self._finding.find_by_message_id(access, internet_message_id)

    async def delete_draft(self, access: Access, graph_message_id: str) -> None:
        """Put a draft among the deleted items ("Delete message"); gone already is fine."""
        request = self._client.message(graph_message_id).to_delete_request_information()
        with suppress(ItemGone):
            await self._client.call(access, "delete_draft", request)

    async def subscribe(
        self,
        access: Access,
        *,
        notification_url: str,
        lifecycle_url: str,
        client_state: str,
        expires_at: datetime,
        filtered: bool,
    ) -> Subscription:
        """Register for `created`; an equal one that exists is adopted, an older one of ours replaced."""
        wanted = {
            "changeType": "created",
            "notificationUrl": notification_url,
            "lifecycleNotificationUrl": lifecycle_url,
            "resource": subscribing.FILTERED if filtered else subscribing.UNFILTERED,
            "expirationDateTime": subscribing.graph_moment(expires_at),
            "clientState": client_state,
            "latestSupportedTlsVersion": "v1_2",
        }
        await self._wake()
        return await subscribing.subscribe(self._client, access, wanted, filtered=filtered)

    async def _wake(self) -> None:
        """Call ourselves first: Graph validates our address within 10 s, and an app scaled to zero starts slower.

        Source: "Receive change notifications through webhooks", endpoint validation. That it fails is no matter here:
        Graph's own call will tell.
        """
        if self._own_live_url is not None:
            with suppress(NeverSent, NoAnswer, TooMuch):
                request = httpx.Request("GET", self._own_live_url)
                await self._transport.send("self", "live", request, limit_bytes=MOST_BYTES_OF_LIVE)

    async def renew(self, access: Access, subscription_id: str, expires_at: datetime) -> Subscription:
        """Extend and re-authorise in one."""
        await self._wake()
        return await subscribing.renew(self._client, access, subscription_id, expires_at)

    async def unsubscribe(self, access: Access, subscription_id: str) -> None:
        """Remove it; gone already is fine."""
        await subscribing.unsubscribe(self._client, access, subscription_id)

    async def subscriptions(self, access: Access) -> tuple[Subscription, ...]:
        """This app's subscriptions of this user."""
        return await subscribing.subscriptions(self._client, access)
