"""`MailProvider` over Graph: outline, fetch, sweep, draft, reply, send, subscribe."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from shared.domain.errors import (
    Ambiguous,
    ItemGone,
    MessageRefused,
    PostbraidError,
    ProviderUnavailable,
    SubscriptionGone,
    TooLarge,
    UpstreamSurprise,
)
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
    RemoteFile,
    Subscription,
    Whereabouts,
)
from shared.graph import mapping, wire
from shared.graph.client import GraphClient, builders, decoded, get, write
from shared.ports import Access
from shared.transport import Transport

SWEEP_PAGE: Final = 50
# Graph takes requests up to 4 MB; base64 adds a third to files.
MAX_REQUEST_BYTES: Final = 3_900_000
POST_BELOW_BYTES: Final = 2_900_000
CHUNK_BYTES: Final = 327_680 * 10
FILTERED: Final = "me/messages?$filter=isDraft eq false"
UNFILTERED: Final = "me/messages"
UPLOAD_HOSTS: Final = (".office.com", ".office365.com", ".office365.us", ".partner.outlook.cn")


class GraphMail:
    """Microsoft Graph mail of the signed-in user."""

    def __init__(self, transport: Transport, base_url: str) -> None:
        self._client = GraphClient(transport, base_url)
        self._folders: dict[tuple[str, str], str] = {}

    async def profile(self, access: Access) -> Profile:
        """Address and name of the signed-in mailbox."""
        request = get(builders().me, select=["mail", "userPrincipalName", "displayName"])
        return mapping.graph_to_profile(
            decoded(await self._client.call(access, "profile", request), wire.User)
        )

    async def outline(self, access: Access, graph_message_id: str) -> Outline:
        """Ids and threading tags of one mail."""
        return mapping.graph_to_outline(
            await self._message(access, "outline", graph_message_id, wire.SELECT_OUTLINE, tags=True)
        )

    async def people(self, access: Access, graph_message_id: str) -> People:
        """Sender, to and cc of one mail."""
        found = await self._message(
            access, "people", graph_message_id, ("id", *wire.SELECT_PEOPLE), tags=False
        )
        return mapping.graph_to_people(found)

    async def fetch(self, access: Access, graph_message_id: str) -> FetchedMessage:
        """One mail whole, without its files."""
        return mapping.graph_to_message(
            await self._message(access, "fetch", graph_message_id, wire.SELECT_MESSAGE, tags=True)
        )

    async def _message(
        self, access: Access, operation: str, graph_message_id: str, select: Sequence[str], *, tags: bool
    ) -> wire.Message:
        query: dict[str, Any] = {"select": list(select), **({"expand": [wire.EXPAND_TAGS]} if tags else {})}
        request = get(_item(graph_message_id), **query)
        return decoded(await self._client.call(access, operation, request), wire.Message)

    async def files(self, access: Access, graph_message_id: str) -> tuple[RemoteFile, ...]:
        """Metadata of the mail's files; an inline one's Content-ID needs a look of its own (it is not on the base type)."""
        request = get(_item(graph_message_id).attachments, select=list(wire.SELECT_FILES))
        page = decoded(await self._client.call(access, "files", request), wire.Attachments)
        listed = list(page.value)
        while page.next_link:
            page = decoded(await self._client.follow(access, "files", page.next_link), wire.Attachments)
            listed += page.value
        found = [mapping.graph_to_file(one) for one in listed]
        return tuple([await self._with_content_id(access, graph_message_id, one) for one in found])

    async def _with_content_id(self, access: Access, graph_message_id: str, file: RemoteFile) -> RemoteFile:
        if not file.inline or file.kind != "file":
            return file
        select = [*wire.SELECT_FILES, "microsoft.graph.fileAttachment/contentId"]
        builder = _item(graph_message_id).attachments.by_attachment_id(file.remote_id)
        answer = await self._client.call(access, "file", get(builder, select=select))
        found = mapping.graph_to_file(decoded(answer, wire.Attachment))
        return found if found.kind == "file" else file

    async def file_content(
        self, access: Access, graph_message_id: str, remote_id: str, limit_bytes: int
    ) -> bytes:
        """The bytes of one file."""
        builder = _item(graph_message_id).attachments.by_attachment_id(remote_id)
        request = get(builder)
        request.url_template = f"{builder.url_template.split('{?')[0]}/$value"
        request.headers.clear()
        content = (await self._client.call(access, "file_content", request)).content
        if len(content) > limit_bytes:
            raise TooLarge
        return content

    async def sweep(
        self, access: Access, since: datetime, next_link: str | None = None, *, sent_items_only: bool = False
    ) -> OutlinePage:
        """Outlines of mail modified since a time, oldest first, one page."""
        if next_link is not None:
            answer = await self._client.follow(access, "sweep", next_link)
        else:
            me = builders().me
            builder = (
                me.mail_folders.by_mail_folder_id("sentitems").messages if sent_items_only else me.messages
            )
            request = get(
                builder,
                filter=f"lastModifiedDateTime ge {mapping.graph_time(since)}",
                orderby=["lastModifiedDateTime asc"],
                select=list(wire.SELECT_OUTLINE),
                expand=[wire.EXPAND_TAGS],
                top=SWEEP_PAGE,
            )
            answer = await self._client.call(access, "sweep", request)
        page = decoded(answer, wire.Messages)
        return OutlinePage(tuple(mapping.graph_to_outline(one) for one in page.value), page.next_link)

    async def create_draft(self, access: Access, content: DraftContent) -> Draft:
        """A fresh draft; files inside when one request holds them all, else attached one by one."""
        body = mapping.draft_to_graph(content, with_files=True)
        inside = len(msgspec.json.encode(body)) <= MAX_REQUEST_BYTES
        if not inside:
            body = mapping.draft_to_graph(content, with_files=False)
        answer = await self._client.call(access, "create_draft", write("POST", builders().me.messages, body))
        draft = mapping.graph_to_draft(decoded(answer, wire.Message))
        if not inside:
            for file in content.files:
                await self.attach(access, draft.graph_message_id, file)
        return draft

    async def create_reply(self, access: Access, to_graph_message_id: str, content: DraftContent) -> Draft:
        """A reply draft with key and recipients; 200 and 201 are both documented."""
        request = write(
            "POST", _item(to_graph_message_id).create_reply, {"message": mapping.recipients_to_graph(content)}
        )
        return mapping.graph_to_draft(
            decoded(await self._client.call(access, "create_reply", request), wire.Message)
        )

    async def replace_body(self, access: Access, graph_message_id: str, html: str) -> None:
        """Set a draft's whole body."""
        body = {"body": {"contentType": "html", "content": html}}
        await self._client.call(access, "replace_body", write("PATCH", _item(graph_message_id), body))

    async def attach(self, access: Access, graph_message_id: str, file: OutgoingFile) -> None:
        """Attach one file: below 3 MB by POST, else by session; each falls back to the other on its size error (F-9)."""
        ways = [self._attach_by_post, self._attach_by_session]
        first, second = ways if len(file.content) < POST_BELOW_BYTES else ways[::-1]
        try:
            await first(access, graph_message_id, file)
        except (TooLarge, UpstreamSurprise):
            await second(access, graph_message_id, file)

    async def _attach_by_post(self, access: Access, graph_message_id: str, file: OutgoingFile) -> None:
        request = write("POST", _item(graph_message_id).attachments, mapping.file_to_graph(file))
        await self._client.call(access, "attach", request)

    async def _attach_by_session(self, access: Access, graph_message_id: str, file: OutgoingFile) -> None:
        item = {
            "attachmentType": "file",
            "name": file.name,
            "size": len(file.content),
            "contentType": file.content_type,
        }
        builder = _item(graph_message_id).attachments.create_upload_session
        answer = await self._client.call(access, "attach", write("POST", builder, {"AttachmentItem": item}))
        url = decoded(answer, wire.UploadSession).upload_url
        self._judge_upload(url)
        size = len(file.content)
        for start in range(0, size, CHUNK_BYTES):
            piece = file.content[start : start + CHUNK_BYTES]
            sent = await self._client.upload(url, piece, f"bytes {start}-{start + len(piece) - 1}/{size}")
            if not sent.is_success:
                raise Ambiguous

    def _judge_upload(self, url: str) -> None:
        """The upload address may lie on Outlook's hosts, and nowhere else."""
        host = urlsplit(url).hostname or ""
        same = urlsplit(url).netloc == urlsplit(self._client.base_url).netloc
        if not (same or (url.startswith("https://") and host.endswith(UPLOAD_HOSTS))):
            raise UpstreamSurprise

    async def send(self, access: Access, graph_message_id: str) -> None:
        """Send that draft."""
        await self._client.call(access, "send", write("POST", _item(graph_message_id).send))

    async def locate(self, access: Access, graph_message_id: str) -> Located:
        """Where the message with that id stands now."""
        select = (*wire.SELECT_OUTLINE, "parentFolderId")
        return await self._located(
            access, await self._message(access, "locate", graph_message_id, select, tags=True)
        )

    async def find_by_key(self, access: Access, key: str) -> tuple[Located, ...]:
        """Every message of the mailbox that carries our key."""
        matching = f"singleValueExtendedProperties/Any(ep: ep/id eq '{wire.CRM_KEY}' and ep/value eq '{key}')"
        request = get(
            builders().me.messages,
            filter=matching,
            select=[*wire.SELECT_OUTLINE, "parentFolderId"],
            expand=[wire.EXPAND_TAGS],
        )
        page = decoded(await self._client.call(access, "find_by_key", request), wire.Messages)
        return tuple([await self._located(access, one) for one in page.value])

    async def _located(self, access: Access, message: wire.Message) -> Located:
        outline = mapping.graph_to_outline(message)
        if not outline.is_draft:
            outbox = message.parent_folder_id == await self._folder(access, "outbox")
            return Located(outline, Whereabouts.OUTBOX if outbox else Whereabouts.SENT)
        deleted = message.parent_folder_id == await self._folder(access, "deleteditems")
        return Located(outline, Whereabouts.DELETED_DRAFT if deleted else Whereabouts.DRAFT)

    async def _folder(self, access: Access, name: str) -> str | None:
        """The id of a well-known folder; ids of folders are constant, so it is asked once."""
        known = self._folders.get((access.mailbox_id, name))
        if known is not None:
            return known
        request = get(builders().me.mail_folders.by_mail_folder_id(name), select=["id"])
        try:
            found = decoded(await self._client.call(access, "folder", request), wire.Folder).id
        except ItemGone:
            return None
        self._folders[access.mailbox_id, name] = found
        return found

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
        """Register for `created`; an equal one that exists is adopted."""
        body = {
            "changeType": "created",
            "notificationUrl": notification_url,
            "lifecycleNotificationUrl": lifecycle_url,
            "resource": FILTERED if filtered else UNFILTERED,
            "expirationDateTime": _precise(expires_at),
            "clientState": client_state,
            "latestSupportedTlsVersion": "v1_2",
        }
        try:
            answer = await self._client.call(
                access, "subscribe", write("POST", builders().subscriptions, body)
            )
        except PostbraidError as err:
            return await self._not_subscribed(access, err, filtered=filtered, url=notification_url)
        return mapping.graph_to_subscription(decoded(answer, wire.Subscription))

    async def _not_subscribed(
        self, access: Access, err: PostbraidError, *, filtered: bool, url: str
    ) -> Subscription:
        """A refusal may mean an equal subscription (409) or a filter that is not taken (400); else it stands."""
        if isinstance(err, ProviderUnavailable):
            ours = [one for one in await self.subscriptions(access) if one.notification_url == url]
            if ours:
                return ours[0]
        if isinstance(err, UpstreamSurprise) and filtered:
            raise MessageRefused("filter_refused") from err
        raise err

    async def renew(self, access: Access, subscription_id: str, expires_at: datetime) -> Subscription:
        """Extend and re-authorise in one."""
        builder = builders().subscriptions.by_subscription_id(subscription_id)
        request = write("PATCH", builder, {"expirationDateTime": _precise(expires_at)})
        return mapping.graph_to_subscription(
            decoded(await self._client.call(access, "renew", request), wire.Subscription)
        )

    async def unsubscribe(self, access: Access, subscription_id: str) -> None:
        """Remove it; gone already is fine."""
        builder = builders().subscriptions.by_subscription_id(subscription_id)
        try:
            await self._client.call(access, "unsubscribe", write("DELETE", builder))
        except SubscriptionGone:
            return

    async def subscriptions(self, access: Access) -> tuple[Subscription, ...]:
        """This app's subscriptions of this user."""
        answer = await self._client.call(access, "subscriptions", get(builders().subscriptions))
        return tuple(mapping.graph_to_subscription(one) for one in decoded(answer, wire.Subscriptions).value)


def _item(graph_message_id: str) -> Any:
    return builders().me.messages.by_message_id(graph_message_id)


def _precise(at: datetime) -> str:
    """Seven digits after the second, as subscriptions show them."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")
