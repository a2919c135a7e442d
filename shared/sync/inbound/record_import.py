"""All that one imported mail changes, in the one transaction that brings it in (E-16)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from shared.domain import admission, copies, own_addresses, renewals
from shared.domain.message_kinds import AUTOMATIC_KINDS, UNANSWERABLE_KINDS, kind_of
from shared.domain.model import (
    Direction,
    Event,
    Evidence,
    FetchedMessage,
    Mailbox,
    MessageIndex,
    MessageKind,
    MessageRecord,
    MessageStatus,
    Origin,
    Outline,
    Reason,
    Seen,
    Thread,
    ThreadMessage,
)
from shared.domain.threads import with_conversation, with_newest, with_people
from shared.mailbox_context import MailboxContext
from shared.state.codec import Stored
from shared.state.ledger import Change, new
from shared.sync.events.announce import activity, render_not_synced, render_synced
from shared.sync.events.rendering import told_again
from shared.sync.inbound.held_rows import Known, held_as, message_id_of, plan_seen_rows, read_again, was_told
from shared.sync.inbound.judge_files import Judged
from shared.sync.inbound.look_back import note_look_back
from shared.sync.inbound.read_bounce import Bounced, ReadBounce, find_bounced
from shared.sync.mailbox.thread_rows import plan_conversation_rows, plan_index_row
from shared.sync.mailbox.unit_of_work import Transaction, change


async def record_import(
    ctx: MailboxContext,
    generation: int,
    message: FetchedMessage,
    judged: Judged,
    belongs: admission.Belongs,
    known: Known,
    read: ReadBounce | None = None,
    *,
    authors: Sequence[str],
) -> bool:
    """One transaction, then the CRM. Nothing where somebody else brought it in, or the thread was stopped.

    `read` is what a bounce says, `authors` by whom the mail may be. What was read on the way is good for the first try;
    after that all is read anew. False, and nothing is written: a copy of it has become known meanwhile.
    Raises MailboxClosed, RaceLost.
    """
    message, judged_again = judged.message or message, False
    # Loses to other writes of the fence, of the thread, of its Message-ID, and to another import of this mail.
    async for tx in change(ctx, generation, as_read=True):
        fresh = known if tx.first else await read_again(ctx, message.outline, known)
        if fresh and not tx.first and judged.holds_on and await was_told(ctx, fresh.held):
            fresh = None  # another look at it has told the CRM
        judged_again = fresh is not None and _has_new_copies(ctx, message.outline, fresh, authors)
        rows = (
            await _plan_rows(ctx, tx, message, judged, belongs, fresh, read)
            if fresh and not judged_again
            else None
        )
        if fresh is None or rows is None:
            tx.abandon()
            continue
        note_look_back(tx, fresh.look_back, ctx.now())
        tx.add(*rows)
    return not judged_again


def _has_new_copies(ctx: MailboxContext, outline: Outline, known: Known, authors: Sequence[str]) -> bool:
    """Whether copies are known of which nobody knew when the mail was judged."""
    index, message_id = (
        known.own.value if known.own is not None else None,
        message_id_of(ctx, outline, known.held),
    )
    same = copies.find_same(index, authors, outline.received_at, message_id)
    return not set(same) <= set(known.copies)


async def _plan_rows(
    ctx: MailboxContext,
    tx: Transaction,
    message: FetchedMessage,
    judged: Judged,
    belongs: admission.Belongs,
    known: Known,
    read: ReadBounce | None,
) -> list[Change] | None:
    """The rows to write; None when the thread was stopped meanwhile.

    The mailbox of the transaction is noted as active, and an address by which the mail names its user as one of its
    own. What is known is not read anew: the transaction finds out if it has changed.
    """
    outline, mailbox, now = message.outline, tx.mailbox, ctx.now()
    stored = known.thread or await ctx.find(Thread, belongs.thread_id)
    if stored is None or not admission.thread_is_active(stored.value, mailbox):
        return None
    message_id = message_id_of(ctx, outline, known.held)
    before = await ctx.find(MessageRecord, message_id) if known.held is not None else None
    contacts, kind, reason = stored.value.participants, _kind(message, read), judged.reason
    bounced = (
        await find_bounced(ctx, stored.value, message, read) if kind is MessageKind.BOUNCE and read else None
    )
    direction = own_addresses.direction_of(message, mailbox, contacts)
    index = _index_row(message, stored.value, message_id, direction, judged, now)
    active = renewals.with_activity(mailbox, now, synced=reason is None)
    tx.mailbox = own_addresses.with_learned_from(active, message, contacts)
    thread = _with_message(stored.value, message, direction, kind, judged, now)
    event = await _render_event(
        ctx, mailbox, thread, message, judged, belongs.evidence, message_id, direction, kind, bounced
    )
    if before is not None:
        event = told_again(ctx, event, before.value.tellings + 1)
    status = _status(reason, direction)
    seen = Seen(outline.graph_message_id, message_id, thread.thread_id, reason, now)
    record = MessageRecord(
        message_id,
        thread.thread_id,
        direction,
        Origin.MAILBOX,
        status,
        event.ref,
        now,
        reason,
        files=judged.files,
        kind=kind,
        held_as=held_as(known.held, outline) if judged.holds_on else None,
        internet_message_id=outline.internet_message_id,
    )
    return [
        *await plan_seen_rows(ctx, mailbox, seen, outline, known.held),
        *_plan_message_rows(record, before, now),
        stored.changed(thread),
        *await plan_conversation_rows(ctx, stored.value, thread),
        *plan_index_row(known.own, index),
        new(event),
        *(bounced.changes(message_id, now) if bounced is not None else ()),
        activity(ctx, "bounced" if bounced else status.value, thread.thread_id, message_id, reason),
    ]


def _kind(message: FetchedMessage, read: ReadBounce | None) -> MessageKind:
    """A delivery report that tells of success is no bounce; its part says so, and no header does."""
    return MessageKind.AUTOMATIC_REPLY if read is not None and read.report.delivered else kind_of(message)


def _plan_message_rows(
    record: MessageRecord, before: Stored[MessageRecord] | None, now: datetime
) -> list[Change]:
    """A message's record and its place in the thread; told again, it keeps its place and when it began."""
    if before is None:
        return [new(record), new(ThreadMessage(record.thread_id, record.message_id, now))]
    was = before.value
    return [
        before.changed(
            replace(
                record,
                created_at=was.created_at,
                tellings=was.tellings + 1,
                updated_at=now,
                bounces=was.bounces,
            )
        )
    ]


