"""Where a message stands: for the API's message status, and for the links to its files."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from shared.domain import ids
from shared.domain.errors import ItemGone, NotFound
from shared.domain.model import (
    Event,
    MailboxRef,
    MessageKind,
    MessageRecord,
    OutboxItem,
    Phase,
    Seen,
    StagedFile,
    Thread,
)
from shared.domain.reasons import reason_data
from shared.mailbox_context import MailboxContext
from shared.services import Services
from shared.sync.events.announce import bounce_data, files_data, waiting_data
from shared.sync.events.deliver_event import read_event_data
from shared.sync.outbound.waiting_sends import look_up_waiting, shown_status
from shared.sync.staging import unstage

FILE_GONE = "The file is no longer kept here; it lies in the mailbox still."


async def show_message(s: Services, tenant_id: str, message_id: str) -> dict[str, Any]:
    """The status of one message of this tenant. Raises NotFound, the same for foreign ids (X-5)."""
    ctx, item, record = await _find(s, tenant_id, message_id)
    return await _show_send(ctx, item, record) if item is not None else await _show_mail(ctx, record)


async def _find(
    s: Services, tenant_id: str, message_id: str
) -> tuple[MailboxContext, OutboxItem | None, MessageRecord]:
    mailbox_id = ids.mailbox_of(message_id, "msg")
    if mailbox_id is None:
        raise NotFound
    ctx = MailboxContext(s, MailboxRef(tenant_id, mailbox_id))
    stored = await ctx.find(MessageRecord, message_id)
    if stored is None:
        raise NotFound
    if stored.value.key is None:
        return ctx, None, stored.value
    item = await ctx.find(OutboxItem, stored.value.key)
    return ctx, item.value if item else None, stored.value


async def _show_send(ctx: MailboxContext, item: OutboxItem, record: MessageRecord) -> dict[str, Any]:
    waits = await look_up_waiting(ctx, item)
    shown = {
        "id": item.message_id,
        "crm_message_id": item.crm_message_id,
        "thread_id": item.thread_id,
        "crm_thread_id": item.crm_thread_id,
        "user_id": item.user_id,
        "direction": "outbound",
        "origin": "crm",
        "kind": MessageKind.MAIL.value,
        "status": shown_status(item, waits).value,
        **waiting_data(item, waits),
        "reason": reason_data(item.reason),
        "bounces": _bounces(record),
        "warnings": list(item.warnings),
        "created_at": item.created_at,
        "updated_at": item.updated_at,
    }
    if item.phase is not Phase.SENT or item.event_ref is None:
        return shown
    return {**shown, "message": await _read_data(ctx, item.event_ref, item.message_id, item.files)}


async def _show_mail(ctx: MailboxContext, record: MessageRecord) -> dict[str, Any]:
    data = await _read_data(ctx, record.event_ref, record.message_id, record.files)
    told = data or {"crm_thread_id": await _find_crm_thread(ctx, record.thread_id)}
    synced = record.reason is None
    return {
        "id": record.message_id,
        "crm_message_id": None,
        "thread_id": record.thread_id,
        "crm_thread_id": told.get("crm_thread_id"),
        "user_id": told.get("user_id"),
        "direction": record.direction.value,
        "origin": record.origin.value,
        "kind": record.kind.value,
        "status": record.status.value,
        "reason": told.get("reason") or reason_data(record.reason),
        "bounces": _bounces(record),
        "next_look_at": await _find_next_look(ctx, record),
        "created_at": record.created_at,
        "updated_at": record.updated_at or record.created_at,
        **({"message": data} if synced else {}),
    }


def _bounces(record: MessageRecord) -> list[dict[str, Any]]:
    """What was reported of the message's recipients, one entry for each."""
    return [
        {**bounce_data(bounce), "message_id": bounce.reported_by, "at": bounce.at}
        for bounce in record.bounces
    ]


async def _find_next_look(ctx: MailboxContext, record: MessageRecord) -> datetime | None:
    """When a message that nobody could read is looked at again (R14)."""
    stored = await ctx.find(Seen, record.held_as) if record.held_as is not None else None
    held = stored.value.held if stored is not None else None
    return held.look_at if held is not None else None


async def _read_data(
    ctx: MailboxContext, event_ref: str | None, message_id: str, files: tuple[StagedFile, ...]
) -> dict[str, Any] | None:
    """What the CRM was told, with links signed anew; None when that is no longer kept."""
    stored = await ctx.find(Event, event_ref or "")
    data = await read_event_data(ctx.services, stored.value) if stored else None
    if data is not None and "attachments" in data:
        data["attachments"] = files_data(ctx, message_id, files)
    return data


async def _find_crm_thread(ctx: MailboxContext, thread_id: str) -> str | None:
    thread = await ctx.find(Thread, thread_id)
    return thread.value.crm_thread_id if thread else None


async def open_file(s: Services, token: str) -> tuple[StagedFile, bytes]:
    """A staged file by its signed link. Raises NotFound for a foreign or old link, ItemGone for a lost file."""
    parts = s.file_links.verify(token, s.clock.now())
    if parts is None or len(parts) != 3:  # noqa: PLR2004 - tenant, message, file
        raise NotFound
    tenant_id, message_id, attachment_id = parts
    _, item, record = await _find(s, tenant_id, message_id)
    files = (*(item.files if item else ()), *record.files)
    found = [file for file in files if file.attachment_id == attachment_id and file.blob]
    if not found:
        raise NotFound
    try:
        return found[0], await unstage(s, found[0].blob or "")
    except ItemGone as err:
        raise ItemGone(FILE_GONE) from err
