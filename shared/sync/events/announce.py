"""What the CRM is told: events, rendered once and kept with the rows they speak of (C-7, E-19).

The `data` of each type is the contract of openapi.json; ids, names and times are the same in the event feed and in
GET /v1/messages/{id}. Links to files expire; the API signs them anew on every read.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from shared.domain.attachments import BlockingFile
from shared.domain.controls import on_one_line
from shared.domain.message_kinds import written_by_machine
from shared.domain.model import (
    Activity,
    Address,
    Bounce,
    ConnectionStatus,
    Direction,
    Event,
    Evidence,
    FetchedMessage,
    Mailbox,
    MailboxRef,
    MessageKind,
    Origin,
    OutboxItem,
    Outline,
    Reason,
    StagedFile,
    Thread,
)
from shared.domain.own_addresses import shown_sender
from shared.domain.reasons import reason_text
from shared.domain.retention import KEPT_ONCE_TOLD
from shared.domain.waiting import Waiting, send_by
from shared.mailbox_context import MailboxContext
from shared.state.ledger import Change, new
from shared.sync.events.rendering import iso_time, small_event, stage_event
from shared.sync.staging import Body

LINK_FOR: Final = KEPT_ONCE_TOLD

SENT: Final = "message.sent"
RECEIVED: Final = "message.received"
NOT_SYNCED: Final = "message.not_synced"
FAILED: Final = "message.failed"
WAITING: Final = "message.waiting"
UNCONFIRMED: Final = "message.unconfirmed"
BOUNCED: Final = "message.bounced"

RECOVERED: Final = "connection.recovered"
UPDATED: Final = "connection.updated"
THREAD_STOPPED: Final = "thread.stopped"
THREAD_RESUMED: Final = "thread.resumed"
CONNECTION_TYPES: Final = {
    ConnectionStatus.CONNECTED: "connection.connected",
    ConnectionStatus.RECONNECT_REQUIRED: "connection.reconnect_required",
    ConnectionStatus.DEGRADED: "connection.degraded",
    ConnectionStatus.DISCONNECTED: "connection.disconnected",
}
TYPES: Final = (
    SENT,
    RECEIVED,
    NOT_SYNCED,
    FAILED,
    WAITING,
    UNCONFIRMED,
    BOUNCED,
    RECOVERED,
    UPDATED,
    THREAD_STOPPED,
    THREAD_RESUMED,
    *CONNECTION_TYPES.values(),
)


def failed_event(ctx: MailboxContext, item: OutboxItem) -> Event:
    """A CRM send ended without leaving."""
    return small_event(ctx, FAILED, item.message_id, item.message_id, _outcome_data(ctx.ref, item))


def waiting_event(ctx: MailboxContext, item: OutboxItem, waits: Waiting) -> Event:
    """A CRM send waits for longer than five minutes."""
    data = {**_send_data(ctx.ref, item), **waiting_data(item, waits)}
    return small_event(ctx, WAITING, item.message_id, item.message_id, data)


def waiting_data(item: OutboxItem, waits: Waiting | None) -> dict[str, Any]:
    """What a send waits for, as events and the API tell it; until when it may leave only while it waits."""
    return {
        "waiting_for": waits.waits_for.value if waits is not None else None,
        "waiting_since": iso_time(waits.since) if waits is not None else None,
        "send_by": iso_time(send_by(item)) if waits is not None else None,
    }


def unconfirmed_event(ctx: MailboxContext, item: OutboxItem) -> Event:
    """Nobody knows whether a CRM send left."""
    return small_event(ctx, UNCONFIRMED, item.message_id, item.message_id, _outcome_data(ctx.ref, item))


async def render_sent(
    ctx: MailboxContext,
    mailbox: Mailbox,
    thread: Thread,
    item: OutboxItem,
    outline: Outline,
    body: Body,
) -> Event:
    """A CRM send was seen in Sent Items."""
    from shared.sync.events.bodies import sent_body  # HTML is not needed to start

    now = ctx.now()
    data = {
        **_common(ctx.ref, mailbox, thread, item.message_id, Direction.OUTBOUND, Origin.CRM),
        "crm_message_id": item.crm_message_id,
        "internet_message_id": outline.internet_message_id or item.draft_internet_message_id,
        "in_reply_to": outline.in_reply_to or item.in_reply_to,  # the copy may lie there without its tags
        "references": list(outline.references),
        "subject": on_one_line(item.subject),
        "from": {"address": mailbox.address, "name": ""},
        "to": _people(item.to),
        "cc": _people(item.cc),
        "bcc": _people(item.bcc),
        "reply_to": [],
        "sent_at": iso_time(outline.received_at or now),
        "received_at": iso_time(outline.received_at or now),
        **(await sent_body(ctx, body)),
        "attachments": files_data(ctx, item.message_id, item.files),
        "automatic": False,
        "kind": MessageKind.MAIL.value,
        "evidence": Evidence.KEY.value,
    }
    return await stage_event(ctx, SENT, item.message_id, data)


async def render_synced(
    ctx: MailboxContext,
    mailbox: Mailbox,
    thread: Thread,
    message: FetchedMessage,
    files: Sequence[StagedFile],
    evidence: Evidence,
    message_id: str,
    direction: Direction,
    kind: MessageKind,
    bounced: dict[str, Any] | None = None,
) -> Event:
    """A mail of the thread was found in the mailbox; `bounced` is what a bounce says (see `bounced_data`)."""
    from shared.sync.events.bodies import received_body  # HTML is not needed to start

    data = {
        **_found_data(ctx.ref, mailbox, thread, message, message_id, direction),
        **(await received_body(ctx, message)),
        "attachments": files_data(ctx, message_id, files),
        "automatic": written_by_machine(kind, message.headers),
        "kind": kind.value,
        "evidence": evidence.value,
        **({"bounced": bounced} if bounced is not None else {}),
    }
    found_type = SENT if direction is Direction.OUTBOUND else RECEIVED
    event_type = BOUNCED if bounced is not None else found_type
    return await stage_event(ctx, event_type, message_id, data)


async def render_not_synced(
    ctx: MailboxContext,
    mailbox: Mailbox,
    thread: Thread,
    message: FetchedMessage,
    problems: Sequence[BlockingFile],
    evidence: Evidence,
    message_id: str,
    direction: Direction,
    kind: MessageKind,
) -> Event:
    """A mail of the thread does not sync, because of its files (R7) or because nobody can read it.

    Everything but its words and files is told, as far as it is known.
    """
    reason = problems[0].reason if problems else Reason.MESSAGE_UNREADABLE
    files = [
        {
            "name": file.name,
            "size_bytes": file.size_bytes,
            "problem": file.reason.value,
            "detail": file.detail,
        }
        for file in problems
    ]
    data = {
        **_found_data(ctx.ref, mailbox, thread, message, message_id, direction),
        "automatic": written_by_machine(kind, message.headers),
        "kind": kind.value,
        "evidence": evidence.value,
        "reason": {"code": reason.value, "detail": reason_text(reason), "files": files},
    }
    return await stage_event(ctx, NOT_SYNCED, message_id, data)


def bounced_data(
    bounces: Sequence[Bounce], original_id: str | None, crm_message_id: str | None
) -> dict[str, Any]:
    """What a bounce says: of one recipient, of the others beside it, and of which message of the thread."""
    first, *others = [bounce_data(bounce) for bounce in bounces]
    return {**first, "message_id": original_id, "crm_message_id": crm_message_id, "others": others}


def bounce_data(bounce: Bounce) -> dict[str, Any]:
    """What was reported of one recipient, in RFC 3464's words."""
    return {
        "recipient": _line(bounce.recipient),
        "status": bounce.status,
        "diagnostic_code": _line(bounce.diagnostic_code),
        "action": bounce.action.value if bounce.action else None,
    }


