"""Exactly the members we read, by their Graph names; everything else in an answer is passed over."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, Final, Generic, TypeVar

import msgspec

# Our mark on drafts and what was sent from them: it stays in the mailbox and is never transmitted (E-17).
CRM_KEY: Final = "String {8d3c7f52-5c0e-4f63-9a0b-3f0c54b1a7e6} Name CrmKey"
IN_REPLY_TO: Final = "String 0x1042"
REFERENCES: Final = "String 0x1039"
MESSAGE_CLASS: Final = "String 0x001A"

SELECT_OUTLINE: Final = (
    "id",
    "internetMessageId",
    "conversationId",
    "isDraft",
    "lastModifiedDateTime",
    "receivedDateTime",
)
SELECT_PEOPLE: Final = ("from", "toRecipients", "ccRecipients")
SELECT_MESSAGE: Final = (
    *SELECT_OUTLINE,
    *SELECT_PEOPLE,
    "bccRecipients",
    "replyTo",
    "subject",
    "body",
    "sentDateTime",
    "hasAttachments",
    "internetMessageHeaders",
    "parentFolderId",
)
SELECT_FILES: Final = ("id", "name", "contentType", "size", "isInline")
CONTENT_ID_CAST: Final = "microsoft.graph.fileAttachment/contentId"
_TAGS: Final = " or ".join(f"id eq '{tag}'" for tag in (IN_REPLY_TO, REFERENCES, CRM_KEY))
_CLASS: Final = f"id eq '{MESSAGE_CLASS}'"
EXPAND_TAGS: Final = f"singleValueExtendedProperties($filter={_TAGS})"
EXPAND_TAGS_AND_CLASS: Final = f"singleValueExtendedProperties($filter={_TAGS} or {_CLASS})"
EXPAND_CLASS: Final = f"singleValueExtendedProperties($filter={_CLASS})"
EXPAND_FILES: Final = f"attachments($select={','.join(SELECT_FILES)})"
EXPAND_FILES_AND_IDS: Final = f"attachments($select={','.join((*SELECT_FILES, CONTENT_ID_CAST))})"

T = TypeVar("T")
Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class _Graph(msgspec.Struct, rename="camel"):
    """Graph's members are lower camel case."""


class EmailAddress(_Graph):
    """A person."""

    address: str | None = None
    name: str | None = None


class Recipient(_Graph):
    """A person on a mail."""

    email_address: EmailAddress | None = None


class Property(_Graph):
    """A single-value extended property."""

    id: str
    value: str | None = None


class Body(_Graph):
    """A body in the form asked for."""

    content_type: str | None = None
    content: str | None = None


class Header(_Graph):
    """One header line."""

    name: str | None = None
    value: str | None = None


class Message(_Graph):
    """A message, or as much of it as was selected."""

    id: str
    odata_type: str | None = msgspec.field(default=None, name="@odata.type")
    internet_message_id: str | None = None
    conversation_id: str | None = None
    is_draft: bool | None = None
    parent_folder_id: str | None = None
    last_modified_date_time: Moment | None = None
    received_date_time: Moment | None = None
    sent_date_time: Moment | None = None
    from_: Recipient | None = msgspec.field(default=None, name="from")
    to_recipients: list[Recipient] | None = None
    cc_recipients: list[Recipient] | None = None
    bcc_recipients: list[Recipient] | None = None
    reply_to: list[Recipient] | None = None
    subject: str | None = None
    body: Body | None = None
    has_attachments: bool | None = None
    internet_message_headers: list[Header] | None = None
    single_value_extended_properties: list[Property] | None = None
    attachments: list[Attachment] | None = None
    attachments_link: str | None = msgspec.field(default=None, name="attachments@odata.nextLink")


class Row(Message):
    """A message in a list that must show each: one that is left out would be passed over without a word."""

    not_left_out: ClassVar[bool] = True


class Attachment(_Graph):
    """A file's metadata. `content_id` is unset where Graph was not asked for it or has no such member."""

    id: str
    odata_type: str | None = msgspec.field(default=None, name="@odata.type")
    name: str | None = None
    content_type: str | None = None
    size: int = 0
    is_inline: bool | None = None
    content_id: str | msgspec.UnsetType | None = msgspec.UNSET


class UploadSession(_Graph):
    """Where a large file goes."""

    upload_url: str


class Folder(_Graph):
    """A folder's id."""

    id: str


class User(_Graph):
    """The signed-in user."""

    mail: str | None = None
    user_principal_name: str | None = None
    display_name: str | None = None
    proxy_addresses: list[str | None] | None = None


class Subscription(_Graph):
    """A subscription as granted."""

    id: str
    resource: str = ""
    expiration_date_time: Moment | None = None
    client_state: str | None = None
    notification_url: str | None = None


class Page(_Graph, Generic[T]):
    """One page of a list. An empty one may have a next link."""

    value: list[T]
    next_link: str | None = msgspec.field(default=None, name="@odata.nextLink")


Json = dict[str, Any]
