"""Which thread of the CRM a mail belongs to: its tags are looked up first, its people only when they must be."""

from __future__ import annotations

from dataclasses import dataclass

from shared.domain import admission
from shared.domain.model import Mailbox, MailboxRef, MessageIndex, Outline, Thread
from shared.ports import Access
from shared.services import Services
from shared.state.codec import Stored


async def index_of(s: Services, mailbox: MailboxRef, internet_message_id: str | None) -> MessageIndex | None:
    """What is known of a Message-ID in this mailbox."""
    if internet_message_id is None:
        return None
    stored = await s.ledger.find(mailbox, MessageIndex, internet_message_id)
    return stored.value if stored else None


@dataclass(frozen=True, slots=True)
class Traced:
    """The thread that evidence leads to, and whether this mail syncs with it (R9)."""

    belongs: admission.Belongs
    syncs: bool
    thread: Stored[Thread] | None = None


async def evidence_for(
    s: Services, mailbox: MailboxRef, gate: Mailbox, access: Access, outline: Outline
) -> Traced | None:
    """Tags first; the people of the mail are asked for only when its conversation_id is known.

    Where tags lead to several threads, one that syncs wins over one that was stopped.
    """
    stopped: Traced | None = None
    for ancestor in admission.ancestors(outline):
        belongs = admission.by_ancestor(ancestor, await index_of(s, mailbox, ancestor.internet_message_id))
        if belongs is None or (stopped is not None and belongs.thread_id == stopped.belongs.thread_id):
            continue
        thread = await s.ledger.find(mailbox, Thread, belongs.thread_id)
        if thread is not None and admission.thread_takes(thread.value, gate, outline.received_at):
            return Traced(belongs, syncs=True, thread=thread)
        stopped = stopped or Traced(belongs, syncs=False)
    return stopped or await _by_conversation(s, mailbox, gate, access, outline)


async def _by_conversation(
    s: Services, mailbox: MailboxRef, gate: Mailbox, access: Access, outline: Outline
) -> Traced | None:
    if outline.conversation_id is None:
        return None
    candidates = await s.ledger.threads_of_conversation(mailbox, outline.conversation_id)
    if not candidates:
        return None
    people = await s.mail.people(access, outline.graph_message_id)
    belongs = admission.by_conversation(gate, people, candidates)
    if belongs is None:
        return None
    taking = [one.thread_id for one in candidates if admission.thread_takes(one, gate, outline.received_at)]
    return Traced(belongs, syncs=belongs.thread_id in taking)
