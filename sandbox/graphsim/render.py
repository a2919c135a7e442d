"""Messages, attachments, folders and users as Graph's JSON.

Source: Microsoft Graph, "message resource type": times are UTC with whole seconds, enum values in lower camel case.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from sandbox.graphsim import bodies, mime, oddities
from sandbox.graphsim.extended import MESSAGE_CLASS_TAG, value_of
from sandbox.graphsim.kinds import EVENT_TYPES

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sandbox.graphsim.query import Shape
    from sandbox.graphsim.store import Address, Attachment, Folder, Mailbox, Message, User
    from sandbox.graphsim.world import World

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Style:
    """What the Prefer header asked for."""

    immutable_ids: bool = False
    text_body: bool = False
    unsafe_html: bool = False


def when(at: datetime) -> str:
    """A message's time: UTC, whole seconds."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def fine_time(at: datetime) -> str:
    """A subscription's time: seven fractional digits."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"


def recipient(address: Address | None) -> Json | None:
    """A recipient; Graph replaces an empty name by the address."""
    if address is None:
        return None
    return {"emailAddress": {"name": address.name or address.address, "address": address.address}}


def _people(addresses: tuple[Address, ...]) -> list[Json | None]:
    return [recipient(a) for a in addresses]


def message_id(message: Message, style: Style) -> str:
    """The id in the requested format."""
    return message.immutable_id if style.immutable_ids else message.ordinary_id


def _body(message: Message, content: str, style: Style) -> Json:
    if style.text_body and message.body_type == "html":
        return {"contentType": "text", "content": bodies.to_text(content)}
    if message.body_type == "html" and not style.unsafe_html:
        content = bodies.without_active_content(content)
    return {"contentType": message.body_type, "content": content}


_FIELDS: dict[str, Callable[[Message, Style], object]] = {
    "id": message_id,
    "createdDateTime": lambda m, _: when(m.created_at),
    "lastModifiedDateTime": lambda m, _: when(m.modified_at),
    "changeKey": lambda m, _: m.change_key,
    "categories": lambda m, _: list(m.categories),
    "receivedDateTime": lambda m, _: when(m.received_at),
    "sentDateTime": lambda m, _: when(m.sent_at),
    "hasAttachments": lambda m, _: m.has_attachments,
    "internetMessageId": lambda m, _: m.internet_message_id,
    "subject": lambda m, _: m.subject,
    "bodyPreview": lambda m, _: bodies.preview(m.body_type, m.body),
    "importance": lambda m, _: m.importance,
    "parentFolderId": lambda m, _: m.folder_id,
    "conversationId": lambda m, _: m.conversation_id,
    "conversationIndex": lambda m, _: base64.b64encode(m.conversation_index).decode(),
    "isDeliveryReceiptRequested": lambda m, _: m.receipts.get("isDeliveryReceiptRequested", False),
    "isReadReceiptRequested": lambda m, _: m.receipts.get("isReadReceiptRequested", False),
    "isRead": lambda m, _: m.is_read,
    "isDraft": lambda m, _: m.is_draft,
    "webLink": lambda m, _: f"https://outlook.example/owa/?ItemID={m.ordinary_id}",
    "inferenceClassification": lambda m, _: m.inference,
    "body": lambda m, style: _body(m, m.body, style),
    "sender": lambda m, _: recipient(m.sender),
    "from": lambda m, _: recipient(m.from_),
    "toRecipients": lambda m, _: _people(m.to),
    "ccRecipients": lambda m, _: _people(m.cc),
    "bccRecipients": lambda m, _: _people(m.bcc),
    "replyTo": lambda m, _: _people(m.reply_to),
    "flag": lambda m, _: {"flagStatus": m.flag, **m.flag_times},
    "uniqueBody": lambda m, style: _body(m, bodies.unique_part(m.body_type, m.body), style),
}


def message(world: World, item: Message, shape: Shape, style: Style, base_url: str = "") -> Json:
    """A message with the requested fields and expansions; extended properties only when expanded.

    `base_url`: the address that the caller used, for the link to the attachments that one page does not hold.
    """
    out: Json = {"@odata.etag": f'W/"{item.change_key}"'}
    if item.meeting:
        out["@odata.type"] = f"#microsoft.graph.{EVENT_TYPES[item.meeting]}"
        out |= {} if shape.selected else {"meetingMessageType": item.meeting}
    out.update({name: write(item, style) for name, write in _FIELDS.items() if name in shape.fields})
    if "internetMessageHeaders" in shape.fields and (headers := _headers(world, item)):
        out["internetMessageHeaders"] = headers
    expansion = shape.expansion
    if expansion.attachments:
        select = expansion.attachment_select
        most = int(world.knobs.number("expanded_attachments_page")) or len(item.attachments)
        out["attachments"] = [attachment(world, item, a, select) for a in item.attachments[:most]]
        if most < len(item.attachments):
            link = attachments_link(base_url, item, style, select, most)
            out["attachments@odata.nextLink"] = link
    single = [
        {"id": text, "value": v}
        for text, name in expansion.single
        if (v := value_of(item, name)) is not None and _may_be_told(world, name)
    ]
    if single:
        out["singleValueExtendedProperties"] = single
    multi = [
        {"id": text, "value": values}
        for text, name in expansion.multi
        if (values := item.extended_lists.get(name))
    ]
    if multi:
        out["multiValueExtendedProperties"] = multi
    return oddities.of_message(world, out) if item.received else out


def _may_be_told(world: World, normal_id: str) -> bool:
    return normal_id != MESSAGE_CLASS_TAG or world.knobs.text("message_class_tag") == "present"


def _headers(world: World, item: Message) -> list[Json]:
    own = world.knobs.text("own_message_headers")
    headers = item.headers or (item.custom_headers if own == "x_only" else [])
    return [{"name": name, "value": value} for name, value in headers]


def attachments_link(base_url: str, item: Message, style: Style, select: tuple[str, ...], skip: int) -> str:
    """The link to a message's attachments from number `skip` on, with the same `$select`."""
    options = {**({"$select": ",".join(select)} if select else {}), "$skip": str(skip)}
    path = f"/v1.0/me/messages/{quote(message_id(item, style), safe='=')}/attachments"
    return f"{base_url}{path}?{urlencode(options, safe='$')}"


