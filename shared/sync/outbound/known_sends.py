"""The sends of a mailbox that are not finished, and the one that opens a thread."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from shared.domain import ids
from shared.domain.model import Mailbox, MailboxRef, MessageRecord, OutboxItem, Phase, TaskKind, Thread
from shared.domain.reply_targets import wait_until
from shared.services import Services

UNFINISHED_ARE_DUE_WITHIN: Final = timedelta(days=2)


async def unfinished_sends(s: Services, mailbox: MailboxRef) -> list[OutboxItem]:
    """Every send that is still to be built, sent or confirmed: each has its task, behind any amount of other work."""
    found: list[OutboxItem] = []
    for task in await s.ledger.tasks(mailbox, s.clock.now() + UNFINISHED_ARE_DUE_WITHIN, limit=None):
        if task.value.kind is TaskKind.SEND:
            stored = await s.ledger.find(mailbox, OutboxItem, task.value.ref)
            found += [stored.value] if stored is not None and not stored.value.phase.final else []
    return found


async def copies_unseen_since(s: Services, mailbox: MailboxRef) -> datetime | None:
    """When the first send left whose copy in Sent Items was not seen yet; None where all were."""
    sends = await unfinished_sends(s, mailbox)
    leaving = [one for one in sends if one.phase in {Phase.SENDING, Phase.SUBMITTED}]
    return min((one.send_started_at for one in leaving if one.send_started_at), default=None)


async def opening_send(s: Services, mailbox: MailboxRef, thread_id: str) -> OutboxItem | None:
    """The send that begins, or was to begin, this thread."""
    record = await s.ledger.find(mailbox, MessageRecord, ids.opening_message_id(thread_id))
    if record is None or record.value.key is None:
        return None
    stored = await s.ledger.find(mailbox, OutboxItem, record.value.key)
    return stored.value if stored is not None and stored.value.thread_id == thread_id else None


async def waits_for_original(
    s: Services, mailbox: MailboxRef, gate: Mailbox, item: OutboxItem
) -> datetime | None:
    """Until when a reply waits that has nothing to answer yet, because what it would answer is on its way."""
    if not item.reply:
        return None
    stored = await s.ledger.find(mailbox, Thread, item.thread_id)
    thread = stored.value if stored else None
    if thread is not None and thread.newest_graph_message_id is not None:
        return None
    opening = await opening_send(s, mailbox, item.thread_id)
    others = [*([opening] if opening else []), *await unfinished_sends(s, mailbox)]
    return wait_until(item, thread, others, s.clock.now(), grant_dead=gate.grant_dead)
