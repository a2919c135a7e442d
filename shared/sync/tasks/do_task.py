"""Due work of a mailbox: carried out, or put off with its failures counted the right way (E-28)."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime
from typing import assert_never

import msgspec

from shared.domain import inbound
from shared.domain.connection import SWEPT_WITHIN, lies_in_outage
from shared.domain.errors import MailboxClosed, OutcomeUnknown, StoreUnavailable, UnknownForm, WorkersDied
from shared.domain.held import SOON, first_held, pause_after
from shared.domain.model import Event, MailboxRef, OutboxItem, Reason, Seen, Task, TaskKind
from shared.domain.outbound import MAY_HAVE_LEFT
from shared.domain.retention import LOOK_EVERY
from shared.domain.retries import Failed, GiveUp, PutOff, count_given_up, is_outage, rest_given_up
from shared.domain.tasks import tasks
from shared.mailbox_context import MailboxContext
from shared.services import Services
from shared.state import keys
from shared.state.codec import Stored
from shared.state.ledger import Erase, new
from shared.state.mailbox_rows import StoredMailbox
from shared.sync.events.announce import activity
from shared.sync.events.deliver_event import deliver, reschedule_delivery
from shared.sync.inbound.audit_mailbox import audit_if_due, reschedule_audit
from shared.sync.inbound.deadly_mail import begin_look, hold_deadly
from shared.sync.inbound.import_message import Found, import_message
from shared.sync.inbound.look_again import look_again, reschedule_look
from shared.sync.inbound.receive_change import LATER, MOST_MESSAGES_AT_ONCE, comes_again_after
from shared.sync.inbound.sweep_mailbox import sweep_if_due
from shared.sync.mailbox.failures import attempt
from shared.sync.mailbox.subscriptions import renew_if_due, reschedule_maintenance
from shared.sync.mailbox.task_rows import end_task, move_task
from shared.sync.mailbox.waking import enqueue_waiting, wake_if_repaired
from shared.sync.outbound.lost_sends import count_death, give_back
from shared.sync.outbound.reschedule_send import reschedule_send
from shared.sync.outbound.send_message import send_message
from shared.sync.outbound.send_row import Sending
from shared.sync.queueing.given_up import add_dead_letter, decide_verdict
from shared.sync.queueing.jobs import MANY_OF_A_MAILBOX, TaskMessage, read_envelope
from shared.sync.tasks.erase_content import erase_content
from shared.sync.tasks.finish_closing import finish_closing
from shared.telemetry import log


async def take_task(s: Services, queue: str, text: str, job: TaskMessage, *, again: bool) -> None:
    """The task of a message, whose `text` it is; where it is one of many of its mailbox at work here, it comes again.

    So another mailbox's mail does not wait for a backlog. One over which a worker may have died is done now, for only
    this message says so. Raises what `do_task` raises.
    """
    ref = MailboxRef(job.tenant_id, job.mailbox_id)
    is_of_many = job.task.kind in MANY_OF_A_MAILBOX and not again
    with s.turns.at_work(f"{queue}|{job.mailbox_id}") if is_of_many else nullcontext(0) as others:
        if others < MOST_MESSAGES_AT_ONCE:
            await do_task(s, ref, job.task, again=again)
            return
    envelope = read_envelope(text)
    times = envelope.get(LATER)
    times = times if type(times) is int else 0
    later = msgspec.json.encode({**envelope, LATER: times + 1}).decode()
    await s.queues.put(queue, later, delay_seconds=comes_again_after(times, s.random.jitter()))


async def do_task(s: Services, ref: MailboxRef, task: Task, *, again: bool = False) -> None:
    """Carry out one task. Raises only StoreUnavailable and OutcomeUnknown, after which the queue repeats it.

    `again`: the queue repeats it, for the worker before did not come to an end.

    Where its own row can only be read by a newer version, that is left as it is: its task row brings it again in some
    minutes.
    """
    ctx = MailboxContext(s, ref)
    try:
        done = await attempt(ctx, lambda: _do(ctx, task, again=again))
        if isinstance(done, Failed):
            await _reschedule(ctx, task, done)
        await wake_if_repaired(ctx)
    except MailboxClosed:
        return
    except UnknownForm:
        log.error("work.left_to_newer", work=task.kind.value, mailbox=ref.mailbox_id)


async def _do(ctx: MailboxContext, task: Task, *, again: bool) -> None:
    match task.kind:
        case TaskKind.SEND:
            item = await ctx.find(OutboxItem, task.ref)
            if await _forget_unless_due(ctx, task, item) and item is not None:
                await _send(ctx, item, again=again)
        case TaskKind.DELIVER:
            event = await ctx.find(Event, task.ref)
            if await _forget_unless_due(ctx, task, event) and event is not None:
                await _deliver(ctx, event, again=again)
        case TaskKind.LOOK_AGAIN:
            seen = await ctx.find(Seen, task.ref)
            if await _forget_unless_due(ctx, task, seen) and seen is not None:
                await _look_again(ctx, seen, again=again)
        case TaskKind.SWEEP:
            await ctx.read()
            await _forget_unless_due(ctx, task, ctx.stored)
            await sweep_if_due(ctx)
        case TaskKind.RENEW:
            await ctx.read()
            await _forget_unless_due(ctx, task, ctx.stored)
            await renew_if_due(ctx, again=again)
        case TaskKind.AUDIT:
            await ctx.read()
            await _forget_unless_due(ctx, task, ctx.stored)
            await audit_if_due(ctx, again=again)
        case _:
            await _do_by_row(ctx, task, again=again)


async def _deliver(ctx: MailboxContext, event: Stored[Event], *, again: bool) -> None:
    """Tell the CRM. A death over it counts as a failure that nobody foresaw, so that even this ends (E-28)."""
    _count_death(again=again)
    await deliver(ctx, event)


def _count_death(*, again: bool) -> None:
    """A death is a failure that nobody foresaw. Raises WorkersDied."""
    if again:
        raise WorkersDied


async def _look_again(ctx: MailboxContext, seen: Stored[Seen], *, again: bool) -> None:
    mine = await begin_look(ctx, seen, again=again)
    if mine is not None:
        await look_again(ctx, mine)


async def _send(ctx: MailboxContext, item: Stored[OutboxItem], *, again: bool) -> None:
    """A send; where the store fails, the worker lives all the same, and says so if it can."""
    work = Sending(ctx, item)
    counts = again and item.value.phase in MAY_HAVE_LEFT
    try:
        if not counts or await count_death(work):
            await send_message(ctx, work.stored)
    except (StoreUnavailable, OutcomeUnknown):
        await give_back(ctx, item.value.key, counted=counts)
        raise


async def _forget_unless_due(
    ctx: MailboxContext,
    task: Task,
    stored: Stored[OutboxItem] | Stored[Event] | Stored[Seen] | StoredMailbox | None,
) -> bool:
    """Whether the row still stands for this task; else the task's own row goes, or it would be enqueued for ever.

    The row has another time where somebody was faster; it is not there where somebody wrote a task row by hand. Of a
    row that a newer version wrote, tasks may follow that this version does not know.
    """
    standing = [] if stored is None else [keys.row_of(following) for following in tasks(stored.value)]
    is_due = keys.row_of(task) in standing
    if not is_due and not (stored is not None and stored.newer):
        await ctx.services.ledger.forget(ctx.ref, task)
    return is_due


async def _do_by_row(ctx: MailboxContext, task: Task, *, again: bool) -> None:
    """Work whose task is a row of its own; without the row there is nothing to do."""
    if not await ctx.services.ledger.has(ctx.ref, task):
        return
    match task.kind:
        case TaskKind.RETRY_IMPORT if again:
            await hold_deadly(ctx, task.ref, 1, Erase(task))
        case TaskKind.RETRY_IMPORT:
            await _import_again(ctx, task)
        case _:
            _count_death(again=again)
            await _do_own_row(ctx, task)


async def _do_own_row(ctx: MailboxContext, task: Task) -> None:
    match task.kind:
        case TaskKind.ENQUEUE_WAITING:
            await enqueue_waiting(ctx, task)
        case TaskKind.CLOSE:
            await finish_closing(ctx, task)
        case _:
            await erase_content(ctx, task)


async def _import_again(ctx: MailboxContext, task: Task) -> None:
    """A second look at a mail; its task goes when the look is done, or moves when there will be a third."""
    decision = await import_message(ctx, Found(task.ref, looks=task.looks, attempts=task.attempts))
    if isinstance(decision, inbound.Wait):
        await move_task(ctx, task, replace(task, due_at=decision.until, looks=task.looks + decision.counts))
    else:
        await end_task(ctx, task)


def _later(task: Task, until: datetime, attempts: int) -> Task:
    return replace(task, due_at=until, attempts=attempts)


async def _reschedule(ctx: MailboxContext, task: Task, failed: Failed) -> None:
    """Move the work, wherever the row that names its time lies; what is given up becomes a dead letter first."""
    match task.kind:
        case TaskKind.SEND:
            await reschedule_send(ctx, task, failed)
        case TaskKind.DELIVER:
            await reschedule_delivery(ctx, task, failed)
        case TaskKind.SWEEP | TaskKind.RENEW:
            await reschedule_maintenance(ctx, task, failed)
        case TaskKind.RETRY_IMPORT:
            await _reschedule_import(ctx, task, failed)
        case TaskKind.LOOK_AGAIN:
            await reschedule_look(ctx, task, failed)
        case TaskKind.AUDIT:
            await reschedule_audit(ctx, task, failed)
        case TaskKind.ENQUEUE_WAITING | TaskKind.CLOSE | TaskKind.ERASE:
            verdict = await decide_verdict(ctx, task, failed, task.attempts)
            await _reschedule_own_row(ctx, task, failed, verdict)
        case _:
            assert_never(task.kind)


async def _reschedule_own_row(
    ctx: MailboxContext, task: Task, failed: Failed, verdict: PutOff | GiveUp
) -> None:
    """What is given up is done again after a rest, but for what comes by its own daily look."""
    died = isinstance(failed.error, WorkersDied)
    rest, counted = rest_given_up(failed.error, task.attempts), count_given_up(failed.error, task.attempts)
    if isinstance(verdict, PutOff):
        await move_task(ctx, task, _later(task, failed.until(verdict), verdict.attempts))
    elif task.kind is TaskKind.ENQUEUE_WAITING:
        await end_task(ctx, task)
    elif task.kind is TaskKind.ERASE:
        await move_task(ctx, task, _later(task, failed.at + LOOK_EVERY, counted if died else 0))
    else:
        await move_task(ctx, task, _later(task, failed.at + rest, counted if died else 0))


async def _reschedule_import(ctx: MailboxContext, task: Task, failed: Failed) -> None:
    """A mail of which not even the outline can be read is held: nobody is told, for nobody knows whose it is (R14).

    While nothing else works either, nothing is charged to it: its tries begin anew when Graph answers again.
    """
    mailbox = await ctx.read()
    if mailbox is not None and is_outage(failed.error) and lies_in_outage(mailbox, failed.at):
        until = failed.at + SWEPT_WITHIN
        await move_task(ctx, task, replace(task, due_at=until, attempts=0, since=failed.at))
        return
    verdict = failed.verdict(task.attempts)
    if isinstance(verdict, PutOff) and not failed.lasts_too_long(task.since):
        await move_task(ctx, task, _later(task, failed.until(verdict), verdict.attempts))
        return
    await add_dead_letter(ctx, task, failed.error)
    held = first_held(failed.at, mailbox.generation if mailbox is not None else 0)
    later = replace(held, looks=len(SOON) + 1, look_at=failed.at + pause_after(len(SOON) + 1))
    seen = Seen(task.ref, "", "", Reason.MESSAGE_UNREADABLE, failed.at, later)
    line = activity(ctx, "held", None, None, Reason.MESSAGE_UNREADABLE)
    await end_task(ctx, task, new(seen), line)