def attachment(world: World, message: Message, item: Attachment, select: tuple[str, ...] = ()) -> Json:
    """An attachment of a message; `size` includes the store's overhead (knob)."""
    out: Json = {
        "@odata.type": f"#microsoft.graph.{item.kind}Attachment",
        "@odata.mediaContentType": item.content_type or "application/octet-stream",
        "id": item.attachment_id,
        "lastModifiedDateTime": when(item.modified_at),
        "name": item.name,
        "contentType": item.content_type,
        "size": len(item.content) + int(world.knobs.number("attachment_overhead_bytes")),
        "isInline": item.inline,
    }
    if item.kind == "file":
        out |= {"contentId": item.content_id, "contentLocation": None}
        out["contentBytes"] = base64.b64encode(item.content).decode()
    if select:
        names = {name.rpartition("/")[2] for name in select}
        keep = {"@odata.type", "@odata.mediaContentType", "id", *names}
        out = {name: value for name, value in out.items() if name in keep}
    return oddities.of_attachment(world, out) if message.received else out


def folder(mailbox: Mailbox, item: Folder) -> Json:
    """A mail folder with its counts."""
    inside = mailbox.in_folder(item.folder_id)
    return {
        "id": item.folder_id,
        "displayName": item.display_name,
        "parentFolderId": item.parent_id,
        "childFolderCount": sum(
            f.parent_id == item.folder_id != f.folder_id for f in mailbox.folders.values()
        ),
        "unreadItemCount": sum(not m.is_read for m in inside),
        "totalItemCount": len(inside),
        "isHidden": False,
    }


def user(item: User) -> Json:
    """The default properties of a user (Microsoft Graph, "Get a user")."""
    given, _, surname = item.display_name.partition(" ")
    return {
        "businessPhones": [],
        "displayName": item.display_name,
        "givenName": given or None,
        "jobTitle": None,
        "mail": item.mail,
        "mobilePhone": None,
        "officeLocation": None,
        "preferredLanguage": None,
        "surname": surname or None,
        "userPrincipalName": item.address,
        "id": item.user_id,
    }


def proxy_addresses(world: World, item: User) -> list[str]:
    """`proxyAddresses` of a user (knob): the primary address with an upper-case prefix, other kinds among them."""
    known = world.knobs.text("proxy_addresses")
    if known == "empty":
        return []
    legacy = [f"X500:{item.legacy_name}"] if known == "x500" else []
    return [
        *legacy,
        f"SMTP:{item.address}",
        *(f"smtp:{alias}" for alias in item.aliases),
        f"SIP:{item.address}",
    ]


def raw(item: Message) -> bytes:
    """The message as MIME text."""
    return mime.as_text(item)