def _line(text: str | None) -> str | None:
    return None if text is None else on_one_line(text)


def activity(
    ctx: MailboxContext,
    kind: str,
    thread_id: str | None,
    message_id: str | None,
    reason: Reason | None = None,
) -> Change:
    """A line of the activity list."""
    return new(Activity(ctx.services.random.token(6), ctx.now(), kind, thread_id, message_id, reason))


def files_data(ctx: MailboxContext, message_id: str, files: Sequence[StagedFile]) -> list[dict[str, Any]]:
    """A message's files as the CRM sees them, with freshly signed links."""
    until = ctx.now() + LINK_FOR
    return [_file_data(ctx, message_id, file, until) for file in files]


def _file_data(ctx: MailboxContext, message_id: str, file: StagedFile, until: datetime) -> dict[str, Any]:
    s = ctx.services
    parts = (ctx.ref.tenant_id, message_id, file.attachment_id)
    token = s.file_links.mint(parts, until) if file.blob else None
    return {
        "id": file.attachment_id,
        "name": file.name,
        "content_type": file.content_type,
        "size_bytes": file.size_bytes,
        "inline": file.inline,
        "content_id": _line(file.content_id),
        "url": f"{s.addresses.api}/files/{token}" if token else None,
        "url_expires_at": iso_time(until) if token else None,
        "omitted": file.omitted,
    }


