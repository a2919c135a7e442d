"""Wire to domain and back; pure."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from shared.domain.controls import on_one_line
from shared.domain.errors import UpstreamSurprise
from shared.domain.message_ids import message_ids, normal_message_id
from shared.domain.model import (
    Address,
    Draft,
    DraftContent,
    FetchedMessage,
    OutgoingFile,
    Outline,
    People,
    Profile,
    RemoteFile,
    Subscription,
)
from shared.domain.own_addresses import bounded_aliases
from shared.graph import wire

YEARS: Final = range(1970, 9999)


def graph_to_outline(message: wire.Message) -> Outline:
    """Ids and tags. In-Reply-To may name several; the first is the parent, if it is an id (RFC 5322, 3.6.4)."""
    tags = _tags(message)
    parents = message_ids(tags.get(wire.IN_REPLY_TO.lower()))
    return Outline(
        graph_message_id=message.id,
        internet_message_id=_own_id(message.internet_message_id),
        conversation_id=message.conversation_id,
        is_draft=bool(message.is_draft),
        in_reply_to=parents[0] if parents else None,
        other_parents=parents[1:],
        references=message_ids(tags.get(wire.REFERENCES.lower())),
        key=tags.get(wire.CRM_KEY.lower()) or None,
        last_modified_at=_set(message.last_modified_date_time),
        received_at=_set(message.received_date_time),
    )


def _set(at: datetime | None) -> datetime | None:
    """A time of a mail; None for one that was never set, which Exchange writes as the first or last of .NET's days."""
    return at if at is not None and at.year in YEARS else None


def _own_id(given: str | None) -> str | None:
    """As it was stored; None where it names nothing, or all such mails would be one."""
    return given if given and normal_message_id(given) != "<>" else None


def _tags(message: wire.Message) -> dict[str, str]:
    return {tag.id.lower(): tag.value or "" for tag in message.single_value_extended_properties or ()}


def _message_class(message: wire.Message) -> str | None:
    return _tags(message).get(wire.MESSAGE_CLASS.lower()) or None


def graph_to_people(message: wire.Message) -> People:
    """Sender and open recipients, and the message class."""
    return People(
        _address(message.from_),
        _addresses(message.to_recipients),
        _addresses(message.cc_recipients),
        _message_class(message),
    )


def graph_to_message(message: wire.Message) -> FetchedMessage:
    """A whole mail."""
    body = message.body or wire.Body()
    html = _is_html(body)
    headers = tuple(
        (header.name, header.value or "") for header in message.internet_message_headers or () if header.name
    )
    return FetchedMessage(
        outline=graph_to_outline(message),
        sender=_address(message.from_),
        to=_addresses(message.to_recipients),
        cc=_addresses(message.cc_recipients),
        bcc=_addresses(message.bcc_recipients),
        reply_to=_addresses(message.reply_to),
        subject=message.subject or "",
        html=body.content if html else None,
        text=None if html else body.content,
        sent_at=_set(message.sent_date_time),
        received_at=_set(message.received_date_time),
        has_attachments=bool(message.has_attachments),
        headers=headers,
        odata_type=message.odata_type,
        message_class=_message_class(message),
        folder_id=message.parent_folder_id,
    )


def with_files(message: FetchedMessage, files: tuple[RemoteFile, ...], *, more: bool) -> FetchedMessage:
    """The mail and the list of its files."""
    return replace(message, files=files, has_more_files=more)


def _is_html(body: wire.Body) -> bool:
    """As it says; where it says nothing, by its first sign (Graph's HTML is a whole document)."""
    said, content = (body.content_type or "").lower(), (body.content or "").lstrip()
    return said == "html" or (said != "text" and content[:1] in {"", "<"})


KINDS = {"fileattachment": "file", "itemattachment": "item", "referenceattachment": "reference"}


def graph_to_file(attachment: wire.Attachment) -> RemoteFile:
    """A file's metadata; the type's name is read from the end, because samples differ in case and `#`."""
    kind = KINDS.get((attachment.odata_type or "").rpartition(".")[2].lower(), "unknown")
    return RemoteFile(
        remote_id=attachment.id,
        name=attachment.name or "",
        content_type=attachment.content_type,
        size_bytes=attachment.size,
        inline=bool(attachment.is_inline),
        kind=kind,
        content_id=attachment.content_id or None,
    )


def graph_to_draft(message: wire.Message) -> Draft:
    """A draft as it was made."""
    body = message.body or wire.Body()
    content, is_html = body.content or "", _is_html(body)
    return Draft(
        graph_message_id=message.id,
        internet_message_id=message.internet_message_id,
        conversation_id=message.conversation_id,
        html=content if is_html else "",
        subject=message.subject,
        text=None if is_html else content,
        sender=_address(message.from_),
    )


