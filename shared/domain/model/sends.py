"""A send of the CRM: as it was asked for, and as the outbox holds it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared.domain.model.mail import Address
from shared.domain.model.words import Phase, Reason

SEND_WITHIN_SECONDS: Final = 3 * 24 * 3600


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A file whose bytes lie in staging. `blob` is a random name; `problem` says why it is left out."""

    attachment_id: str
    name: str
    content_type: str
    size_bytes: int
    blob: str | None = None
    inline: bool = False
    content_id: str | None = None
    omitted: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class GivenFile:
    """A file of a send as the CRM gives it: one of `file_id`, `content` and `url`.

    `content_id`: by what the HTML shows it (`cid:`), without brackets; `inline`: it is meant to be shown there.
    """

    name: str = ""
    file_id: str | None = None
    content: bytes | None = None
    url: str | None = None
    inline: bool = False
    content_id: str | None = None


@dataclass(frozen=True, slots=True)
class SendRequest:
    """A send as the CRM asked for it, already read from JSON but not yet judged.

    `send_within_seconds`: how long it may wait; `refuses_to_wait`: it is not taken where it would have to.
    """

    crm_message_id: str
    user_id: str
    to: tuple[Address, ...]
    subject: str
    html: str | None = None
    text: str | None = None
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()
    thread_id: str | None = None
    crm_thread_id: str | None = None
    files: tuple[GivenFile, ...] = ()
    crm_context: str = "{}"
    contact_ids: tuple[str, ...] = ()
    send_within_seconds: int = SEND_WITHIN_SECONDS
    refuses_to_wait: bool = False
    body_hash: str = ""


@dataclass(frozen=True, slots=True)
class OutboxItem:
    """A send the CRM was told is accepted. `key` is K of E-17: lower-case hex SHA-256 of (tenant, crm_message_id).

    `failing_since`: since when Graph does not answer for it. `awaited_since`: when the first try was made that may
    have let it leave; None where none can have. `tried`: the last try was made, without a plain answer. `refusal`:
    why Graph refused it, while an earlier one may have let it leave. `taken_at`: when Graph said 202.
    `waiting_told`: the CRM was told. `plainly_refused`: Graph said no to each try, so nothing can have left.
    `without_key`: the mailbox did not take the key, so neither draft nor sent copy carries it. `incomplete_drafts`:
    so many lacked files that were put on them. `warnings`: what was taken out of the HTML, for people. `deaths`: so
    many workers in a row left it without a word.
    """

    key: str
    crm_message_id: str
    message_id: str
    thread_id: str
    reply: bool
    crm_thread_id: str | None
    generation: int
    user_id: str
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    bcc: tuple[Address, ...]
    subject: str
    body_blob: str
    files: tuple[StagedFile, ...]
    crm_context: str
    contact_ids: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    phase: Phase = Phase.NEW
    build: int = 0
    attempts: int = 0
    failing_since: datetime | None = None
    due_at: datetime | None = None
    lease_until: datetime | None = None
    draft_graph_message_id: str | None = None
    draft_internet_message_id: str | None = None
    in_reply_to: str | None = None
    send_started_at: datetime | None = None
    send_tried_at: datetime | None = None
    awaited_since: datetime | None = None
    taken_at: datetime | None = None
    sent_at: datetime | None = None
    reason: Reason | None = None
    detail: str | None = None
    event_ref: str | None = None
    unconfirmed_told: bool = False
    send_within_seconds: int = SEND_WITHIN_SECONDS
    waiting_told: bool = False
    plainly_refused: bool = False
    without_key: bool = False
    incomplete_drafts: int = 0
    warnings: tuple[str, ...] = ()
    deaths: int = 0
    tried: bool = False
    refusal: Reason | None = None
