"""The rows by which later mail finds the thread of a send.

They are written before the mail leaves, so that the fastest reply finds them.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from shared.domain.model import ConversationLink, Draft, Gate, MailboxRef, MessageIndex, OutboxItem, Thread
from shared.services import Services
from shared.state.codec import Stored
from shared.state.ledger import Change, new


async def thread_changes(
    s: Services, mailbox: MailboxRef, gate: Gate, item: OutboxItem, draft: Draft
) -> list[Change]:
    """Rows that make later mail find this thread: the thread itself, its conversation, the draft's Message-ID."""
    now = s.clock.now()
    stored = await s.ledger.find(mailbox, Thread, item.thread_id)
    people = tuple(dict.fromkeys(one.address for one in (*item.to, *item.cc, *item.bcc)))
    thread = _thread(stored, gate, item, people, draft.conversation_id, now)
    changes: list[Change] = [stored.changed(thread) if stored else new(thread)]
    known = stored.value.conversation_ids if stored else ()
    if draft.conversation_id and draft.conversation_id not in known:
        changes.append(new(ConversationLink(draft.conversation_id, item.thread_id)))
    if draft.internet_message_id and not await s.ledger.find(
        mailbox, MessageIndex, draft.internet_message_id
    ):
        index = MessageIndex(draft.internet_message_id, item.thread_id, item.message_id, synced=True, at=now)
        changes.append(new(index))
    return changes


def _thread(
    stored: Stored[Thread] | None,
    gate: Gate,
    item: OutboxItem,
    people: tuple[str, ...],
    conversation: str | None,
    now: datetime,
) -> Thread:
    """A new thread, or the old one resumed under the present connection (R9)."""
    conversations = (conversation,) if conversation else ()
    if stored is None:
        return Thread(
            item.thread_id,
            gate.connection_id,
            gate.generation,
            now,
            item.crm_thread_id,
            people,
            conversations,
            item.crm_context,
            item.contact_ids,
        )
    old = stored.value
    resumed = old.connection_id != gate.connection_id or old.generation != gate.generation
    return replace(
        old,
        connection_id=gate.connection_id,
        generation=gate.generation,
        active_from=now if resumed else old.active_from,
        participants=tuple(dict.fromkeys((*old.participants, *people))),
        conversation_ids=tuple(dict.fromkeys((*old.conversation_ids, *conversations))),
        crm_context=item.crm_context if item.crm_context != "{}" else old.crm_context,
        contact_ids=item.contact_ids or old.contact_ids,
    )
