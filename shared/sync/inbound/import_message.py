"""Bring one mail of the mailbox into its CRM thread, or record why not.

In this order, and nothing is read before it is needed: the mailbox and the seen row, the outline, the evidence, only
then the mail itself, its files' metadata, their bytes; one transaction; the CRM is told at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, assert_never

from shared.domain import admission, copies, inbound, own_addresses
from shared.domain.errors import ItemGone, MailboxClosed, PostbraidError, RowExists
from shared.domain.held import fails_alone, passes_soon
from shared.domain.model import (
    FetchedMessage,
    Mailbox,
    MessageIndex,
    Outline,
    Reason,
    Seen,
    Task,
    TaskKind,
    Thread,
)
from shared.domain.retries import Failed
from shared.mailbox_context import MailboxContext
from shared.state.codec import Stored
from shared.state.ledger import new
from shared.sync.inbound.find_evidence import Traced, find_evidence
from shared.sync.inbound.held_rows import Known, looks_are_over, message_id_of, read_again, was_told
from shared.sync.inbound.hold_mail import hold_mail, hold_unreadable
from shared.sync.inbound.judge_files import judge_files
from shared.sync.inbound.known_copies import Copies, find_copies
from shared.sync.inbound.look_back import plan_look_back
from shared.sync.inbound.read_bounce import judge_bounce, read_bounce
from shared.sync.inbound.record_import import record_import
from shared.sync.mailbox.access import access_of
from shared.sync.mailbox.failures import attempt_one_mail
from shared.sync.mailbox.grant import note_working_call
from shared.sync.mailbox.thread_rows import find_index
from shared.sync.mailbox.unit_of_work import write
from shared.sync.outbound.confirm_send import confirm_send
from shared.sync.outbound.known_sends import (
    find_oldest_unseen_copy,
    find_send_of_copy,
    find_unfinished_send,
    is_returned_send,
)


@dataclass(frozen=True, slots=True)
class Found:
    """A mail that a notification or a sweep pointed at; `outline` is there when it was read already.

    `hinted`: a notification alone says so, and a sweep will come upon it as well. `attempts`: failures before this
    look. `held`: its seen row, where it is looked at again (R14). `listed_since`: since when the sweep that found it
    lists everything. `seeks_original`: a list's copy lets the mail that it is a copy of go first.
    """

    graph_message_id: str
    generation: int | None = None
    outline: Outline | None = None
    looks: int = 0
    hinted: bool = False
    attempts: int = 0
    held: Stored[Seen] | None = None
    listed_since: datetime | None = None
    seeks_original: bool = True


MOST_ORIGINALS: Final = 5

Decision = inbound.Skip | inbound.Wait | inbound.Import | inbound.Hold


async def import_message(ctx: MailboxContext, found: Found) -> Decision:
    """Decide on one mail and carry the decision out.

    Raises Throttled, Unavailable, GrantDead, MailboxUnusable, StoreUnavailable: nothing was recorded, try again.
    """
    mailbox = await ctx.read()
    seen = found.held or await ctx.find(Seen, found.graph_message_id)
    if found.outline is not None and seen is not None and _is_shown_by_a_list(seen.value):
        found = replace(found, held=seen)  # a list shows what nobody could read: now it may say whose it is
    first = inbound.decide_before_looking(
        mailbox,
        found.generation,
        seen.value if seen else None,
        ctx.now(),
        hinted=found.hinted,
        again=found.held is not None,
    )
    if not isinstance(first, inbound.Look):
        return first
    assert mailbox is not None  # noqa: S101 - the rule has passed over a mailbox that was never connected
    try:
        return await _look(ctx, mailbox, found)
    except ItemGone:
        # A draft of ours that has left: its send looks for what became of it.
        if await find_unfinished_send(ctx, found.graph_message_id):
            return inbound.Skip(Reason.DRAFT)
        moved = await _find_moved(ctx, found)
        if moved is not None:
            return await _look(ctx, mailbox, moved)
        return await _look_for_outage(ctx, inbound.decide_missing(found.looks, ctx.now()))
    except MailboxClosed:
        return inbound.Skip(Reason.DISCONNECTED)


async def _look_for_outage(ctx: MailboxContext, decision: inbound.Wait | inbound.Skip) -> Decision:
    """Before a mail counts as vanished something is asked for that is there: in an outage all may be answered so.

    No sweep need come upon it again. Raises what the provider raises.
    """
    if isinstance(decision, inbound.Skip):
        await ctx.services.mail.probe(access_of(ctx))
    return decision


def _is_shown_by_a_list(seen: Seen) -> bool:
    """Whether a held mail is looked at because a list shows it: not one over which workers died."""
    return seen.held is not None and not seen.thread_id and not seen.held.deaths


async def _find_moved(ctx: MailboxContext, found: Found) -> Found | None:
    """A held mail under the id that a move has given it: a move by Outlook for Windows changes even immutable ids.

    Outlines alone are read, by the Message-ID that evidence has shown to be of a thread. Source: docs issue 21247.
    """
    held = found.held.value.held if found.held is not None else None
    if held is None or held.internet_message_id is None:
        return None
    same = await ctx.services.mail.find_by_message_id(access_of(ctx), held.internet_message_id)
    outlines = [
        located.outline
        for located in same
        if not located.outline.is_draft and located.outline.graph_message_id != found.graph_message_id
    ]
    if not outlines:
        return None
    # Some programs use one Message-ID for many mails, private ones too; a move leaves the conversation as it was.
    thread = await ctx.find(Thread, found.held.value.thread_id) if found.held is not None else None
    known = thread.value.conversation_ids if thread is not None else ()
    moved = min(outlines, key=lambda outline: outline.conversation_id not in known)
    return replace(found, graph_message_id=moved.graph_message_id, outline=moved)


async def _read_outline(ctx: MailboxContext, found: Found) -> Outline:
    """By its id; a held mail that nobody can read even so is found in a list, by its Message-ID."""
    try:
        return await ctx.services.mail.outline(access_of(ctx), found.graph_message_id)
    except PostbraidError as err:
        held = found.held.value.held if found.held is not None else None
        if held is None or held.internet_message_id is None or not fails_alone(err):
            raise
        listed = await ctx.services.mail.find_by_message_id(access_of(ctx), held.internet_message_id)
        same = [hit.outline for hit in listed if hit.outline.graph_message_id == found.graph_message_id]
        if not same:
            raise
        return same[0]


async def _look(ctx: MailboxContext, mailbox: Mailbox, found: Found) -> Decision:
    """The outline, and what it says."""
    outline = found.outline
    if outline is None:
        outline = await _read_outline(ctx, found)
        await note_working_call(ctx)
    decision = inbound.decide_by_outline(outline)
    match decision:
        case inbound.Skip():
            return decision
        case inbound.Echo(key):
            return await confirm_send(ctx, key, outline)
        case inbound.Trace():
            return await _trace(ctx, mailbox, outline, found)
        case _:
            assert_never(decision)


async def _trace(ctx: MailboxContext, mailbox: Mailbox, outline: Outline, found: Found) -> Decision:
    """The evidence, and what it leads to."""
    own = await find_index(ctx, outline.internet_message_id)
    if own is not None:
        key = await find_unfinished_send(ctx, outline.graph_message_id, outline.internet_message_id)
        if key is not None:
            return await confirm_send(ctx, key, outline)
    traced = await find_evidence(ctx, mailbox, outline)
    if traced is None:
        now = ctx.now()
        asked = inbound.may_answer_an_unseen_copy(outline, mailbox, found.looks, now)
        left_at = await find_oldest_unseen_copy(ctx) if asked else None
        since = ctx.by_graph(left_at) if left_at is not None else None
        return inbound.decide_unknown(outline, found.looks, now, since)
    if not traced.syncs:
        return inbound.Skip(Reason.THREAD_TAKES_NO_MAIL)
    if traced.sender is not None:
        by_user = own_addresses.is_named(traced.sender.address, mailbox)
        author = copies.author_of(traced.sender, by_user=by_user)
        copied = await find_copies(ctx, outline, Known(own, traced.thread, found.held), [author])
        if copied.settled:
            return inbound.Skip(Reason.COPY)
    return await _admit(ctx, mailbox, outline, traced, own, found)


async def _admit(
    ctx: MailboxContext,
    mailbox: Mailbox,
    outline: Outline,
    traced: Traced,
    own: Stored[MessageIndex] | None,
    found: Found,
) -> Decision:
    """Evidence says that it is ours: from here every end is told, also that nobody can read it."""
    look_back = await plan_look_back(ctx, outline, found.held, found.listed_since)
    known = Known(own, traced.thread, found.held, look_back)

    async def bring_in() -> Decision:
        judged, done = known, None
        while done is None:
            done = await _bring_in(ctx, ctx.mailbox or mailbox, outline, traced.belongs, judged, found)
            if done is None:
                again = await read_again(ctx, outline, judged)
                if again is None:
                    return inbound.Skip(Reason.ALREADY_SEEN)
                judged = replace(again, thread=await ctx.find(Thread, traced.belongs.thread_id))
        return done

    done = await attempt_one_mail(ctx, bring_in)
    if not isinstance(done, Failed):
        return done
    if found.held is None and passes_soon(done.error, found.attempts):
        raise done.error
    key = await find_unfinished_send(ctx, outline.graph_message_id, outline.internet_message_id)
    if key is not None:
        return await confirm_send(ctx, key, outline)
    return await hold_unreadable(ctx, mailbox, outline, traced.belongs, known, done)


async def _bring_in(
    ctx: MailboxContext,
    mailbox: Mailbox,
    outline: Outline,
    belongs: admission.Belongs,
    known: Known,
    found: Found,
) -> Decision | None:
    """The mail whole, its files, one transaction; the user's own may still turn out to be a send of ours.

    None: a copy of it has become known meanwhile.
    """
    message = await _fetch(ctx, outline)
    if own_addresses.is_place_needed(message, mailbox):
        in_sent_items = await ctx.services.mail.is_in_sent_items(access_of(ctx), message)
        message = replace(message, in_sent_items=in_sent_items)
    contacts = known.thread.value.participants if known.thread else ()
    by_user = own_addresses.is_by_user(message, mailbox, contacts)
    authors = copies.authors_of(message, mailbox, by_user=by_user)
    copied = await _recognise(ctx, outline, belongs, known, message, authors)
    if not isinstance(copied, Copies):
        return copied
    seeks = found.seeks_original and copies.may_come_from_a_list(message, mailbox, contacts)
    if seeks and await _bring_original_first(ctx, outline):
        return None
    read = await read_bounce(ctx, message)
    if read is not None:
        looks_left = found.looks if known.held is None else None
        told_in = await judge_bounce(ctx, mailbox, belongs, message, read, looks_left)
        if not isinstance(told_in, admission.Belongs):
            return told_in
        belongs = told_in
    judged = await judge_files(
        ctx, message, message_id_of(ctx, outline, known.held), final=looks_are_over(known.held)
    )
    told_before = judged.holds_on and (copied.unread is not None or await was_told(ctx, known.held))
    if judged.may_change or told_before:
        return await hold_mail(ctx, mailbox, outline, belongs, known, Reason.ATTACHMENT_UNREADABLE)
    if by_user and known.held is not None:
        # Until now an answer to it counted only with a contact on it: what somebody else answered was foreign.
        known = replace(known, look_back=await plan_look_back(ctx, outline, None, None))
    known = await _in_place_of(ctx, outline, known, copied)
    recorded = await record_import(
        ctx, mailbox.generation, message, judged, belongs, known, read, authors=authors
    )
    return inbound.Import(belongs.thread_id, belongs.evidence) if recorded else None


async def _recognise(
    ctx: MailboxContext,
    outline: Outline,
    belongs: admission.Belongs,
    known: Known,
    message: FetchedMessage,
    authors: Sequence[str],
) -> Decision | Copies:
    """A send of ours, or a copy of what is known, to which nothing is to be added; else what is known of its copies."""
    by_user = authors[0] == copies.THE_USER
    if by_user:
        key = await find_send_of_copy(ctx, belongs.thread_id, message)
        if key is not None:
            return await confirm_send(ctx, key, outline)
    copied = await find_copies(ctx, outline, known, authors)
    returned = by_user and not copied.settled and await is_returned_send(ctx, belongs.thread_id, message)
    return inbound.Skip(Reason.COPY) if copied.settled or returned else copied


async def _bring_original_first(ctx: MailboxContext, outline: Outline) -> bool:
    """Import what has the same Message-ID and was not looked at yet: whether any came in. Costs a call.

    Each is admitted by evidence of its own.
    """
    if outline.internet_message_id is None:
        return False
    located = await ctx.services.mail.find_by_message_id(access_of(ctx), outline.internet_message_id)
    others = [each.outline for each in located if each.outline.graph_message_id != outline.graph_message_id]
    came = False
    for other in others[:MOST_ORIGINALS]:
        if not await ctx.find(Seen, other.graph_message_id):
            found = Found(other.graph_message_id, outline=other, seeks_original=False)
            came = isinstance(await import_message(ctx, found), inbound.Import) or came
    return came


async def _in_place_of(ctx: MailboxContext, outline: Outline, known: Known, copied: Copies) -> Known:
    """A mail that can be read is told as the message of a copy that could not; not where it was told itself."""
    same = (*copied.same, message_id_of(ctx, outline, known.held))
    if copied.unread is None or await was_told(ctx, known.held):
        return replace(known, copies=same)
    return replace(known, held=copied.unread, copies=same)


async def _fetch(ctx: MailboxContext, outline: Outline) -> FetchedMessage:
    """The mail whole; one that is gone was perhaps moved, which may change even its immutable id. Raises ItemGone."""
    mail, access = ctx.services.mail, access_of(ctx)
    try:
        return await mail.fetch(access, outline.graph_message_id)
    except ItemGone:
        wanted = outline.internet_message_id
        located = await mail.find_by_message_id(access, wanted) if wanted else ()
        moved = inbound.after_move(outline, [each.outline for each in located])
        if moved is None:
            raise
        return await mail.fetch(access, moved)


async def import_later(
    ctx: MailboxContext, found: Found, until: datetime, attempts: int = 0, looks: int = 0
) -> None:
    """Note that a mail is to be looked at again (E-1); where it is noted already, that stands."""
    task = Task(until, TaskKind.RETRY_IMPORT, found.graph_message_id, attempts, ctx.now(), looks)
    with suppress(RowExists):
        # Loses to nobody but another hint of the same second.
        await write(ctx, new(task))
