"""Due work of a mailbox: carried out, or put off with its failures counted the right way (E-28)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import assert_never

from shared.domain import inbound, renewals
from shared.domain.errors import MailboxClosed, RowExists, RowMissing
from shared.domain.model import MailboxRef, Reason, Seen, Task, TaskKind
from shared.domain.retries import GiveUp, PutOff
from shared.services import Services
from shared.state.ledger import Change, Erase, new
from shared.sync.events.announce import activity
from shared.sync.events.deliver_event import deliver_event, reschedule_delivery
from shared.sync.inbound.import_message import Found, import_message
from shared.sync.inbound.sweep_mailbox import reconcile_mailbox
from shared.sync.mailbox.failures import Failed, attempt, bury
from shared.sync.mailbox.grant import enqueue_waiting
from shared.sync.mailbox.subscriptions import renew_subscription, reschedule_maintenance
from shared.sync.outbound.reschedule_send import reschedule_send
from shared.sync.outbound.send_message import send_message
from shared.sync.queueing.jobs import QUEUE_OF, TaskMessage, enqueue
from shared.sync.tasks.erase_content import erase_content, reschedule_erasing


async def do_work(s: Services, job: TaskMessage) -> None:
    """Carry out one job. Raises only StoreUnavailable and OutcomeUnknown, after which the queue repeats it."""
    try:
        done = await attempt(s, job.mailbox, job.attempts, lambda: _do(s, job))
        if isinstance(done, Failed):
            await _reschedule(s, job, done)
    except MailboxClosed:
        return


async def _do(s: Services, job: TaskMessage) -> None:
    match job.kind:
        case TaskKind.SEND:
            await send_message(s, job.mailbox, job.ref, job.due_at)
        case TaskKind.DELIVER:
            await deliver_event(s, job.mailbox, job.ref, job.due_at)
        case TaskKind.SWEEP:
            await _forget_orphan(s, job)
            await do_due_sweep(s, job.mailbox)
        case TaskKind.RENEW:
            await _forget_orphan(s, job)
            await _renew(s, job.mailbox)
        case TaskKind.RETRY_IMPORT:
            await _import_again(s, job)
        case TaskKind.WAKE:
            await _wake(s, job)
        case TaskKind.ERASE:
            await _erase(s, job)
        case _:
            assert_never(job.kind)


async def _wake(s: Services, job: TaskMessage) -> None:
    if job.due_at is not None:
        await enqueue_waiting(s, job.mailbox, Task(job.due_at, job.kind, job.ref))


async def _erase(s: Services, job: TaskMessage) -> None:
    if job.due_at is not None:
        await erase_content(s, job.mailbox, Task(job.due_at, job.kind, job.ref))


async def _forget_orphan(s: Services, job: TaskMessage) -> None:
    """A row of care that the gate does not name, or names while it is closed, would be rung for ever."""
    stored = await s.ledger.gate(job.mailbox)
    if stored is None or job.due_at is None or renewals.is_planned(stored.value, job.kind, job.due_at):
        return
    with suppress(RowMissing):
        await s.ledger.write(job.mailbox, Erase(Task(job.due_at, job.kind, job.ref)))


async def do_due_sweep(s: Services, mailbox: MailboxRef) -> None:
    """Sweep, unless somebody did: doubled rings cost one read."""
    stored = await s.ledger.gate(mailbox)
    if stored is not None and renewals.sweep_is_free(stored.value, s.clock.now()):
        await reconcile_mailbox(s, mailbox)


async def _renew(s: Services, mailbox: MailboxRef) -> None:
    stored = await s.ledger.gate(mailbox)
    if stored is not None and stored.value.renew_at is not None and stored.value.renew_at <= s.clock.now():
        await renew_subscription(s, mailbox)


async def _import_again(s: Services, job: TaskMessage) -> None:
    """A second look at a mail; its task goes when the look is done, or moves when there will be a third."""
    if job.due_at is not None and not await s.ledger.has(job.mailbox, Task(job.due_at, job.kind, job.ref)):
        return
    decision = await import_message(s, job.mailbox, Found(job.ref, looks=job.looks))
    if isinstance(decision, inbound.Wait):
        await _move(s, replace(job, looks=job.looks + decision.counts), decision.until, job.attempts)
    else:
        await _move(s, job, None)


async def _move(
    s: Services, job: TaskMessage, until: datetime | None, attempts: int = 0, *with_it: Change
) -> None:
    """End or move the task in one step: of two workers that were rung for it, one finds it gone and adds none."""
    if job.due_at is None or job.due_at == until:
        return
    gone = Erase(Task(job.due_at, job.kind, job.ref))
    task = None if until is None else Task(until, job.kind, job.ref, attempts, job.since, job.looks)
    try:
        await s.ledger.write(job.mailbox, gone, *([new(task)] if task else []), *with_it)
    except (RowMissing, RowExists):
        return
    if task is not None:
        await enqueue(s, job.mailbox, task)


async def _reschedule(s: Services, job: TaskMessage, failed: Failed) -> None:
    """Move the job's task, wherever the row that names its time lies; what is given up becomes a dead letter."""
    if isinstance(failed.verdict, GiveUp):
        await bury(s, job, QUEUE_OF[job.kind], failed.error)
    match job.kind:
        case TaskKind.SEND:
            await reschedule_send(s, job.mailbox, job.ref, failed)
        case TaskKind.DELIVER:
            await reschedule_delivery(s, job.mailbox, job.ref, failed)
        case TaskKind.SWEEP | TaskKind.RENEW:
            await reschedule_maintenance(s, job.mailbox, job.kind, failed)
        case TaskKind.RETRY_IMPORT:
            await _reschedule_import(s, job, failed)
        case TaskKind.WAKE if isinstance(failed.verdict, PutOff):
            await _move(s, job, failed.until, failed.verdict.attempts)
        case TaskKind.WAKE:
            await _move(s, job, None)  # what it would have woken comes by its own daily look
        case TaskKind.ERASE if job.due_at is not None:
            await reschedule_erasing(s, job.mailbox, Task(job.due_at, job.kind, job.ref), failed)
        case TaskKind.ERASE:
            return
        case _:
            assert_never(job.kind)


async def _reschedule_import(s: Services, job: TaskMessage, failed: Failed) -> None:
    """A mail that was given up counts as seen, so that no later sweep begins with it anew."""
    if isinstance(failed.verdict, PutOff) and not failed.lasts_too_long(job.since):
        await _move(s, job, failed.until, failed.verdict.attempts)
        return
    if isinstance(failed.verdict, PutOff):
        await bury(s, job, QUEUE_OF[job.kind], failed.error)
    seen = Seen(job.ref, "", "", Reason.MESSAGE_UNREADABLE, failed.at)
    line = activity(s, "not_read", None, None, Reason.MESSAGE_UNREADABLE)
    await _move(s, job, None, 0, new(seen), line)
