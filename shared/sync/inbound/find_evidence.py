"""Find what leads a mail to a thread: its tags, then its conversation; its people only where one of them does."""

from __future__ import annotations

from dataclasses import dataclass, field

from shared.domain import admission
from shared.domain.model import Address, Mailbox, MessageIndex, Outline, People, Thread
from shared.mailbox_context import MailboxContext
from shared.state.codec import Stored
from shared.sync.mailbox.access import access_of
from shared.sync.mailbox.thread_rows import find_index


@dataclass(frozen=True, slots=True)
class Traced:
    """The thread that evidence leads to, and whether this mail syncs with it (R9).

    `thread` is there where its row was read, `sender` where the people of the mail were.
    """

    belongs: admission.Belongs
    syncs: bool
    thread: Stored[Thread] | None = None
    sender: Address | None = None


@dataclass(slots=True)
class _Search:
    """One mail and what was read of it; its people are read once, and only when asked for."""

    ctx: MailboxContext
    mailbox: Mailbox
    outline: Outline
    known_people: People | None = field(default=None)

    async def people(self) -> People:
        if self.known_people is None:
            mail, number = self.ctx.services.mail, self.outline.graph_message_id
            self.known_people = await mail.people(access_of(self.ctx), number)
        return self.known_people

    @property
    def sender(self) -> Address | None:
        return self.known_people.sender if self.known_people is not None else None


async def find_evidence(ctx: MailboxContext, mailbox: Mailbox, outline: Outline) -> Traced | None:
    """The thread that the mail belongs to; None where nothing leads to one. Raises what the provider raises."""
    search = _Search(ctx, mailbox, outline)
    return await _by_ancestors(search) or await _by_conversation(search)


async def _by_ancestors(search: _Search) -> Traced | None:
    """The thread that the tags lead to; where they lead to several, one that syncs wins over one that was stopped.

    A tag that proves nothing by itself counts only where no other does, and a contact of the thread is on the mail.
    """
    stopped: Traced | None = None
    doubtful: dict[str, Traced] = {}
    for ancestor in admission.ancestors(search.outline):
        index = await find_index(search.ctx, ancestor.internet_message_id)
        belongs = admission.decide_by_ancestor(ancestor, index.value if index else None)
        if index is None or belongs is None or _is_settled(belongs, index.value, stopped, doubtful):
            continue
        thread = await search.ctx.find(Thread, belongs.thread_id)
        if thread is None:
            stopped = stopped or Traced(belongs, syncs=False)
            continue
        syncs = admission.thread_takes(thread.value, search.mailbox, search.outline.received_at)
        found = Traced(belongs, syncs, thread)
        if not admission.stands_alone(index.value, search.outline, thread.value):
            doubtful[belongs.thread_id] = found
        elif syncs:
            return found
        else:
            stopped = stopped or found
    return await _among_doubtful(search, doubtful, stopped)


def _is_settled(
    belongs: admission.Belongs, index: MessageIndex, stopped: Traced | None, doubtful: dict[str, Traced]
) -> bool:
    """Whether one more tag that leads to this thread says nothing new."""
    if stopped is not None and belongs.thread_id == stopped.belongs.thread_id:
        return True
    return not index.admits_alone and belongs.thread_id in doubtful


async def _among_doubtful(
    search: _Search, doubtful: dict[str, Traced], stopped: Traced | None
) -> Traced | None:
    """The first thread of these that a contact on the mail confirms; one that syncs wins over one that was stopped."""
    for found in sorted(doubtful.values(), key=lambda found: not found.syncs):
        if found.thread is None or (stopped is not None and not found.syncs):
            continue
        if admission.has_contact(await search.people(), search.mailbox, found.thread.value):
            return Traced(found.belongs, found.syncs, found.thread, search.sender)
    return stopped


async def _by_conversation(search: _Search) -> Traced | None:
    """The people of the mail are asked for only when its conversation_id is known."""
    ctx, mailbox, outline = search.ctx, search.mailbox, search.outline
    if outline.conversation_id is None:
        return None
    candidates = await ctx.services.ledger.threads_of_conversation(ctx.ref, outline.conversation_id)
    if not candidates:
        return None
    people = await search.people()
    belongs = admission.decide_by_conversation(mailbox, people, candidates, outline.received_at)
    if belongs is None:
        return None
    taking = [
        thread.thread_id
        for thread in candidates
        if admission.thread_takes(thread, mailbox, outline.received_at)
    ]
    return Traced(belongs, belongs.thread_id in taking, sender=search.sender)