def graph_to_subscription(found: wire.Subscription) -> Subscription:
    """A subscription as granted. Raises UpstreamSurprise without an expiry."""
    if found.expiration_date_time is None:
        raise UpstreamSurprise
    return Subscription(
        found.id, found.expiration_date_time, found.resource, found.client_state, found.notification_url
    )


def graph_to_profile(user: wire.User) -> Profile:
    """The address is `mail`, or the sign-in name where that is empty. Raises UpstreamSurprise without either.

    `proxyAddresses` name the kind of each: `SMTP:` (the primary one) and `smtp:` are mail addresses, `X500:` legacy
    names, kept as they are; others (`SIP:`, `SPO:`, …) name nobody on a mail ("user resource type").
    """
    address = user.mail or user.user_principal_name
    if not address:
        raise UpstreamSurprise
    others = [user.user_principal_name or "", *_own_addresses(user.proxy_addresses or ())]
    return Profile(address, on_one_line(user.display_name or ""), bounded_aliases(address, others))


def _own_addresses(proxies: Iterable[str | None]) -> Iterator[str]:
    for proxy in proxies:
        kind, _, address = (proxy or "").partition(":")
        if kind.strip().lower() in {"smtp", "x500"}:
            yield address.strip()


def draft_to_graph(content: DraftContent, *, with_files: bool) -> wire.Json:
    """The body that creates a draft."""
    message = {
        **recipients_and_key_to_graph(content),
        "subject": content.subject,
        "body": {"contentType": "html", "content": content.html},
    }
    if with_files and content.files:
        message["attachments"] = [file_to_graph(file) for file in content.files]
    return message


def recipients_and_key_to_graph(content: DraftContent) -> wire.Json:
    """What a reply draft is created with."""
    if content.key is None:
        return recipients_to_graph(content)
    key = {"id": wire.CRM_KEY, "value": content.key}
    return {**recipients_to_graph(content), "singleValueExtendedProperties": [key]}


def recipients_to_graph(content: DraftContent) -> wire.Json:
    """All three kinds, empty ones too, so that none that somebody else put there stays."""
    return {
        "toRecipients": [_recipient(address) for address in content.to],
        "ccRecipients": [_recipient(address) for address in content.cc],
        "bccRecipients": [_recipient(address) for address in content.bcc],
    }


def key_filter(key: str) -> str:
    """Finds what carries our key (Microsoft Graph, "singleValueLegacyExtendedProperty: get")."""
    quoted = key.replace("'", "''")
    return f"singleValueExtendedProperties/Any(ep: ep/id eq '{wire.CRM_KEY}' and ep/value eq '{quoted}')"


def message_id_filter(internet_message_id: str) -> str:
    """Finds what has that Message-ID; a quote inside is doubled (OData)."""
    quoted = internet_message_id.replace("'", "''")
    return f"internetMessageId eq '{quoted}'"


def conversation_filter(conversation_id: str) -> str:
    """Finds everything of a conversation; a quote inside is doubled (OData)."""
    quoted = conversation_id.replace("'", "''")
    return f"conversationId eq '{quoted}'"


def file_to_graph(file: OutgoingFile) -> wire.Json:
    """A file inside a request."""
    attachment = {
        "@odata.type": "#microsoft.graph.fileAttachment",
        "name": file.name,
        "contentType": file.content_type,
        "contentBytes": base64.b64encode(file.content).decode(),
    }
    return {**attachment, "isInline": True, "contentId": file.content_id} if file.inline else attachment


def file_to_upload(file: OutgoingFile) -> wire.Json:
    """The item that an upload session is opened for."""
    item = {
        "attachmentType": "file",
        "name": file.name,
        "size": len(file.content),
        "contentType": file.content_type,
    }
    return {**item, "isInline": True, "contentId": file.content_id} if file.inline else item


def graph_time(at: datetime) -> str:
    """Seconds in UTC, as filters on messages take it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _recipient(person: Address) -> wire.Json:
    address = {"address": person.address, **({"name": person.name} if person.name else {})}
    return {"emailAddress": address}


def _address(recipient: wire.Recipient | None) -> Address | None:
    person = recipient.email_address if recipient else None
    return Address(person.address, person.name or "") if person and person.address else None


def _addresses(recipients: list[wire.Recipient] | None) -> tuple[Address, ...]:
    return tuple(found for recipient in recipients or () if (found := _address(recipient)))
