"""Where a message stands: for the API's message status, and for the links to its files."""

from __future__ import annotations

from typing import Any

from shared.domain import ids
from shared.domain.errors import ItemGone, NotFound
from shared.domain.model import (
    Event,
    MailboxRef,
    MessageRecord,
    OutboxItem,
    Phase,
    Reason,
    StagedFile,
    Thread,
)
from shared.domain.reasons import reason_text
from shared.services import Services
from shared.sync.events.announce import files_data
from shared.sync.staging import event_data, unstage

FILE_GONE = "The file is no longer kept here; it lies in the mailbox still."
STATUS_OF_PHASE = {
    Phase.NEW: "accepted",
    Phase.BUILDING: "sending",
    Phase.SENDING: "sending",
    Phase.SUBMITTED: "sending",
    Phase.NEEDS_ATTENTION: "needs_attention",
    Phase.SENT: "sent",
    Phase.FAILED: "failed",
}


async def show_message(s: Services, tenant_id: str, message_id: str) -> dict[str, Any]:
    """The status of one message of this tenant. Raises NotFound, the same for foreign ids (X-5)."""
    mailbox, item, record = await _find(s, tenant_id, message_id)
    if item is not None:
        return await _of_send(s, mailbox, item)
    if record is None:
        raise NotFound
    return await _of_mail(s, mailbox, record)


async def _find(
    s: Services, tenant_id: str, message_id: str
) -> tuple[MailboxRef, OutboxItem | None, MessageRecord | None]:
    mailbox_id = ids.mailbox_of(message_id, "msg")
    if mailbox_id is None:
        raise NotFound
    mailbox = MailboxRef(tenant_id, mailbox_id)
    stored = await s.ledger.find(mailbox, MessageRecord, message_id)
    if stored is None:
        raise NotFound
    if stored.value.key is None:
        return mailbox, None, stored.value
    item = await s.ledger.find(mailbox, OutboxItem, stored.value.key)
    return mailbox, item.value if item else None, stored.value


async def _of_send(s: Services, mailbox: MailboxRef, item: OutboxItem) -> dict[str, Any]:
    shown = {
        "id": item.message_id,
        "crm_message_id": item.crm_message_id,
        "thread_id": item.thread_id,
        "crm_thread_id": item.crm_thread_id,
        "user_id": item.user_id,
        "direction": "outbound",
        "origin": "crm",
        "status": STATUS_OF_PHASE[item.phase],
        "reason": _reason(item.reason),
        "created_at": item.created_at,
        "updated_at": item.updated_at,
    }
    if item.phase is not Phase.SENT or item.event_ref is None:
        return shown
    return {**shown, "message": await _data(s, mailbox, item.event_ref, item.message_id, item.files)}


async def _of_mail(s: Services, mailbox: MailboxRef, record: MessageRecord) -> dict[str, Any]:
    data = await _data(s, mailbox, record.event_ref, record.message_id, record.files)
    told = data or {"crm_thread_id": await _crm_thread(s, mailbox, record.thread_id)}
    synced = record.reason is None
    return {
        "id": record.message_id,
        "crm_message_id": None,
        "thread_id": record.thread_id,
        "crm_thread_id": told.get("crm_thread_id"),
        "user_id": told.get("user_id"),
        "direction": record.direction.value,
        "origin": record.origin.value,
        "status": record.status,
        "reason": told.get("reason") or _reason(record.reason),
        "created_at": record.created_at,
        "updated_at": record.created_at,
        **({"message": data} if synced else {}),
    }


async def _data(
    s: Services, mailbox: MailboxRef, event_ref: str | None, message_id: str, files: tuple[StagedFile, ...]
) -> dict[str, Any] | None:
    """What the CRM was told, with links signed anew; None when that is no longer kept."""
    stored = await s.ledger.find(mailbox, Event, event_ref or "")
    data = await event_data(s, stored.value) if stored else None
    if data is not None and "attachments" in data:
        data["attachments"] = files_data(s, mailbox, message_id, files)
    return data


async def _crm_thread(s: Services, mailbox: MailboxRef, thread_id: str) -> str | None:
    thread = await s.ledger.find(mailbox, Thread, thread_id)
    return thread.value.crm_thread_id if thread else None


def _reason(reason: Reason | None) -> dict[str, str] | None:
    return {"code": reason.value, "detail": reason_text(reason)} if reason else None


async def open_file(s: Services, token: str) -> tuple[StagedFile, bytes]:
    """A staged file by its signed link. Raises NotFound for a foreign or old link, ItemGone for a lost file."""
    parts = s.file_links.verify(token, s.clock.now())
    if parts is None or len(parts) != 3:  # noqa: PLR2004 - tenant, message, file
        raise NotFound
    tenant_id, message_id, attachment_id = parts
    _, item, record = await _find(s, tenant_id, message_id)
    files = (*(item.files if item else ()), *(record.files if record else ()))
    found = [one for one in files if one.attachment_id == attachment_id and one.blob]
    if not found:
        raise NotFound
    try:
        return found[0], await unstage(s, found[0].blob or "")
    except ItemGone as err:
        raise ItemGone(FILE_GONE) from err
