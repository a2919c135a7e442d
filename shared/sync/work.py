"""Due work of a mailbox: carried out, or put off with the reason counted the right way.

Throttling, a dead grant and a closed endpoint are no failures: the work waits, attempts do not count (E-28).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, assert_never

from shared.domain import inbound
from shared.domain.errors import (
    Ambiguous,
    GateShut,
    GrantDead,
    MailboxUnusable,
    RowChanged,
    RowExists,
    RowMissing,
    StoreUnavailable,
    Throttled,
    Unavailable,
    UpstreamSurprise,
)
from shared.domain.model import Gate, MailboxRef, OutboxItem, Todo, Work
from shared.domain.retries import transient_delay_seconds
from shared.services import Services
from shared.state.ledger import Change, Erase, new
from shared.sync.deliver_event import deliver_event
from shared.sync.doorbells import WorkJob, ring
from shared.sync.gatekeeping import pause, through_gate
from shared.sync.import_message import Found, import_message
from shared.sync.reconcile_mailbox import reconcile_mailbox
from shared.sync.send_message import send_message
from shared.sync.send_row import postpone
from shared.sync.subscriptions import renew_subscription

PROBE_GRANT_EVERY: Final = timedelta(days=1)


async def do_work(s: Services, job: WorkJob) -> None:
    """Carry out one job. Only StoreUnavailable and OutcomeUnknown of the store come out: then the queue repeats it."""
    try:
        await _do(s, job)
    except Throttled as err:
        await pause(s, job.mailbox, err.retry_after_seconds)
        await _put_off(s, job, timedelta(seconds=err.retry_after_seconds))
    except (GrantDead, MailboxUnusable):
        await _put_off(s, job, PROBE_GRANT_EVERY)
    except StoreUnavailable:
        raise
    except (Unavailable, UpstreamSurprise, Ambiguous):
        await _put_off(
            s,
            job,
            timedelta(seconds=max(5.0, transient_delay_seconds(job.attempts + 3, s.chance.fraction()))),
        )
    except GateShut:
        return


async def _do(s: Services, job: WorkJob) -> None:
    match job.work:
        case Work.SEND:
            await send_message(s, job.mailbox, job.ref, job.due_at)
        case Work.DELIVER:
            await deliver_event(s, job.mailbox, job.ref, job.due_at)
        case Work.SWEEP:
            await do_due_sweep(s, job.mailbox)
        case Work.RENEW:
            await _renew(s, job.mailbox)
        case Work.RETRY_IMPORT:
            await _import_again(s, job)
        case _:
            assert_never(job.work)


async def do_due_sweep(s: Services, mailbox: MailboxRef) -> None:
    """Sweep, unless somebody did: doubled rings cost one read."""
    stored = await s.ledger.gate(mailbox)
    if stored is not None and stored.value.sweep_at is not None and stored.value.sweep_at <= s.clock.now():
        await reconcile_mailbox(s, mailbox)


async def _renew(s: Services, mailbox: MailboxRef) -> None:
    stored = await s.ledger.gate(mailbox)
    if stored is not None and stored.value.renew_at is not None and stored.value.renew_at <= s.clock.now():
        await renew_subscription(s, mailbox)


async def _import_again(s: Services, job: WorkJob) -> None:
    """A second look at a mail; its todo goes when the look is done, or moves when there will be a third."""
    if job.due_at is not None and not await s.ledger.has(job.mailbox, Todo(job.due_at, job.work, job.ref)):
        return
    found = Found(job.ref, None, None, job.attempts)
    decision = await import_message(s, job.mailbox, found)
    await _move_import(s, job, decision.until if isinstance(decision, inbound.Wait) else None)


async def _move_import(s: Services, job: WorkJob, until: datetime | None) -> None:
    """End or move the todo in one step: of two workers that were rung for it, one finds it gone and adds none."""
    if job.due_at is None or job.due_at == until:
        return
    gone = Erase(Todo(job.due_at, job.work, job.ref))
    moved = Todo(until, job.work, job.ref, job.attempts + 1) if until is not None else None
    try:
        await s.ledger.write(job.mailbox, gone, *([new(moved)] if moved else []))
    except (RowMissing, RowExists):
        return
    if moved is not None:
        await ring(s, job.mailbox, moved)


async def _put_off(s: Services, job: WorkJob, wait: timedelta) -> None:
    """Move the job's todo, wherever the row that names its time lies."""
    until = s.clock.now() + wait
    match job.work:
        case Work.SEND:
            stored = await s.ledger.find(job.mailbox, OutboxItem, job.ref)
            if stored is not None and not stored.value.phase.final:
                await postpone(s, job.mailbox, stored, until)
        case Work.SWEEP | Work.RENEW:
            await _put_off_care(s, job, until)
        case Work.RETRY_IMPORT:
            await _move_import(s, job, until)
        case Work.DELIVER:
            return
        case _:
            assert_never(job.work)


async def _put_off_care(s: Services, job: WorkJob, until: datetime) -> None:
    async def make(gate: Gate) -> tuple[Gate, Sequence[Change]] | None:
        sweeping = job.work is Work.SWEEP
        old = gate.sweep_at if sweeping else gate.renew_at
        if old is None or old > s.clock.now():
            return None
        value = replace(gate, sweep_at=until) if sweeping else replace(gate, renew_at=until)
        return value, [Erase(Todo(old, job.work, "")), new(Todo(until, job.work, ""))]

    try:
        await through_gate(s, job.mailbox, None, make)
    except (GateShut, RowChanged):
        return
