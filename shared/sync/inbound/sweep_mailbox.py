"""The sweep: outlines of everything modified since the cursor, so that a lost notification loses nothing (E-25)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count

from shared.domain import admission, inbound, renewals
from shared.domain.errors import Ambiguous, PostbraidError, Throttled, Unavailable
from shared.domain.model import Mailbox, MailboxRef, Outline, Reason, Right, Task, TaskKind
from shared.domain.retries import PutOff, waits_for_somebody
from shared.services import Services
from shared.state.ledger import Change
from shared.sync.events.announce import connection_event
from shared.sync.inbound.import_message import Found, import_later, import_message
from shared.sync.mailbox.access import access_for
from shared.sync.mailbox.failures import Failed, attempt
from shared.sync.mailbox.grant import note_grant_alive
from shared.sync.mailbox.subscriptions import recreate_subscription, renew_subscription
from shared.sync.mailbox.unit_of_work import respect_pause, through_gate
from shared.sync.queueing.jobs import enqueue, moved

PAGES_A_SLICE = 20
LONGEST_SLICE = timedelta(minutes=4)


@dataclass(slots=True)
class _Slice:
    """One slice of a sweep: where it reads from, what it saw, whether more is to come."""

    since: datetime
    began_at: datetime
    late: int = 0
    newest: datetime | None = None
    taken: set[str] = field(default_factory=set)
    foreign: dict[str, list[Outline]] = field(default_factory=dict)
    goes_on: bool = False
    stopped_by: str | None = None

    @property
    def cursor(self) -> datetime:
        """How far everything is stored: all of it, or as far as was read."""
        return (self.newest or self.since) if self.goes_on else self.began_at


async def reconcile_mailbox(s: Services, mailbox: MailboxRef) -> None:
    """One sweep, if it is due and nobody is at it, in a slice of about PAGES_A_SLICE pages; then the subscription.

    In this order: whatever is wrong with the subscription, mail is read. The cursor follows behind what is stored.
    Raises what the provider raises; the cursor then stands where it stood, and the sweep is free for others.
    """
    gate = await _taken(s, mailbox)
    if gate is None:
        return
    part = _Slice(renewals.sweep_since(gate, s.clock.now()), s.clock.now())
    try:
        await _read(s, mailbox, gate, part)
    except PostbraidError:
        await _release_lease(s, mailbox, gate, part)
        raise
    finished = await _finish(s, mailbox, gate, part)
    if finished is not None:
        await attempt(s, mailbox, 0, lambda: _look_after_subscription(s, mailbox, finished))


async def _taken(s: Services, mailbox: MailboxRef) -> Mailbox | None:
    """The gate under this worker's lease, so that a long sweep is not begun anew by each ring; None: not ours."""

    async def make(gate: Mailbox) -> tuple[Mailbox, Sequence[Change]] | None:
        now = s.clock.now()
        if not renewals.sweep_is_free(gate, now):
            return None
        respect_pause(gate, now)
        return replace(gate, sweep_leased_until=now + renewals.SWEEP_LEASE), ()

    return await through_gate(s, mailbox, None, make)


async def _read(s: Services, mailbox: MailboxRef, gate: Mailbox, part: _Slice) -> None:
    """Page by page, each asked for from the newest time seen.

    A mail that is touched meanwhile moves to the end, and a link that counts rows would then pass over another one.
    Only where all of a page are of the same second the link is followed.
    """
    access, since, link = access_for(s, mailbox, gate), part.since, None
    for number in count(1):
        page = await s.mail.sweep(access, since, link)
        for outline in page.outlines:
            await _take(s, mailbox, gate, outline, part)
        if page.next_link is None:
            return
        moved_on = part.newest is not None and part.newest > since
        full = number >= PAGES_A_SLICE or s.clock.now() - part.began_at > LONGEST_SLICE
        if full and part.newest is not None and part.newest > part.since:
            part.goes_on = True
            return
        since, link = (part.newest, None) if moved_on and part.newest else (since, page.next_link)


async def _release_lease(s: Services, mailbox: MailboxRef, gate: Mailbox, part: _Slice) -> None:
    """The sweep failed: others may try, and know which mail stopped it. Where even this fails, the lease runs out."""

    async def make(now_gate: Mailbox) -> tuple[Mailbox, Sequence[Change]] | None:
        if now_gate.sweep_leased_until != gate.sweep_leased_until:
            return None
        return replace(now_gate, sweep_leased_until=None, sweep_stopped_by=part.stopped_by), ()

    with suppress(PostbraidError):
        await through_gate(s, mailbox, gate.generation, make)


async def _look_after_subscription(s: Services, mailbox: MailboxRef, gate: Mailbox) -> None:
    """Renewal never rests on the timer alone. What fails here is tried again after the next sweep."""
    if renewals.notifications_fail(gate) or renewals.subscription_is_lost(gate, s.clock.now()):
        await recreate_subscription(s, mailbox)
    elif renewals.renewal_is_due(gate, s.clock.now()):
        await renew_subscription(s, mailbox)


