"""Replay: make what a dead letter was about due again, through the ordinary path; safe to repeat (E-30).

Nothing is carried out here and no rule is passed by. A send that was told to have failed never leaves any more: the CRM
may have sent it anew. An event keeps its id, and a mail that was decided on stays decided on.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from shared.domain.errors import (
    MailboxClosed,
    MalformedBody,
    RowChanged,
    RowExists,
    RowMissing,
    SealBroken,
    UnknownForm,
)
from shared.domain.model import ChangeHint, Event, MailboxRef, OutboxItem, Phase, Seen, Task, TaskKind
from shared.domain.renewals import with_sweep_again_from
from shared.mailbox_context import MailboxContext
from shared.services import Services
from shared.state.codec import Stored
from shared.state.dead_letters import KeptLetter
from shared.state.keys import mailbox_of_key, time_of_stamp
from shared.state.ledger import new
from shared.sync.events.endpoint import ENDPOINT, open_endpoint
from shared.sync.inbound.list_changes import LISTED_ROW
from shared.sync.mailbox.grant import EVER
from shared.sync.mailbox.subscriptions import sweep_now
from shared.sync.mailbox.task_rows import move_task
from shared.sync.mailbox.unit_of_work import change, write
from shared.sync.operators.held_mails import HeldMail, look_now
from shared.sync.queueing.jobs import Changes, TaskMessage, decode_job


class Replayed(StrEnum):
    """What came of a replay."""

    DUE = "due"
    DONE = "nothing_left_to_do"
    ENDED = "ended"
    UNREADABLE = "payload_unreadable"


HOW_IT_WENT: Final = {
    Replayed.DUE: "It is due again; a worker takes it within a minute.",
    Replayed.DONE: "It was done meanwhile; nothing is left to do.",
    Replayed.ENDED: "It has ended, and the CRM was told so; it is not done again.",
    Replayed.UNREADABLE: "What the work was, or its rows, cannot be read by this version: it is not done again.",
}


async def replay_letter(s: Services, kept: KeptLetter) -> Replayed:
    """Make its work due again, and note that on the dead letter. Raises KeyUnavailable, StoreUnavailable.

    What cannot be read is noted as well: whoever replays all that is meant comes to an end.
    """
    try:
        payload = await s.dead_letters.payload_of(kept)
        replayed = await _replay(s, kept, payload)
    except (MalformedBody, UnknownForm, SealBroken, ValueError):
        replayed = Replayed.UNREADABLE
    except MailboxClosed:
        replayed = Replayed.ENDED
    await s.dead_letters.note_replay(kept, s.clock.now())
    return replayed


async def _replay(s: Services, kept: KeptLetter, payload: str) -> Replayed:
    letter = kept.letter
    if letter.work == ENDPOINT:
        await open_endpoint(s, letter.tenant_id)
        return Replayed.DUE
    if letter.work == LISTED_ROW:
        ctx = MailboxContext(s, MailboxRef(letter.tenant_id, letter.mailbox_id))
        return await _sweep_from(ctx, time_of_stamp(payload.partition("|")[0]))
    with suppress(MalformedBody, UnknownForm):
        job = decode_job(TaskMessage, payload)
        return await _replay_task(MailboxContext(s, MailboxRef(job.tenant_id, job.mailbox_id)), job.task)
    for hint in decode_job(Changes, payload).hints:
        await _replay_hint(s, hint)
    return Replayed.DUE


async def _replay_task(ctx: MailboxContext, task: Task) -> Replayed:
    match task.kind:
        case TaskKind.SEND:
            return await _replay_send(ctx, await ctx.find(OutboxItem, task.ref))
        case TaskKind.DELIVER:
            return await _replay_event(ctx, await ctx.find(Event, task.ref))
        case TaskKind.LOOK_AGAIN | TaskKind.RETRY_IMPORT:
            return await _look_at_mail(ctx, task.ref)
        case TaskKind.SWEEP:
            await sweep_now(ctx)
            return Replayed.DUE
        case TaskKind.RENEW | TaskKind.AUDIT:
            return await _bring_forward(ctx, task.kind)
        case _:
            return await _move_own_row(ctx, task)


async def _replay_send(ctx: MailboxContext, stored: Stored[OutboxItem] | None) -> Replayed:
    """The rules of a send say what may still be done; a lease, and the wait after a try, stand as before."""
    if stored is None or stored.value.phase is Phase.SENT:
        return Replayed.DONE
    if stored.value.phase.final:
        return Replayed.ENDED
    await _write(ctx, stored.changed(replace(stored.value, due_at=ctx.now(), attempts=0, deaths=0)))
    return Replayed.DUE


async def _replay_event(ctx: MailboxContext, stored: Stored[Event] | None) -> Replayed:
    """The whole schedule begins anew, under the same event id."""
    if stored is None or stored.value.delivered_at is not None:
        return Replayed.DONE
    event = stored.value
    if event.erased or (event.body is None and event.body_blob is None):
        return Replayed.ENDED
    due = replace(
        event,
        undelivered=False,
        held=False,
        due_at=ctx.now(),
        attempts=0,
        equal_refusals=0,
        failures=0,
        last_status=None,
    )
    await _write(ctx, stored.changed(due))
    return Replayed.DUE


async def _look_at_mail(ctx: MailboxContext, graph_message_id: str) -> Replayed:
    """A held mail is looked at now; one of which nothing is known goes through admission like any other."""
    seen = await ctx.find(Seen, graph_message_id)
    if seen is None:
        await _import_now(ctx, graph_message_id)
        return Replayed.DUE
    if seen.value.held is None:
        return Replayed.DONE
    await look_now(ctx.services, [HeldMail(ctx.ref, seen)])
    return Replayed.DUE


async def _import_now(ctx: MailboxContext, graph_message_id: str) -> None:
    now = ctx.now()
    await _write(ctx, new(Task(now, TaskKind.RETRY_IMPORT, graph_message_id, since=now)))


async def _replay_hint(s: Services, hint: ChangeHint) -> None:
    ref = mailbox_of_key(hint.mailbox_key)
    if ref is None:
        return
    ctx = MailboxContext(s, ref)
    if hint.graph_message_id is not None:
        await _look_at_mail(ctx, hint.graph_message_id)
        return
    with suppress(MailboxClosed):
        await sweep_now(ctx)


async def _sweep_from(ctx: MailboxContext, since: datetime) -> Replayed:
    """The next sweep lists everything since then once more, and is due now."""
    # Loses to a sweep that ends.
    async for tx in change(ctx):
        tx.mailbox = replace(with_sweep_again_from(tx.mailbox, since, ctx.now()), sweep_at=ctx.now())
    return Replayed.DUE


async def _bring_forward(ctx: MailboxContext, kind: TaskKind) -> Replayed:
    """The renewal or the audit that is planned anyway is due now."""
    # Loses to one that ends.
    changing = change(ctx)
    async for tx in changing:
        mailbox, now = tx.mailbox, ctx.now()
        if kind is TaskKind.RENEW and mailbox.renew_at is not None:
            tx.mailbox = replace(mailbox, renew_at=now, renew_failures=0)
        elif kind is TaskKind.AUDIT and mailbox.audit_at is not None:
            tx.mailbox = replace(mailbox, audit_at=now)
        else:
            tx.abandon()
    return Replayed.DUE if changing.committed else Replayed.DONE


async def audit_now(s: Services, ref: MailboxRef) -> None:
    """Have the mailbox's completeness counted anew; nothing where it was closed, or none is planned."""
    with suppress(MailboxClosed):
        await _bring_forward(MailboxContext(s, ref), TaskKind.AUDIT)


async def _move_own_row(ctx: MailboxContext, task: Task) -> Replayed:
    """Work whose task is a row of its own: it still stands, at a later time, unless it was done."""
    standing = await ctx.services.ledger.tasks(ctx.ref, ctx.now() + EVER, None)
    found = [row.value for row in standing if row.value.kind is task.kind]
    same = [row for row in found if row.ref == task.ref] or (found if task.kind is TaskKind.ERASE else [])
    for row in same:
        await move_task(ctx, row, replace(row, due_at=ctx.now(), attempts=0))
    if not same and task.kind is TaskKind.ENQUEUE_WAITING:
        await _write(ctx, new(replace(task, due_at=ctx.now(), attempts=0)))
        return Replayed.DUE
    return Replayed.DUE if same else Replayed.DONE


async def _write(ctx: MailboxContext, row: Stored[OutboxItem] | Stored[Event] | Stored[Task]) -> None:
    """Lets nothing out by itself, so it needs no fence; a worker that is just at it is as good."""
    with suppress(RowChanged, RowMissing, RowExists):
        # Loses to the worker that does this very work.
        await write(ctx, row)
