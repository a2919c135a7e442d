"""A thread as it begins, goes on and grows: who takes part, which conversations of Graph lead to it, what is newest.

Its lists are bounded, because a thread is one row: a list server or a long life must not make it outgrow its row.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Final

from shared.domain.model import Address, Mailbox, OutboxItem, Thread

MOST_PARTICIPANTS: Final = 500
MOST_CONVERSATIONS: Final = 100


def begun_by(mailbox: Mailbox, item: OutboxItem, now: datetime) -> Thread:
    """The thread that a send begins, before Graph has given it a conversation."""
    begun = Thread(
        item.thread_id,
        mailbox.connection_id,
        mailbox.generation,
        now,
        item.crm_thread_id,
        crm_context=item.crm_context,
        contact_ids=item.contact_ids,
    )
    return with_people(begun, _recipients(item))


def continued_by(thread: Thread, mailbox: Mailbox, item: OutboxItem, now: datetime) -> Thread:
    """The thread that a send goes on in; where it was stopped, the send resumes it under this connection (R9)."""
    resumed = thread.connection_id != mailbox.connection_id or thread.generation != mailbox.generation
    went_on = replace(
        thread,
        connection_id=mailbox.connection_id,
        generation=mailbox.generation,
        active_from=now if resumed else thread.active_from,
        resumed=resumed or thread.resumed,
        crm_context=item.crm_context if item.crm_context != "{}" else thread.crm_context,
        contact_ids=item.contact_ids or thread.contact_ids,
    )
    return with_people(went_on, _recipients(item))


def with_people(thread: Thread, addresses: Iterable[str]) -> Thread:
    """Those known first stay: they are the CRM's contacts, whose mail is evidence (see `admission`)."""
    known = dict.fromkeys((*thread.participants, *addresses))
    return replace(thread, participants=tuple(known)[:MOST_PARTICIPANTS])


def with_conversation(thread: Thread, conversation_id: str | None) -> Thread:
    """The newest stay: Exchange goes on in the conversation it began last."""
    if conversation_id is None or conversation_id in thread.conversation_ids:
        return thread
    return replace(thread, conversation_ids=(*thread.conversation_ids, conversation_id)[-MOST_CONVERSATIONS:])


def with_newest(
    thread: Thread, graph_message_id: str, internet_message_id: str | None, at: datetime
) -> Thread:
    """The thread after a synced message of that time: what is newer already stays the one to answer.

    Mails are not seen in the order in which they were written: a send may be confirmed after its answer came.
    """
    if thread.newest_at is not None and at < thread.newest_at:
        return thread
    return replace(
        thread,
        newest_graph_message_id=graph_message_id,
        newest_internet_message_id=internet_message_id,
        newest_at=at,
    )


def _recipients(item: OutboxItem) -> Iterable[str]:
    people: tuple[Address, ...] = (*item.to, *item.cc, *item.bcc)
    return (person.address for person in people)
