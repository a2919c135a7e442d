"""The sweep: outlines of everything modified since the cursor, so that a lost notification loses nothing (E-25)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count

from shared.domain import admission, inbound, renewals
from shared.domain.audits import with_audit_planned
from shared.domain.connection import is_said_to_deny, respect_pause, with_working_call
from shared.domain.errors import (
    Ambiguous,
    MailboxClosed,
    PostbraidError,
    Throttled,
    Unavailable,
    WorkersDied,
)
from shared.domain.listing import PAGE, Ask, Listing, name_of_row
from shared.domain.message_ids import normal_message_id
from shared.domain.model import Mailbox, Outline, Reason, Right, SweepPlace, TaskKind
from shared.domain.retries import Failed, PutOff, waits_for_somebody
from shared.mailbox_context import MailboxContext
from shared.sync.inbound.deadly_mail import hold_deadly, is_deadly, note_mail
from shared.sync.inbound.import_message import Found, import_later, import_message
from shared.sync.inbound.list_changes import read_page
from shared.sync.mailbox.failures import attempt
from shared.sync.mailbox.grant import note_grant_alive, tell_trouble
from shared.sync.mailbox.subscriptions import (
    plan_renewal,
    recreate_subscription,
    renew_subscription,
    tell_if_lost,
)
from shared.sync.mailbox.unit_of_work import change

PAGES_A_SLICE = 20
MOST_TASKS = 500
LONGEST_SLICE = timedelta(minutes=4)


@dataclass(slots=True)
class _Slice:
    """One slice of a sweep: the mailbox when it began, where it reads from, what it saw, whether more is to come.

    `asked_at`: when it began by Graph's clock, which is what the cursor names. `decided`: the rows of the page in hand
    that are done with, by name, and when each was changed.
    """

    mailbox: Mailbox
    since: datetime
    began_at: datetime
    asked_at: datetime
    listing: Listing
    late: int = 0
    taken: set[str] = field(default_factory=set)
    decided: dict[str, datetime | None] = field(default_factory=dict)
    foreign: dict[str, list[Outline]] = field(default_factory=dict)
    goes_on: bool = False
    stopped_by: str | None = None
    survived: bool = False

    def gives_way(self, now: datetime) -> bool:
        """Whether a page that is refused is asked for in smaller ones: not at the first failure, which may be any."""
        return self.mailbox.sweep_failures > 0 and now - self.began_at <= LONGEST_SLICE

    @property
    def place(self) -> SweepPlace | None:
        """Where the next slice goes on; None at the end."""
        place = self.listing.place
        if place is None:
            return None
        until = max(filter(None, self.decided.values()), default=None)
        return replace(place, taken=tuple(self.decided), taken_until=until)

    @property
    def cursor(self) -> datetime:
        """How far everything is stored: all of it, or as far as was read."""
        place = self.place if self.goes_on else None
        return place.since if place is not None else self.asked_at

    @property
    def moved_on(self) -> bool:
        """Whether the next slice would have less to do than this one had."""
        place = self.place
        return (
            place is not None
            and place != SweepPlace(self.since, 0, PAGE)
            and place != self.mailbox.sweep_place
        )

    @property
    def listed_since(self) -> datetime:
        """Since when this slice lists everything: what an earlier one has decided on it passes over."""
        place = renewals.place_of_sweep(self.mailbox, self.since)
        return (place.taken_until if place is not None else None) or self.since


async def sweep_if_due(ctx: MailboxContext) -> None:
    """Sweep, unless somebody did: a doubled message costs one read."""
    mailbox = ctx.mailbox
    if mailbox is not None and renewals.sweep_is_free(mailbox, ctx.now()):
        await sweep_mailbox(ctx)


async def sweep_mailbox(ctx: MailboxContext) -> None:
    """One sweep, if it is due and nobody is at it, in a slice of about PAGES_A_SLICE pages; then the subscription.

    In this order: whatever is wrong with the subscription, mail is read. The cursor follows behind what is stored.
    Raises what the provider raises; the cursor then stands behind the last page that is stored, and the sweep is free.
    Raises WorkersDied where five workers died in it, at no mail that can be passed by.
    """
    mailbox = await _take_lease(ctx)
    if mailbox is None:
        return
    if renewals.sweep_kills(mailbox):
        raise WorkersDied
    part = _begin(mailbox, ctx.now(), ctx.graph_now())
    try:
        await _read_pages(ctx, part)
    except PostbraidError as err:
        if not isinstance(err, Throttled):
            part.listing.forget_search()
        await _release_lease(ctx, part)
        raise
    finished = await _finish(ctx, part)
    done = await attempt(ctx, lambda: _look_after_subscription(ctx, finished))
    if isinstance(done, Failed):
        await tell_if_lost(ctx)


def _begin(mailbox: Mailbox, now: datetime, graph_now: datetime) -> _Slice:
    """A slice from the cursor, or from where in the listing the last one stood."""
    since = renewals.sweep_since(mailbox, graph_now)
    place = renewals.place_of_sweep(mailbox, since)
    if place is None:
        return _Slice(mailbox, since, now, graph_now, Listing(Ask(since)))
    part = _Slice(mailbox, since, now, graph_now, Listing.at(place))
    part.decided.update(dict.fromkeys(place.taken, place.taken_until))
    return part


async def _take_lease(ctx: MailboxContext) -> Mailbox | None:
    """The mailbox under this worker's lease, so that no message begins a long sweep anew; None: not ours, or not now.

    Where calls are short, sends come first.
    """
    # Loses to another worker that takes the same sweep.
    changing, gives_way = change(ctx), False
    async for tx in changing:
        now = ctx.now()
        if not renewals.sweep_is_free(tx.mailbox, now):
            tx.abandon()
            continue
        respect_pause(tx.mailbox, now)
        gives_way = renewals.may_give_way(tx.mailbox, now) and await _has_send_due(ctx)
        with_sweep = renewals.with_sweep_giving_way if gives_way else renewals.with_sweep_taken
        tx.mailbox = with_sweep(tx.mailbox, now)
    return changing.mailbox if changing.committed and not gives_way else None


async def _has_send_due(ctx: MailboxContext) -> bool:
    """Whether a send waits to be taken up: a person waits for it, and the sweep may take every call there is."""
    due = await ctx.services.ledger.tasks(ctx.ref, ctx.now() + renewals.GIVES_WAY_BY, MOST_TASKS)
    return any(stored.value.kind is TaskKind.SEND for stored in due)


async def _read_pages(ctx: MailboxContext, part: _Slice) -> None:
    """Page by page to the end, or as far as a slice goes."""
    listing, passed_over = part.listing, set(part.decided)
    for number in count(1):
        page = await read_page(ctx, listing, gives_way=part.gives_way(ctx.now()))
        # Known for certain only now that Graph has answered; and our clock may have been set meanwhile.
        began = min(ctx.by_graph(part.began_at), ctx.graph_now())
        part.asked_at = began if number == 1 else min(part.asked_at, began)
        for outline in page.outlines:
            name = name_of_row(outline)
            if name not in passed_over and await _may_be_taken(ctx, outline, part):
                await _take(ctx, outline, part)
            part.decided[name] = outline.last_modified_at
        listing.done()
        part.decided.clear()
        if listing.ask is None:
            return
        full = number >= PAGES_A_SLICE or ctx.now() - part.began_at > LONGEST_SLICE
        if full and part.moved_on and not listing.is_barren:
            part.goes_on = True
            return


async def _may_be_taken(ctx: MailboxContext, outline: Outline, part: _Slice) -> bool:
    """Whether to decide on this mail: not on one at which five workers died. After a death each is noted before."""
    died = part.mailbox
    if died.sweep_deaths == 0:
        return True
    if is_deadly(died, outline):
        await hold_deadly(ctx, outline.graph_message_id, died.sweep_deaths)
        part.survived = True
        return False
    await note_mail(ctx, died, outline, survived=part.survived)
    part.survived = part.survived or outline.graph_message_id == died.sweep_at_mail
    return True


async def _release_lease(ctx: MailboxContext, part: _Slice) -> None:
    """The sweep failed: others may try, from the last page that is stored, and know which mail stopped it.

    Where even this fails, the lease runs out.
    """
    with suppress(PostbraidError):
        # Loses to whoever has taken the sweep since the lease ran out.
        async for tx in change(ctx, part.mailbox.generation):
            if tx.mailbox.sweep_leased_until != part.mailbox.sweep_leased_until:
                tx.abandon()
            else:
                kept = _as_far_as_read(tx.mailbox, part)
                tx.mailbox = replace(kept, sweep_leased_until=None, sweep_stopped_by=part.stopped_by)


def _as_far_as_read(mailbox: Mailbox, part: _Slice) -> Mailbox:
    """What an interrupted slice has done is not done again, or a mailbox with a narrow limit would never be through."""
    if not part.moved_on:
        return mailbox
    part.goes_on = True
    late = mailbox.sweep_late_found + part.late
    cursor, place = _cursor(mailbox, part), part.place
    return replace(mailbox, sweep_cursor=cursor, sweep_place=place, sweep_goes_on=True, sweep_late_found=late)


async def _look_after_subscription(ctx: MailboxContext, mailbox: Mailbox) -> None:
    """Renewal never rests on the timer alone. What fails here is tried again after the next sweep.

    A subscription whose making came to no end is left to the task of its renewal as well: there deaths are counted.
    After five of them sweeps make none.
    """
    if renewals.making_is_left(mailbox, ctx.now()):
        if renewals.making_kills(mailbox):
            return
        await plan_renewal(ctx)
    if renewals.notifications_fail(mailbox) or renewals.subscription_is_lost(mailbox, ctx.now()):
        await recreate_subscription(ctx)
    elif renewals.renewal_is_due(mailbox, ctx.now()):
        await renew_subscription(ctx, mailbox)


async def _take(ctx: MailboxContext, outline: Outline, part: _Slice) -> None:
    """Decide on one mail; after this it is stored, foreign, or noted for another look."""
    if outline.graph_message_id in part.taken:
        return
    part.taken.add(outline.graph_message_id)
    found = Found(outline.graph_message_id, part.mailbox.generation, outline, listed_since=part.listed_since)
    decision = await attempt(ctx, lambda: import_message(ctx, found))
    match decision:
        case Failed():
            await _pass_over(ctx, found, decision, part)
        case inbound.Wait(until, 0):
            raise Throttled((until - ctx.now()).total_seconds())
        case inbound.Wait(until, counts):
            await import_later(ctx, found, until, looks=counts)
        case inbound.Skip(Reason.FOREIGN):
            _remember(outline, part)
        case inbound.Import() | inbound.Hold() | inbound.Skip(Reason.ECHO):
            part.late += isinstance(decision, inbound.Import) and _is_late(outline, ctx.graph_now())
            await _take_answers(ctx, outline, part)
        case inbound.Skip():
            pass


def _remember(outline: Outline, part: _Slice) -> None:
    """What it answers may come later in this very slice: a sent copy is often filed after its answer came.

    The user's own answers have no tags in Sent Items, only the conversation.
    """
    ancestors = [ancestor.internet_message_id for ancestor in admission.ancestors(outline)]
    for lead in [*ancestors, *filter(None, [outline.conversation_id])]:
        part.foreign.setdefault(lead, []).append(outline)


async def _take_answers(ctx: MailboxContext, outline: Outline, part: _Slice) -> None:
    """Mail that was foreign until this one was known: no later sweep would look at it again."""
    known_by = (normal_message_id(outline.internet_message_id or ""), outline.conversation_id)
    for lead in filter(None, known_by):
        for answer in part.foreign.pop(lead, []):
            part.taken.discard(answer.graph_message_id)
            await _take(ctx, answer, part)


async def _pass_over(ctx: MailboxContext, found: Found, failed: Failed, part: _Slice) -> None:
    """One mail that cannot be read gets work of its own and holds up nobody (E-30); trouble of all ends the sweep.

    A 5xx may be either. It ends the sweep; if the next one stops at the same mail, it is that mail's own trouble.
    """
    verdict = failed.verdict(attempts=0)
    if waits_for_somebody(failed.error) or not isinstance(verdict, PutOff):
        raise failed.error
    again = part.mailbox.sweep_stopped_by == found.graph_message_id
    if isinstance(failed.error, Unavailable | Ambiguous) and not again:
        part.stopped_by = found.graph_message_id
        raise failed.error
    await import_later(ctx, found, failed.until(verdict), verdict.attempts)


def _is_late(outline: Outline, now: datetime) -> bool:
    return outline.received_at is not None and now - outline.received_at > renewals.LATE_AFTER


async def _finish(ctx: MailboxContext, part: _Slice) -> Mailbox:
    """Move cursor and next sweep; judge the notifications when a whole sweep is over. Returns the mailbox after."""
    now = ctx.now()
    # Loses to whoever asked for a sweep, or moved the cursor back, meanwhile.
    changing = change(ctx, part.mailbox.generation)
    async for tx in changing:
        ahead = round((ctx.graph_now() - ctx.now()).total_seconds())
        swept = _with_slice(tx.mailbox, part, now)
        tx.mailbox = renewals.with_graph_clock(swept, ahead, part.since, now)
        # The CRM hears it once when mail begins to come late, and once when it comes in time again.
        await tell_trouble(ctx, tx)
    mailbox = changing.mailbox
    if is_said_to_deny(mailbox, Right.READ):
        with suppress(MailboxClosed):
            await note_grant_alive(ctx, mailbox.connection_id, Right.READ)
    return mailbox


def _with_slice(mailbox: Mailbox, part: _Slice, now: datetime) -> Mailbox:
    """The mailbox after this slice, whatever others have changed of it meanwhile."""
    asked_anew = mailbox.sweep_at != part.mailbox.sweep_at
    planned = now if part.goes_on else renewals.next_sweep_at(mailbox, now)
    late = mailbox.sweep_late_found + part.late
    value = replace(
        with_working_call(mailbox),
        sweep_cursor=_cursor(mailbox, part),
        sweep_goes_on=part.goes_on,
        sweep_place=part.place if part.goes_on else None,
        sweep_leased_until=None,
        sweep_stopped_by=None,
        sweep_deaths=0,
        sweep_at_mail=None,
        sweep_failures=0,
        sweep_failing_since=None,
        sweep_at=mailbox.sweep_at if asked_anew else planned,
        sweep_late_found=late if part.goes_on else 0,
    )
    if part.goes_on:
        return value
    return with_audit_planned(renewals.after_whole_sweep(value, now, found_late=late > 0), now)


def _cursor(mailbox: Mailbox, part: _Slice) -> datetime:
    """Where this slice ends, unless somebody moved the cursor back meanwhile."""
    moved = mailbox.sweep_cursor if mailbox.sweep_cursor != part.mailbox.sweep_cursor else None
    return min(part.cursor, moved) if moved is not None else part.cursor