def _common(
    ref: MailboxRef, mailbox: Mailbox, thread: Thread, message_id: str, direction: Direction, origin: Origin
) -> dict[str, Any]:
    return {
        "id": message_id,
        "thread_id": thread.thread_id,
        "crm_thread_id": thread.crm_thread_id,
        "crm_message_id": None,
        "user_id": mailbox.user_id,
        "mailbox": {"id": ref.mailbox_id, "address": mailbox.address},
        "direction": direction.value,
        "origin": origin.value,
        "sequence": thread.sequence,
        "crm_context": msgspec.json.decode(thread.crm_context),
        "contact_ids": list(thread.contact_ids),
    }


def _found_data(
    ref: MailboxRef,
    mailbox: Mailbox,
    thread: Thread,
    message: FetchedMessage,
    message_id: str,
    direction: Direction,
) -> dict[str, Any]:
    outline = message.outline
    sender = shown_sender(message, mailbox, direction)
    return {
        **_common(ref, mailbox, thread, message_id, direction, Origin.MAILBOX),
        "internet_message_id": outline.internet_message_id,
        "in_reply_to": outline.in_reply_to,
        "references": list(outline.references),
        "subject": on_one_line(message.subject),
        "from": _people([sender])[0] if sender else None,
        "to": _people(message.to),
        "cc": _people(message.cc),
        "bcc": _people(message.bcc),
        "reply_to": _people(message.reply_to),
        "sent_at": iso_time(message.sent_at),
        "received_at": iso_time(message.received_at),
    }


def _outcome_data(ref: MailboxRef, item: OutboxItem) -> dict[str, Any]:
    reason = item.reason or Reason.OUTCOME_UNKNOWN
    return {
        **_send_data(ref, item),
        "reason": {"code": reason.value, "detail": reason_text(reason)},
    }


def _send_data(ref: MailboxRef, item: OutboxItem) -> dict[str, Any]:
    return {
        "id": item.message_id,
        "crm_message_id": item.crm_message_id,
        "thread_id": item.thread_id,
        "crm_thread_id": item.crm_thread_id,
        "user_id": item.user_id,
        "mailbox": {"id": ref.mailbox_id},
        "subject": on_one_line(item.subject),
        "to": _people(item.to),
        "cc": _people(item.cc),
        "bcc": _people(item.bcc),
        "accepted_at": iso_time(item.created_at),
        "crm_context": msgspec.json.decode(item.crm_context),
        "contact_ids": list(item.contact_ids),
    }


def _people(addresses: Sequence[Address]) -> list[dict[str, str]]:
    return [
        {"address": on_one_line(person.address), "name": on_one_line(person.name)} for person in addresses
    ]
