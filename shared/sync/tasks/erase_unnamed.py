"""Erase bytes in staging that no row names: what a crash, a refusal or a lost race left behind (D-1).

A blob's name says whose it is. A day after it was written that one row is asked, once: whatever names it then erases it
in its own time. It is part of a mailbox's daily walk and costs one listing, and a read or two for each blob. Of uploads
their own rows know.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from shared.domain import ids, retention
from shared.domain.model import MailboxRef, MessageRecord, OutboxItem
from shared.mailbox_context import MailboxContext
from shared.services import Services
from shared.state import keys
from shared.state.sessions import Upload
from shared.storage.api import BlobInfo
from shared.telemetry import log

MOST_A_WALK: Final = 200
EVENTS_READ: Final = 200
CLOCKS_DIFFER: Final = timedelta(hours=1)  # that of the storage account and ours, and a transaction's tries


async def erase_unnamed(ctx: MailboxContext, since: str) -> tuple[str, datetime | None, bool]:
    """Look at the blobs of the mailbox's messages that were written after the time `since`, a day ago and longer.

    Returns up to which time they were looked at, when there will be more, and whether to go on at once.
    """
    prefix = f"{ctx.ref.tenant_id}/{ids.message_ids_begin(ctx.ref.mailbox_id)}"
    listed = await ctx.services.blobs.list(keys.STAGING, prefix)
    fresh = sorted((blob.modified_at, blob.name, blob) for blob in listed if _written(blob) > since)
    due = [blob for at, _, blob in fresh if at + retention.UNNAMED_AFTER <= ctx.now()]
    younger = fresh[len(due)][0] + retention.UNNAMED_AFTER if len(due) < len(fresh) else None
    page = due[:MOST_A_WALK]
    page += [blob for blob in due[MOST_A_WALK:] if blob.modified_at == page[-1].modified_at]
    for blob in page:
        if not await _is_named(ctx, blob):
            await ctx.services.blobs.delete(keys.STAGING, blob.name)
            log.info("blob.unnamed", mailbox=ctx.ref.mailbox_id)
    return _written(page[-1]) if page else since, younger, len(page) < len(due)


def _written(blob: BlobInfo) -> str:
    return keys.stamp(blob.modified_at)


async def _is_named(ctx: MailboxContext, blob: BlobInfo) -> bool:
    """Whether the message, its send or one of its events names the blob."""
    record = await ctx.find(MessageRecord, blob.name.split("/")[1])
    if record is None:
        return False
    key = record.value.key
    item = await ctx.find(OutboxItem, key) if key is not None else None
    files = (*record.value.files, *(item.value.files if item is not None else ()))
    if blob.name in {file.blob for file in files}:
        return True
    return (item is not None and blob.name == item.value.body_blob) or await _has_event(ctx, blob)


async def _has_event(ctx: MailboxContext, blob: BlobInfo) -> bool:
    """A message may have several events, told again or not; each was recorded about when its body was written."""
    after, end = keys.stamp(blob.modified_at - CLOCKS_DIFFER), blob.modified_at + CLOCKS_DIFFER
    while page := await ctx.services.ledger.events(ctx.ref, after, EVENTS_READ):
        if any(event.value.body_blob == blob.name for event in page):
            return True
        if page[-1].value.at > end:
            return False
        after = page[-1].value.ref
    return False


async def is_taken(s: Services, tenant_id: str, upload: Upload) -> bool:
    """Whether the send that took an upload's bytes came to be, and has them; a former version did not say which."""
    if upload.used_by is None:
        return True
    mailbox_id, _, key = upload.used_by.partition("|")
    if not key:
        return False
    item = await s.ledger.find(MailboxRef(tenant_id, mailbox_id), OutboxItem, key)
    return item is not None and upload.file.blob in {file.blob for file in item.value.files}
