"""The rows by which later mail finds the thread of a send.

They are written before the mail leaves, so that the fastest reply finds them.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from shared.domain.model import ConversationLink, Draft, Mailbox, MailboxRef, MessageIndex, OutboxItem, Thread
from shared.domain.thread_growth import with_conversation, with_people
from shared.services import Services
from shared.state.codec import Stored
from shared.state.ledger import Change, new


async def thread_changes(
    s: Services, mailbox: MailboxRef, gate: Mailbox, item: OutboxItem, draft: Draft
) -> list[Change]:
    """Rows that make later mail find this thread: the thread itself, its conversation, the draft's Message-ID."""
    now = s.clock.now()
    stored = await s.ledger.find(mailbox, Thread, item.thread_id)
    people = tuple(dict.fromkeys(one.address for one in (*item.to, *item.cc, *item.bcc)))
    thread = _thread(stored, gate, item, people, draft.conversation_id, now)
    return [
        stored.changed(thread) if stored else new(thread),
        *await conversation_rows(s, mailbox, stored.value if stored else None, thread),
        *await index_rows(s, mailbox, draft.internet_message_id, item.thread_id, item.message_id, now),
    ]


async def conversation_rows(
    s: Services, mailbox: MailboxRef, before: Thread | None, thread: Thread
) -> list[Change]:
    """The link from a conversation that the thread has just grown by; a link may be there from long ago."""
    known = before.conversation_ids if before else ()
    fresh = [one for one in thread.conversation_ids if one not in known]
    links = [ConversationLink(one, thread.thread_id) for one in fresh]
    return [new(one) for one in links if not await s.ledger.has(mailbox, one)]


async def index_rows(
    s: Services,
    mailbox: MailboxRef,
    internet_message_id: str | None,
    thread_id: str,
    message_id: str,
    at: datetime,
    *,
    synced: bool = True,
) -> list[Change]:
    """The row from a Message-ID to its thread, unless there is one already."""
    if not internet_message_id or await s.ledger.find(mailbox, MessageIndex, internet_message_id):
        return []
    return [new(MessageIndex(internet_message_id, thread_id, message_id, synced, at))]


def _thread(
    stored: Stored[Thread] | None,
    gate: Mailbox,
    item: OutboxItem,
    people: tuple[str, ...],
    conversation: str | None,
    now: datetime,
) -> Thread:
    """A new thread, or the old one resumed under the present connection (R9)."""
    if stored is None:
        return with_conversation(begun_by(gate, item, now), conversation)
    old = stored.value
    resumed = old.connection_id != gate.connection_id or old.generation != gate.generation
    went_on = replace(
        old,
        connection_id=gate.connection_id,
        generation=gate.generation,
        active_from=now if resumed else old.active_from,
        resumed=resumed or old.resumed,
        crm_context=item.crm_context if item.crm_context != "{}" else old.crm_context,
        contact_ids=item.contact_ids or old.contact_ids,
    )
    return with_conversation(with_people(went_on, people), conversation)


def begun_by(gate: Mailbox, item: OutboxItem, now: datetime) -> Thread:
    """The thread that a send begins, before Graph has given it a conversation."""
    begun = Thread(
        item.thread_id,
        gate.connection_id,
        gate.generation,
        now,
        item.crm_thread_id,
        crm_context=item.crm_context,
        contact_ids=item.contact_ids,
    )
    return with_people(begun, (one.address for one in (*item.to, *item.cc, *item.bcc)))
