"""Mail of a thread that cannot be decided on yet: noted so that answers to it are found, and looked at again (R14).

The first look writes the seen row and the Message-ID's row. When the quick looks are over, the CRM is told that the
message does not sync; from then on it is looked at ever more rarely, as long as its thread syncs.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Final

from shared.domain import admission, copies, own_addresses
from shared.domain.errors import ItemGone, MailboxClosed
from shared.domain.held import waited, waits_out
from shared.domain.inbound import Hold, Skip
from shared.domain.model import (
    Address,
    Evidence,
    FetchedMessage,
    Held,
    Mailbox,
    MessageIndex,
    Outline,
    People,
    Reason,
    Seen,
    Task,
    TaskKind,
    Thread,
)
from shared.domain.retries import Failed
from shared.domain.threads import with_conversation
from shared.mailbox_context import MailboxContext
from shared.state.codec import Stored
from shared.state.ledger import Change, new
from shared.sync.events.announce import activity
from shared.sync.inbound.held_rows import (
    Known,
    held_as,
    looks_are_over,
    message_id_of,
    next_held,
    read_again,
    was_told,
)
from shared.sync.inbound.judge_files import Judged
from shared.sync.inbound.known_copies import find_copies
from shared.sync.inbound.look_back import note_look_back
from shared.sync.inbound.record_import import record_import
from shared.sync.mailbox.access import access_of
from shared.sync.mailbox.failures import attempt_one_mail
from shared.sync.mailbox.thread_rows import find_index, plan_conversation_rows, plan_index_row
from shared.sync.mailbox.unit_of_work import change
from shared.sync.queueing.given_up import add_dead_letter

FAILING_NOW: Final = timedelta(minutes=31)


async def hold_unreadable(
    ctx: MailboxContext,
    mailbox: Mailbox,
    outline: Outline,
    belongs: admission.Belongs,
    known: Known,
    failed: Failed,
) -> Hold | Skip:
    """What nobody can read is held; once the quick looks are over the CRM is told, for this look or an earlier one.

    But not of one of which a copy came in, nor twice of copies that nobody can read: either may become readable.
    """
    reason, held = Reason.MESSAGE_UNREADABLE, known.held.value.held if known.held is not None else None
    if held is None or not looks_are_over(known.held) or await was_told(ctx, known.held):
        return await hold_mail(ctx, mailbox, outline, belongs, known, reason)
    beside = await _count_failing_beside(ctx, known)
    readable = await _others_are_readable(ctx, outline, belongs, known)
    if waits_out(failed.error, held.since, failed.at, beside, others_readable=readable):
        return await hold_mail(ctx, mailbox, outline, belongs, known, reason, waited(held, failed.at))
    task = Task(failed.at, TaskKind.LOOK_AGAIN, held_as(known.held, outline))
    await add_dead_letter(ctx, task, failed.error)
    people = await attempt_one_mail(
        ctx, lambda: ctx.services.mail.people(access_of(ctx), outline.graph_message_id)
    )
    message = _all_that_is_known(outline, None if isinstance(people, Failed) else people)
    told = await _tell(ctx, mailbox, message, belongs, known)
    if told is None:
        return await hold_mail(ctx, mailbox, outline, belongs, known, reason)
    return Hold(next_held(ctx, mailbox, outline, known.held).look_at) if told else Skip(Reason.COPY)


async def _tell(
    ctx: MailboxContext, mailbox: Mailbox, message: FetchedMessage, belongs: admission.Belongs, known: Known
) -> bool | None:
    """Tell that it does not sync. False: a copy of it came in; None: nobody can read a copy either, or one came now."""
    contacts = known.thread.value.participants if known.thread else ()
    by_user = own_addresses.is_by_user(message, mailbox, contacts)
    authors = copies.authors_of(message, mailbox, by_user=by_user)
    found = await find_copies(ctx, message.outline, known, authors)
    if found.settled:
        return False
    if found.unread is not None:
        return None
    known = replace(known, copies=found.same)
    recorded = await record_import(
        ctx, mailbox.generation, message, Judged(unreadable=True), belongs, known, authors=authors
    )
    return True if recorded else None


async def tell_vanished(ctx: MailboxContext, stored: Stored[Seen]) -> None:
    """A mail of a thread that went before anybody could read it is told as one that could not be read.

    Not of one of which nobody knows whose it is, nor twice, nor where its thread takes no mail any more.
    """
    seen, held, mailbox = stored.value, stored.value.held, ctx.mailbox
    if mailbox is None or held is None or not seen.thread_id or await was_told(ctx, stored):
        return
    own = await find_index(ctx, held.internet_message_id)
    at = own.value.at if own is not None and own.value.message_id == seen.message_id else None
    outline = Outline(seen.graph_message_id, held.internet_message_id, None, is_draft=False, received_at=at)
    belongs = admission.Belongs(seen.thread_id, held.evidence or Evidence.CONVERSATION)
    with suppress(MailboxClosed):
        await _tell(ctx, mailbox, _all_that_is_known(outline, None), belongs, Known(own, None, stored))


async def _others_are_readable(
    ctx: MailboxContext, outline: Outline, belongs: admission.Belongs, known: Known
) -> bool | None:
    """Whether the newest mail of the thread that synced can be read now: then the other one has trouble of its own.

    None where there is none any more. Costs a call, and only before something would be told.
    """
    thread = known.thread or await ctx.find(Thread, belongs.thread_id)
    newest = thread.value.newest_graph_message_id if thread is not None else None
    if newest is None or newest == outline.graph_message_id:
        return None
    try:
        read = await attempt_one_mail(ctx, lambda: ctx.services.mail.fetch(access_of(ctx), newest))
    except ItemGone:
        return None
    return not isinstance(read, Failed)


async def _count_failing_beside(ctx: MailboxContext, known: Known) -> int:
    """How many other mails of the mailbox are between their first looks now: one fails alone, many in an outage."""
    name = known.held.value.graph_message_id if known.held is not None else ""
    due = await ctx.services.ledger.tasks(ctx.ref, ctx.now() + FAILING_NOW)
    kinds = {TaskKind.LOOK_AGAIN, TaskKind.RETRY_IMPORT}
    return len({task.value.ref for task in due if task.value.kind in kinds and task.value.ref != name})


async def hold_mail(
    ctx: MailboxContext,
    mailbox: Mailbox,
    outline: Outline,
    belongs: admission.Belongs,
    known: Known,
    reason: Reason,
    again: Held | None = None,
) -> Hold:
    """Note it, its Message-ID and its conversation; nothing where somebody else has decided, or the thread stopped.

    `again`: when it is looked at again, where that is not as for every look in vain.

    Raises MailboxClosed, RaceLost.
    """
    again = replace(again or next_held(ctx, mailbox, outline, known.held), evidence=belongs.evidence)
    # Loses to other writes of the fence, of the thread, and to another import of this mail.
    async for tx in change(ctx, mailbox.generation, as_read=True):
        fresh = known if tx.first else await read_again(ctx, outline, known)
        rows = await _plan_rows(ctx, tx.mailbox, outline, belongs, fresh, reason, again) if fresh else None
        if fresh is None or rows is None:
            tx.abandon()
        else:
            note_look_back(tx, fresh.look_back, ctx.now())
            tx.add(*rows)
    return Hold(again.look_at)


async def _plan_rows(
    ctx: MailboxContext,
    mailbox: Mailbox,
    outline: Outline,
    belongs: admission.Belongs,
    known: Known,
    reason: Reason,
    again: Held,
) -> list[Change] | None:
    stored = known.thread or await ctx.find(Thread, belongs.thread_id)
    if stored is None or not admission.thread_is_active(stored.value, mailbox):
        return None
    now, message_id = ctx.now(), message_id_of(ctx, outline, known.held)
    name, thread_id = held_as(known.held, outline), stored.value.thread_id
    row = Seen(name, message_id, thread_id, reason, now, again)
    if known.held is not None and known.held.value.thread_id:
        return [known.held.changed(row)]
    thread = with_conversation(stored.value, outline.conversation_id)
    # Nobody knows yet who wrote it.
    index = MessageIndex(
        outline.internet_message_id or "",
        thread_id,
        message_id,
        outline.received_at or now,
        copies.NOBODY,
        admits_alone=False,
    )
    return [
        known.held.changed(row) if known.held is not None else new(row),
        *([stored.changed(thread)] if thread != stored.value else []),
        *await plan_conversation_rows(ctx, stored.value, thread),
        *plan_index_row(known.own, index),
        activity(ctx, "held", thread_id, message_id, reason),
    ]


def _all_that_is_known(outline: Outline, people: People | None) -> FetchedMessage:
    """A mail of which nobody can read more than its outline and, where Graph gives them, its people."""
    nobody: tuple[Address, ...] = ()
    return FetchedMessage(
        outline=outline,
        sender=people.sender if people else None,
        to=people.to if people else nobody,
        cc=people.cc if people else nobody,
        bcc=nobody,
        reply_to=nobody,
        subject="",
        html=None,
        text=None,
        sent_at=None,
        received_at=outline.received_at,
        has_attachments=False,
        message_class=people.message_class if people else None,
    )