async def _take(s: Services, mailbox: MailboxRef, gate: Mailbox, outline: Outline, part: _Slice) -> None:
    """Decide on one mail; after this it is stored, foreign, or noted for another look."""
    part.newest = max(filter(None, (part.newest, outline.last_modified_at)), default=None)
    if outline.graph_message_id in part.taken:
        return
    part.taken.add(outline.graph_message_id)
    found = Found(outline.graph_message_id, gate.generation, outline)
    decision = await attempt(s, mailbox, 0, lambda: import_message(s, mailbox, found))
    match decision:
        case Failed():
            await _pass_over(s, mailbox, gate, found, decision, part)
        case inbound.Wait(until, 0):
            raise Throttled((until - s.clock.now()).total_seconds())
        case inbound.Wait(until, counts):
            await import_later(s, mailbox, found, until, looks=counts)
        case inbound.Skip(Reason.FOREIGN):
            _remember(outline, part)
        case inbound.Import() | inbound.Skip(Reason.ECHO):
            part.late += isinstance(decision, inbound.Import) and _late(outline, s.clock.now())
            await _take_answers(s, mailbox, gate, outline, part)
        case inbound.Skip():
            pass


def _remember(outline: Outline, part: _Slice) -> None:
    """What it answers may come later in this very slice: a sent copy is often filed after its answer came."""
    for ancestor in admission.ancestors(outline):
        part.foreign.setdefault(ancestor.internet_message_id, []).append(outline)


async def _take_answers(
    s: Services, mailbox: MailboxRef, gate: Mailbox, outline: Outline, part: _Slice
) -> None:
    """Mail that was foreign until this one was known: no later sweep would look at it again."""
    for answer in part.foreign.pop(outline.internet_message_id or "", []):
        part.taken.discard(answer.graph_message_id)
        await _take(s, mailbox, gate, answer, part)


async def _pass_over(
    s: Services, mailbox: MailboxRef, gate: Mailbox, found: Found, failed: Failed, part: _Slice
) -> None:
    """One mail that cannot be read gets work of its own and holds up nobody (E-30); trouble of all ends the sweep.

    A 5xx may be either. It ends the sweep; if the next one stops at the same mail, it is that mail's own trouble.
    """
    if waits_for_somebody(failed.error) or not isinstance(failed.verdict, PutOff):
        raise failed.error
    again = gate.sweep_stopped_by == found.graph_message_id
    if isinstance(failed.error, Unavailable | Ambiguous) and not again:
        part.stopped_by = found.graph_message_id
        raise failed.error
    await import_later(s, mailbox, found, failed.until, failed.verdict.attempts)


def _late(outline: Outline, now: datetime) -> bool:
    return outline.received_at is not None and now - outline.received_at > renewals.LATE_AFTER


def _cursor(gate: Mailbox, now_gate: Mailbox, part: _Slice) -> datetime:
    """Where this slice ends, unless somebody moved the cursor back meanwhile."""
    moved = now_gate.sweep_cursor if now_gate.sweep_cursor != gate.sweep_cursor else None
    return min(part.cursor, moved) if moved is not None else part.cursor


async def _finish(s: Services, mailbox: MailboxRef, gate: Mailbox, part: _Slice) -> Mailbox | None:
    """Move cursor and next sweep; judge the notifications when a whole sweep is over. Returns the gate afterwards."""
    now = s.clock.now()

    async def make(now_gate: Mailbox) -> tuple[Mailbox, Sequence[Change]]:
        asked_anew = now_gate.sweep_at != gate.sweep_at
        planned = now if part.goes_on else renewals.next_sweep_at(now_gate, now)
        late = now_gate.sweep_late_found + part.late
        value = replace(
            now_gate,
            sweep_cursor=_cursor(gate, now_gate, part),
            sweep_goes_on=part.goes_on,
            sweep_leased_until=None,
            sweep_stopped_by=None,
            sweep_at=now_gate.sweep_at if asked_anew else planned,
            sweep_late_found=late if part.goes_on else 0,
        )
        if not part.goes_on:
            judged = renewals.after_sweep(now_gate, found_late=late > 0)
            value = replace(value, late_sweeps=judged.sweeps, degraded=judged.degraded)
        return value, [
            *moved(TaskKind.SWEEP, "", now_gate.sweep_at, value.sweep_at),
            *await _told(s, mailbox, now_gate, value),
        ]

    result = await through_gate(s, mailbox, gate.generation, make)
    if result is not None and result.sweep_at is not None and part.goes_on:
        await enqueue(s, mailbox, Task(result.sweep_at, TaskKind.SWEEP, ""))
    if result is not None and result.grant_dead:
        await note_grant_alive(s, mailbox, result.connection_id, Right.READ)
    return result


async def _told(s: Services, mailbox: MailboxRef, before: Mailbox, after: Mailbox) -> tuple[Change, ...]:
    """The CRM hears it once when notifications begin to fail, and once when they work again."""
    if before.degraded == after.degraded or after.grant_dead:
        return ()
    connection = await s.connections.get(mailbox.tenant_id, after.user_id, after.connection_id)
    if connection is None:
        return ()
    return connection_event(s, mailbox, connection.value, after, recovered=before.degraded).changes
