"""The sweep: outlines of everything modified since the cursor, so that a lost notification loses nothing (E-25)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from shared.domain import inbound, renewals
from shared.domain.errors import Ambiguous, GateShut, GrantDead, MailboxUnusable, Throttled, Unavailable
from shared.domain.model import Gate, GateState, MailboxRef, Outline, SubscriptionState, Todo, Work
from shared.domain.retries import PutOff
from shared.services import Services
from shared.state.ledger import Change, Erase, new
from shared.sync.access import access_for
from shared.sync.doorbells import ring
from shared.sync.failures import Failed, attempt
from shared.sync.gatekeeping import respect_pause, through_gate
from shared.sync.import_message import Found, import_later, import_message
from shared.sync.revive_grant import note_grant_alive
from shared.sync.subscriptions import recreate_subscription, renew_subscription

PAGES_A_SLICE = 20
OF_THE_WHOLE_MAILBOX = (Throttled, GrantDead, MailboxUnusable, Unavailable, Ambiguous)


@dataclass(slots=True)
class _Tally:
    """What one sweep saw."""

    late: int = 0
    newest: datetime | None = None


async def reconcile_mailbox(s: Services, mailbox: MailboxRef) -> None:
    """One sweep in a slice of at most PAGES_A_SLICE pages; the cursor follows behind what is stored.

    Raises what the provider raises; the cursor then stands where it stood.
    """
    stored = await s.ledger.gate(mailbox)
    if stored is None or stored.value.state is GateState.CLOSED or stored.value.sweep_at is None:
        return
    gate, started_at = stored.value, s.clock.now()
    respect_pause(gate, started_at)
    await _look_after_subscription(s, mailbox, gate)
    access, tally, next_link = access_for(s, mailbox, gate), _Tally(), None
    sent_only = False
    for _ in range(PAGES_A_SLICE):
        page = await s.mail.sweep(
            access, renewals.sweep_since(gate, started_at), next_link, sent_items_only=sent_only
        )
        for outline in page.outlines:
            await _take(s, mailbox, gate, outline, tally)
        next_link = page.next_link
        if next_link is None:
            break
    cursor = started_at if next_link is None else tally.newest
    await _finish(s, mailbox, gate, cursor, tally, more=next_link is not None)


async def _look_after_subscription(s: Services, mailbox: MailboxRef, gate: Gate) -> None:
    """Renewal never rests on the timer alone."""
    expires = gate.subscription_expires_at
    if gate.subscription is SubscriptionState.ACTIVE and expires is not None and expires <= s.clock.now():
        await recreate_subscription(s, mailbox)
    elif renewals.renewal_is_due(gate, s.clock.now()):
        await renew_subscription(s, mailbox)


async def _take(s: Services, mailbox: MailboxRef, gate: Gate, outline: Outline, tally: _Tally) -> None:
    found = Found(outline.graph_message_id, gate.generation, outline)
    decision = await attempt(s, mailbox, 0, lambda: import_message(s, mailbox, found))
    if isinstance(decision, Failed):
        await _pass_over(s, mailbox, found, decision)
    if isinstance(decision, inbound.Wait):
        await import_later(s, mailbox, found, decision.until, decision.counts)
    if isinstance(decision, inbound.Import) and _late(outline, s.clock.now()):
        tally.late += 1
    tally.newest = outline.last_modified_at or tally.newest


async def _pass_over(s: Services, mailbox: MailboxRef, found: Found, failed: Failed) -> None:
    """One mail that cannot be read gets work of its own and holds up nobody (E-30); trouble of all ends the sweep."""
    if isinstance(failed.error, OF_THE_WHOLE_MAILBOX) or not isinstance(failed.verdict, PutOff):
        raise failed.error
    await import_later(s, mailbox, found, failed.until, failed.verdict.attempts)


def _late(outline: Outline, now: datetime) -> bool:
    return outline.received_at is not None and now - outline.received_at > renewals.LATE_AFTER


async def _finish(
    s: Services, mailbox: MailboxRef, gate: Gate, cursor: datetime | None, tally: _Tally, *, more: bool
) -> None:
    """Move cursor and next sweep; three late sweeps in a row mean that the subscription is recreated."""
    now = s.clock.now()
    due: datetime | None = None

    async def make(now_gate: Gate) -> tuple[Gate, Sequence[Change]]:
        nonlocal due
        due = now if more else renewals.next_sweep_at(now_gate, now)
        late = now_gate.late_sweeps + 1 if tally.late else 0
        value = replace(
            now_gate, sweep_cursor=cursor or now_gate.sweep_cursor, sweep_at=due, late_sweeps=late
        )
        changes: list[Change] = [Erase(Todo(now_gate.sweep_at, Work.SWEEP, ""))] if now_gate.sweep_at else []
        return value, [*changes, new(Todo(due, Work.SWEEP, ""))] if due != now_gate.sweep_at else []

    try:
        result = await through_gate(s, mailbox, gate.generation, make)
    except GateShut:
        return
    if due is not None and more:
        await ring(s, mailbox, Todo(due, Work.SWEEP, ""))
    if result is not None and result.grant_dead:
        await note_grant_alive(s, mailbox, result.connection_id, by_graph=True)
    if result is not None and renewals.is_degraded(result.late_sweeps):
        await recreate_subscription(s, mailbox)