def _status(reason: Reason | None, direction: Direction) -> MessageStatus:
    if reason is not None:
        return MessageStatus.NOT_SYNCED
    return MessageStatus.SENT if direction is Direction.OUTBOUND else MessageStatus.RECEIVED


def _index_row(
    message: FetchedMessage,
    thread: Thread,
    message_id: str,
    direction: Direction,
    judged: Judged,
    now: datetime,
) -> MessageIndex:
    """What its Message-ID leads to. Only of what was written here it is certain that its author chose it.

    A From line is forged easily: what names the user and came from outside may be somebody else's, and of what nobody
    can read nobody knows where it came from.
    """
    by_user = direction is Direction.OUTBOUND
    return MessageIndex(
        message.outline.internet_message_id or "",
        thread.thread_id,
        message_id,
        message.outline.received_at or message.received_at or now,
        copies.author_of(message.sender, by_user=by_user),
        admits_alone=by_user and not judged.unreadable and not own_addresses.has_travelled(message),
    )


async def _render_event(
    ctx: MailboxContext,
    mailbox: Mailbox,
    thread: Thread,
    message: FetchedMessage,
    judged: Judged,
    evidence: Evidence,
    message_id: str,
    direction: Direction,
    kind: MessageKind,
    bounced: Bounced | None,
) -> Event:
    if judged.reason is not None:
        return await render_not_synced(
            ctx, mailbox, thread, message, judged.problems, evidence, message_id, direction, kind
        )
    return await render_synced(
        ctx, mailbox, thread, message, judged.files, evidence, message_id, direction, kind,
        bounced.data() if bounced is not None else None,
    )  # fmt: skip


def _with_message(
    thread: Thread,
    message: FetchedMessage,
    direction: Direction,
    kind: MessageKind,
    judged: Judged,
    now: datetime,
) -> Thread:
    """A CRM reply answers the newest synced message, so one that did not sync moves nothing but the sequence (R7).

    Who wrote it is a contact of the thread from now on; who only received it is not. By a machine's mail nobody joins
    the thread, and no reply answers it (RFC 3834, 2). Nor by one that nobody can read: it may be a machine's, or the
    user's own under an address that is not known yet.
    """
    joins = direction is Direction.INBOUND and kind not in AUTOMATIC_KINDS and not judged.unreadable
    writers = [message.sender.address] if message.sender and joins else []
    grown = with_people(replace(thread, sequence=thread.sequence + 1), writers)
    grown = with_conversation(grown, message.outline.conversation_id)
    if judged.reason is not None or kind in UNANSWERABLE_KINDS:
        return grown
    at = message.received_at or message.sent_at or now
    return with_newest(grown, message.outline.graph_message_id, message.outline.internet_message_id, at)
