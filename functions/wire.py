"""Bodies that callers send, member by member; unknown members are refused (X-4). Lengths are in characters."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from shared.domain.model.sends import SEND_WITHIN_SECONDS

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+(?![\s\S])")]
UserId = Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9._:@\-]+(?![\s\S])")]
Name = Annotated[str, msgspec.Meta(max_length=256)]
AddressText = Annotated[str, msgspec.Meta(min_length=3, max_length=320)]


class _In(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A member that is not listed is an error."""


class AddressIn(_In):
    """One recipient."""

    address: AddressText
    name: Name = ""


class BodyIn(_In):
    """At least one of both forms."""

    html: str | None = None
    text: str | None = None


class AttachmentIn(_In):
    """A file by id, inline or by address."""

    file_id: Id | None = None
    name: Annotated[str, msgspec.Meta(max_length=512)] | None = None
    content_type: Annotated[str, msgspec.Meta(max_length=128)] | None = None
    content_base64: str | None = None
    url: Annotated[str, msgspec.Meta(max_length=2048)] | None = None
    inline: bool = False
    content_id: Annotated[str, msgspec.Meta(max_length=250)] | None = None


class SendIn(_In):
    """POST /v1/messages."""

    crm_message_id: Id
    user_id: UserId
    to: Annotated[list[AddressIn], msgspec.Meta(max_length=500)]
    subject: str
    body: BodyIn
    cc: Annotated[list[AddressIn], msgspec.Meta(max_length=500)] = []
    bcc: Annotated[list[AddressIn], msgspec.Meta(max_length=500)] = []
    thread_id: Id | None = None
    crm_thread_id: Id | None = None
    attachments: Annotated[list[AttachmentIn], msgspec.Meta(max_length=20)] = []
    crm_context: dict[str, Any] = {}
    contact_ids: Annotated[list[Id], msgspec.Meta(max_length=100)] = []
    send_within: Annotated[int, msgspec.Meta(ge=60, le=2_592_000)] = SEND_WITHIN_SECONDS
    if_waiting: Literal["wait", "refuse"] = "wait"


class UserIn(_In):
    """A user of the CRM."""

    id: UserId
    display_name: Name = ""
    addresses: Annotated[list[AddressText], msgspec.Meta(max_length=20)] = []


class SessionLinkIn(_In):
    """POST /v1/session-links."""

    user: UserIn


class SessionIn(_In):
    """POST /session."""

    token: Annotated[str, msgspec.Meta(min_length=20, max_length=100, pattern=r"^[A-Za-z0-9_\-]+(?![\s\S])")]
    tenant: Annotated[str, msgspec.Meta(max_length=100)] | None = None


class ReplayIn(_In):
    """POST /v1/replays: all that are given must agree; `cause` is its beginning, `since` when it last happened."""

    of: Literal["dead_letters", "held_messages"]
    mailbox_id: Id | None = None
    work: Annotated[str, msgspec.Meta(min_length=1, max_length=40)] | None = None
    cause: Annotated[str, msgspec.Meta(min_length=1, max_length=100)] | None = None
    since: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    after: Annotated[str, msgspec.Meta(max_length=200)] = ""
