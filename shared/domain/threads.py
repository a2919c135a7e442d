"""A thread as it begins, goes on and grows: who takes part, which conversations of Graph lead to it, what is newest.

Its lists are bounded, because a thread is one row: a list server or a long life must not make it outgrow its row.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Final

from shared.domain.addresses import among, is_hidden
from shared.domain.admission import is_of_connection
from shared.domain.errors import ThreadStopped
from shared.domain.model import (
    Address,
    FenceState,
    Mailbox,
    OutboxItem,
    Phase,
    StoppedBy,
    Thread,
    ThreadStatus,
)
from shared.domain.own_addresses import is_own

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
        subject=item.subject,
    )
    return with_people(begun, _contacts(item, mailbox))


def continued_by(thread: Thread, mailbox: Mailbox, item: OutboxItem, now: datetime) -> Thread:
    """The thread that a send goes on in; one of an earlier connection is resumed under this one (R9).

    Raises ThreadStopped: what a person or the CRM stopped, no send resumes, and what waited then has ended (R12).
    """
    if takes_no_send(thread, item):
        raise ThreadStopped
    resumed = not is_of_connection(thread, mailbox)
    went_on = replace(
        thread,
        connection_id=mailbox.connection_id,
        generation=mailbox.generation,
        active_from=now if resumed else thread.active_from,
        active_before=None if resumed else thread.active_before,
        resumed=resumed or thread.resumed,
        subject=thread.subject or item.subject,
        crm_context=item.crm_context if item.crm_context != "{}" else thread.crm_context,
        contact_ids=item.contact_ids or thread.contact_ids,
    )
    return with_people(went_on, _contacts(item, mailbox))


def takes_no_send(thread: Thread, item: OutboxItem) -> bool:
    """Whether the thread is stopped, or was since this send was accepted."""
    stopped_at = thread.stopped_at or thread.last_stopped_at
    return thread.stopped_at is not None or (stopped_at is not None and item.created_at <= stopped_at)


def stopped(thread: Thread, by: StoppedBy, now: datetime, graph_now: datetime | None = None) -> Thread:
    """The thread after a stop (R12). Stopped again it stays as it is, but for the user's word, which counts more."""
    if thread.stopped_at is None:
        return replace(thread, stopped_at=now, stopped_by=by, took_until=graph_now or now)
    return replace(thread, stopped_by=by) if by is StoppedBy.USER else thread


def resumed(thread: Thread, by: StoppedBy, now: datetime) -> Thread:
    """The thread as it goes on from now; mail received in between stays out (R12).

    Raises ThreadStopped where the CRM would resume what the user stopped.
    """
    if thread.stopped_at is None:
        return thread
    if thread.stopped_by is StoppedBy.USER and by is not StoppedBy.USER:
        raise ThreadStopped("The user stopped this thread, so only the user can resume it.")
    return replace(
        thread,
        stopped_at=None,
        stopped_by=None,
        last_stopped_at=thread.stopped_at,
        active_before=thread.active_from,
        active_from=now,
        resumed=True,
    )


def thread_status(thread: Thread | OutboxItem, mailbox: Mailbox) -> ThreadStatus:
    """How a thread stands; one that has no row yet is known by the send that is to begin it."""
    if isinstance(thread, OutboxItem):
        return ThreadStatus.NOT_BEGUN if thread.phase is Phase.FAILED else ThreadStatus.OPENING
    if thread.stopped_at is not None:
        return ThreadStatus.STOPPED
    if not thread.conversation_ids and thread.newest_graph_message_id is None:
        return ThreadStatus.NOT_BEGUN  # stopped before its first mail left, and resumed
    is_open = mailbox.state is FenceState.OPEN and is_of_connection(thread, mailbox)
    return ThreadStatus.SYNCING if is_open else ThreadStatus.INACTIVE


def recipients_of(item: OutboxItem) -> Iterable[str]:
    """Everybody a send goes to."""
    people: tuple[Address, ...] = (*item.to, *item.cc, *item.bcc)
    return (person.address for person in people)


def with_people(thread: Thread, addresses: Iterable[str]) -> Thread:
    """Those known first stay: they are the CRM's contacts, whose mail is evidence (see `admission`).

    Who was hidden and writes, or is written to, again is known by the address again.
    """
    named = list(addresses)
    left = [each for each in thread.participants if not (is_hidden(each) and among(named, [each]))]
    known = dict.fromkeys((*left, *named))
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


def _contacts(item: OutboxItem, mailbox: Mailbox) -> Iterable[str]:
    """Whom the CRM writes to; the mailbox's user, who may be among them, is no contact."""
    return (address for address in recipients_of(item) if not is_own(address, mailbox))
