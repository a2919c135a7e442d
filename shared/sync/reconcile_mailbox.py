"""The sweep: outlines of everything modified since the cursor, so that a lost notification loses nothing (E-25)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import count

from shared.domain import inbound, renewals
from shared.domain.errors import Ambiguous, GrantDead, MailboxUnusable, Throttled, Unavailable
from shared.domain.model import Gate, MailboxRef, Outline, Todo, Work
from shared.domain.retries import PutOff
from shared.services import Services
from shared.state.ledger import Change, Erase, new
from shared.sync.access import access_for
from shared.sync.announce import connection_event
from shared.sync.doorbells import ring
from shared.sync.failures import Failed, attempt
from shared.sync.gatekeeping import respect_pause, through_gate
from shared.sync.import_message import Found, import_later, import_message
from shared.sync.revive_grant import note_grant_alive
from shared.sync.subscriptions import recreate_subscription, renew_subscription, replace_subscription

PAGES_A_SLICE = 20
OF_THE_WHOLE_MAILBOX = (Throttled, GrantDead, MailboxUnusable, Unavailable, Ambiguous)


@dataclass(slots=True)
class _Slice:
    """One slice of a sweep: where it reads from, what it saw, whether more is to come."""

    since: datetime
    began_at: datetime
    late: int = 0
    newest: datetime | None = None
    taken: set[str] = field(default_factory=set)
    goes_on: bool = False

    @property
    def cursor(self) -> datetime:
        """How far everything is stored: all of it, or as far as was read."""
        return (self.newest or self.since) if self.goes_on else self.began_at


async def reconcile_mailbox(s: Services, mailbox: MailboxRef) -> None:
    """One sweep, if it is due and nobody is at it, in a slice of about PAGES_A_SLICE pages.

    The cursor follows behind what is stored. Raises what the provider raises; the cursor then stands where it stood.
    """
    gate = await _taken(s, mailbox)
    if gate is None:
        return
    await _look_after_subscription(s, mailbox, gate)
    part = _Slice(renewals.sweep_since(gate, s.clock.now()), s.clock.now())
    await _read(s, mailbox, gate, part)
    await _finish(s, mailbox, gate, part)


async def _taken(s: Services, mailbox: MailboxRef) -> Gate | None:
    """The gate under this worker's lease, so that a long sweep is not begun anew by each ring; None: not ours."""

    async def make(gate: Gate) -> tuple[Gate, Sequence[Change]] | None:
        now = s.clock.now()
        if not renewals.sweep_is_free(gate, now):
            return None
        respect_pause(gate, now)
        return replace(gate, sweep_leased_until=now + renewals.SWEEP_LEASE), ()

    return await through_gate(s, mailbox, None, make)


async def _read(s: Services, mailbox: MailboxRef, gate: Gate, part: _Slice) -> None:
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
        if number >= PAGES_A_SLICE and part.newest is not None and part.newest > part.since:
            part.goes_on = True
            return
        since, link = (part.newest, None) if moved_on and part.newest else (since, page.next_link)


async def _look_after_subscription(s: Services, mailbox: MailboxRef, gate: Gate) -> None:
    """Renewal never rests on the timer alone."""
    if renewals.subscription_is_lost(gate, s.clock.now()):
        await recreate_subscription(s, mailbox)
    elif renewals.renewal_is_due(gate, s.clock.now()):
        await renew_subscription(s, mailbox)


async def _take(s: Services, mailbox: MailboxRef, gate: Gate, outline: Outline, part: _Slice) -> None:
    """Decide on one mail; after this it is stored, foreign, or noted for another look."""
    part.newest = max(filter(None, (part.newest, outline.last_modified_at)), default=None)
    if outline.graph_message_id in part.taken:
        return
    part.taken.add(outline.graph_message_id)
    found = Found(outline.graph_message_id, gate.generation, outline)
    decision = await attempt(s, mailbox, 0, lambda: import_message(s, mailbox, found))
    match decision:
        case Failed():
            await _pass_over(s, mailbox, found, decision)
        case inbound.Wait(until, 0):
            raise Throttled((until - s.clock.now()).total_seconds())
        case inbound.Wait(until, counts):
            await import_later(s, mailbox, found, until, counts)
        case inbound.Import() if _late(outline, s.clock.now()):
            part.late += 1


async def _pass_over(s: Services, mailbox: MailboxRef, found: Found, failed: Failed) -> None:
    """One mail that cannot be read gets work of its own and holds up nobody (E-30); trouble of all ends the sweep."""
    if isinstance(failed.error, OF_THE_WHOLE_MAILBOX) or not isinstance(failed.verdict, PutOff):
        raise failed.error
    await import_later(s, mailbox, found, failed.until, failed.verdict.attempts)


def _late(outline: Outline, now: datetime) -> bool:
    return outline.received_at is not None and now - outline.received_at > renewals.LATE_AFTER


def _cursor(gate: Gate, now_gate: Gate, part: _Slice) -> datetime:
    """Where this slice ends, unless somebody moved the cursor back meanwhile."""
    moved = now_gate.sweep_cursor if now_gate.sweep_cursor != gate.sweep_cursor else None
    return min(part.cursor, moved) if moved is not None else part.cursor


async def _finish(s: Services, mailbox: MailboxRef, gate: Gate, part: _Slice) -> None:
    """Move cursor and next sweep; judge the notifications when a whole sweep is over."""
    now = s.clock.now()
    due: datetime | None = None

    async def make(now_gate: Gate) -> tuple[Gate, Sequence[Change]]:
        nonlocal due
        asked_anew = now_gate.sweep_at != gate.sweep_at
        due = (
            now_gate.sweep_at
            if asked_anew
            else now
            if part.goes_on
            else renewals.next_sweep_at(now_gate, now)
        )
        value = replace(
            now_gate,
            sweep_cursor=_cursor(gate, now_gate, part),
            sweep_goes_on=part.goes_on,
            sweep_leased_until=None,
            sweep_at=due,
        )
        if not part.goes_on:
            judged = renewals.after_sweep(now_gate, found_late=part.late > 0)
            value = replace(value, late_sweeps=judged.sweeps, degraded=judged.degraded)
        return value, [*_moved_sweep(now_gate.sweep_at, due), *await _told(s, mailbox, now_gate, value)]

    result = await through_gate(s, mailbox, gate.generation, make)
    if due is not None and part.goes_on:
        await ring(s, mailbox, Todo(due, Work.SWEEP, ""))
    if result is not None and result.grant_dead:
        await note_grant_alive(s, mailbox, result.connection_id, by_graph=True)
    if result is not None and renewals.notifications_fail(result):
        await replace_subscription(s, mailbox, result)


def _moved_sweep(old: datetime | None, due: datetime | None) -> list[Change]:
    if old == due:
        return []
    erase: list[Change] = [Erase(Todo(old, Work.SWEEP, ""))] if old is not None else []
    return erase + ([new(Todo(due, Work.SWEEP, ""))] if due is not None else [])


async def _told(s: Services, mailbox: MailboxRef, before: Gate, after: Gate) -> tuple[Change, ...]:
    """The CRM hears it once when notifications begin to fail, and once when they work again."""
    if before.degraded == after.degraded or after.grant_dead:
        return ()
    connection = await s.connections.get(mailbox.tenant_id, after.user_id, after.connection_id)
    if connection is None:
        return ()
    return connection_event(s, mailbox, connection.value, after, recovered=before.degraded).changes
