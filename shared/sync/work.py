"""Due work of a mailbox: carried out, or put off with its failures counted the right way (E-28)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import assert_never

from shared.domain import inbound, renewals
from shared.domain.errors import GateShut, RowExists, RowMissing
from shared.domain.model import MailboxRef, Reason, Seen, Todo, Work
from shared.domain.retries import GiveUp, PutOff
from shared.services import Services
from shared.state.ledger import Change, Erase, new
from shared.sync.announce import activity
from shared.sync.deliver_event import deliver_event, set_back_delivery
from shared.sync.doorbells import QUEUE_OF, WorkJob, ring
from shared.sync.erase_content import erase_content, set_back_erasing
from shared.sync.failures import Failed, attempt, bury
from shared.sync.import_message import Found, import_message
from shared.sync.reconcile_mailbox import reconcile_mailbox
from shared.sync.revive_grant import wake_parked
from shared.sync.send_message import send_message
from shared.sync.set_back_send import set_back_send
from shared.sync.subscriptions import renew_subscription, set_back_care


async def do_work(s: Services, job: WorkJob) -> None:
    """Carry out one job. Raises only StoreUnavailable and OutcomeUnknown, after which the queue repeats it."""
    try:
        done = await attempt(s, job.mailbox, job.attempts, lambda: _do(s, job))
        if isinstance(done, Failed):
            await _set_back(s, job, done)
    except GateShut:
        return


async def _do(s: Services, job: WorkJob) -> None:
    match job.work:
        case Work.SEND:
            await send_message(s, job.mailbox, job.ref, job.due_at)
        case Work.DELIVER:
            await deliver_event(s, job.mailbox, job.ref, job.due_at)
        case Work.SWEEP:
            await _forget_orphan(s, job)
            await do_due_sweep(s, job.mailbox)
        case Work.RENEW:
            await _forget_orphan(s, job)
            await _renew(s, job.mailbox)
        case Work.RETRY_IMPORT:
            await _import_again(s, job)
        case Work.WAKE:
            await _wake(s, job)
        case Work.ERASE:
            await _erase(s, job)
        case _:
            assert_never(job.work)


async def _wake(s: Services, job: WorkJob) -> None:
    if job.due_at is not None:
        await wake_parked(s, job.mailbox, Todo(job.due_at, job.work, job.ref))


async def _erase(s: Services, job: WorkJob) -> None:
    if job.due_at is not None:
        await erase_content(s, job.mailbox, Todo(job.due_at, job.work, job.ref))


async def _forget_orphan(s: Services, job: WorkJob) -> None:
    """A row of care that the gate does not name, or names while it is closed, would be rung for ever."""
    stored = await s.ledger.gate(job.mailbox)
    if stored is None or job.due_at is None or renewals.is_planned(stored.value, job.work, job.due_at):
        return
    with suppress(RowMissing):
        await s.ledger.write(job.mailbox, Erase(Todo(job.due_at, job.work, job.ref)))


async def do_due_sweep(s: Services, mailbox: MailboxRef) -> None:
    """Sweep, unless somebody did: doubled rings cost one read."""
    stored = await s.ledger.gate(mailbox)
    if stored is not None and renewals.sweep_is_free(stored.value, s.clock.now()):
        await reconcile_mailbox(s, mailbox)


async def _renew(s: Services, mailbox: MailboxRef) -> None:
    stored = await s.ledger.gate(mailbox)
    if stored is not None and stored.value.renew_at is not None and stored.value.renew_at <= s.clock.now():
        await renew_subscription(s, mailbox)


async def _import_again(s: Services, job: WorkJob) -> None:
    """A second look at a mail; its todo goes when the look is done, or moves when there will be a third."""
    if job.due_at is not None and not await s.ledger.has(job.mailbox, Todo(job.due_at, job.work, job.ref)):
        return
    decision = await import_message(s, job.mailbox, Found(job.ref, looks=job.looks))
    if isinstance(decision, inbound.Wait):
        await _move(s, replace(job, looks=job.looks + decision.counts), decision.until, job.attempts)
    else:
        await _move(s, job, None)


async def _move(
    s: Services, job: WorkJob, until: datetime | None, attempts: int = 0, *with_it: Change
) -> None:
    """End or move the todo in one step: of two workers that were rung for it, one finds it gone and adds none."""
    if job.due_at is None or job.due_at == until:
        return
    gone = Erase(Todo(job.due_at, job.work, job.ref))
    todo = None if until is None else Todo(until, job.work, job.ref, attempts, job.since, job.looks)
    try:
        await s.ledger.write(job.mailbox, gone, *([new(todo)] if todo else []), *with_it)
    except (RowMissing, RowExists):
        return
    if todo is not None:
        await ring(s, job.mailbox, todo)


async def _set_back(s: Services, job: WorkJob, failed: Failed) -> None:
    """Move the job's todo, wherever the row that names its time lies; what is given up becomes a dead letter."""
    if isinstance(failed.verdict, GiveUp):
        await bury(s, job, QUEUE_OF[job.work], failed.error)
    match job.work:
        case Work.SEND:
            await set_back_send(s, job.mailbox, job.ref, failed)
        case Work.DELIVER:
            await set_back_delivery(s, job.mailbox, job.ref, failed)
        case Work.SWEEP | Work.RENEW:
            await set_back_care(s, job.mailbox, job.work, failed)
        case Work.RETRY_IMPORT:
            await _set_back_import(s, job, failed)
        case Work.WAKE if isinstance(failed.verdict, PutOff):
            await _move(s, job, failed.until, failed.verdict.attempts)
        case Work.WAKE:
            await _move(s, job, None)  # what it would have woken comes by its own daily look
        case Work.ERASE if job.due_at is not None:
            await set_back_erasing(s, job.mailbox, Todo(job.due_at, job.work, job.ref), failed)
        case Work.ERASE:
            return
        case _:
            assert_never(job.work)


async def _set_back_import(s: Services, job: WorkJob, failed: Failed) -> None:
    """A mail that was given up counts as seen, so that no later sweep begins with it anew."""
    if isinstance(failed.verdict, PutOff) and not failed.lasts_too_long(job.since):
        await _move(s, job, failed.until, failed.verdict.attempts)
        return
    if isinstance(failed.verdict, PutOff):
        await bury(s, job, QUEUE_OF[job.work], failed.error)
    seen = Seen(job.ref, "", "", Reason.MESSAGE_UNREADABLE, failed.at)
    line = activity(s, "not_read", None, None, Reason.MESSAGE_UNREADABLE)
    await _move(s, job, None, 0, new(seen), line)
