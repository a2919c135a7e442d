"""Send an accepted message through the user's mailbox: at most once, and never without knowing (E-10 to E-14)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import assert_never

from shared.domain import outbound, renewals, waiting
from shared.domain.connection import probe_at, respect_pause
from shared.domain.draft_files import MOST_INCOMPLETE_DRAFTS
from shared.domain.errors import (
    AccessRefused,
    Ambiguous,
    DraftIncomplete,
    GrantDead,
    ItemGone,
    MailboxClosed,
    MailboxUnusable,
    MessageRefused,
    ThreadStopped,
    Throttled,
    Unavailable,
)
from shared.domain.model import Draft, FenceState, Mailbox, OutboxItem, Phase, Reason, Right, Task, Thread
from shared.domain.own_addresses import with_learned
from shared.domain.retries import Failed, GiveUp, is_outage, waits_for_somebody
from shared.domain.threads import recipients_of, takes_no_send
from shared.mailbox_context import MailboxContext
from shared.state.codec import Stored
from shared.sync.mailbox.failures import note_pause
from shared.sync.mailbox.grant import note_grant_alive, take_probe
from shared.sync.mailbox.subscriptions import ensure_subscription
from shared.sync.mailbox.thread_rows import plan_opening_rows
from shared.sync.mailbox.unit_of_work import change
from shared.sync.outbound.ask_mailbox import ask_mailbox, stop_looking, tell_unknown
from shared.sync.outbound.draft_message import make_draft
from shared.sync.outbound.known_sends import find_wait_for_original
from shared.sync.outbound.send_row import (
    Sending,
    fail,
    finish,
    hold,
    is_still_held,
    postpone,
    refusal_reason,
    save,
)
from shared.sync.outbound.waiting_sends import tell_waiting
from shared.sync.queueing.given_up import decide_verdict


async def send_message(ctx: MailboxContext, stored: Stored[OutboxItem]) -> None:
    """Take the send one step further, as far as it goes without waiting.

    Raises what the provider and the store raise: the caller reschedules the send (`reschedule_send`).
    """
    mailbox, work = await ctx.read(), Sending(ctx, stored)
    if not await _is_told_to_wait(work, mailbox):
        await _carry_out(work, mailbox, outbound.decide_next_step(work.item, mailbox, ctx.now()))


async def _carry_out(work: Sending, mailbox: Mailbox | None, step: outbound.Step) -> None:
    match step:
        case outbound.Nothing():
            return
        case outbound.Fail(reason, detail):
            await fail(work, reason, detail)
        case outbound.Later(until):
            await postpone(work, until, waiting.find_waiting(work.item, mailbox, work.ctx.now()))
        case outbound.Tidy():
            await _remove_left_drafts(work, mailbox)
        case outbound.Build() | outbound.Ask():
            assert mailbox is not None  # noqa: S101 - without a mailbox the rule fails sends
            if await _may_try(work, mailbox):
                await _try(work, mailbox, step)
        case outbound.TellUnknown():
            await tell_unknown(work)
        case outbound.StopLooking():
            await stop_looking(work)
        case _:
            assert_never(step)


async def _try(work: Sending, mailbox: Mailbox, step: outbound.Build | outbound.Ask) -> None:
    """What asks Graph: a draft and its send, or what became of them."""
    if isinstance(step, outbound.Build):
        await _build(work, mailbox, step.build)
    elif await ask_mailbox(work):
        await submit(work)


async def _is_told_to_wait(work: Sending, mailbox: Mailbox | None) -> bool:
    """Tell the CRM that the send waits, if that is due. True: nothing more is to be done now.

    What wakes many sends for this asks Entra nothing. A send into a thread that was stopped meanwhile ends.
    """
    now, lease = work.ctx.now(), work.item.lease_until
    waits = waiting.find_waiting(work.item, mailbox, now)
    is_held = lease is not None and lease > now
    if waits is None or is_held or not waiting.is_to_be_told(work.item, waits, now):
        return False
    thread = await work.ctx.find(Thread, work.item.thread_id)
    if thread is not None and takes_no_send(thread.value, work.item):
        await fail(work, Reason.THREAD_STOPPED)
        return True
    return not await tell_waiting(work, waits)


async def _may_try(work: Sending, mailbox: Mailbox) -> bool:
    """With a dead consent one send a day tries for all that wait; False: it was another one."""
    if not mailbox.grant_dead or await take_probe(work.ctx):
        return True
    now = work.ctx.now()
    known = work.ctx.mailbox or mailbox
    await postpone(work, probe_at(known) or now, waiting.find_waiting(work.item, known, now))
    return False


async def _build(work: Sending, mailbox: Mailbox, build: int) -> None:
    """A fresh draft with everything in it, then the fenced step to `sending`, then the send."""
    ctx, now = work.ctx, work.ctx.now()
    until = await find_wait_for_original(ctx, mailbox, work.item) if work.item.reply else None
    if until is not None:
        await _wait_for_original(work, mailbox, until)
        return
    # n+1 first: an older worker is fenced by it. A send that waited is due again when the lease ends, at the latest.
    lease_until = now + outbound.LEASE
    claimed = replace(
        work.item,
        phase=Phase.BUILDING,
        build=build,
        lease_until=lease_until,
        due_at=min(work.item.due_at or lease_until, lease_until),
        updated_at=now,
    )
    if not await save(work, claimed):
        return
    try:
        await ensure_subscription(ctx, mailbox)
        draft = await make_draft(work)
    except MessageRefused as err:
        await fail(work, refusal_reason(err), err.detail)
        return
    except MailboxUnusable:
        await fail(work, Reason.MAILBOX_UNUSABLE)
        return
    if ctx.mailbox is not None and ctx.mailbox.grant_dead:
        await note_grant_alive(ctx, ctx.mailbox.connection_id, Right.WRITE)
    if await _write_sending(work, draft):
        await submit(work)


async def _wait_for_original(work: Sending, mailbox: Mailbox, until: datetime) -> None:
    """A reply waits until what it answers has left; after five minutes the CRM hears of it."""
    now = work.ctx.now()
    waits = waiting.find_waiting(work.item, mailbox, now, original_is_on_its_way=True)
    if waits is not None and waiting.is_to_be_told(work.item, waits, now):
        await tell_waiting(work, waits, until)
    else:
        await postpone(work, until, waits)


async def _write_sending(work: Sending, draft: Draft) -> bool:
    """The fenced step: the draft to send, the thread and its index rows in one transaction, before the mail leaves.

    False where the mailbox was closed, the thread stopped (the send has then ended), or another worker has taken the
    send over. It loses to any other write of the fence and is then repeated with the same draft; raises RaceLost when
    all tries lost.
    """
    ctx, now = work.ctx, work.ctx.now()
    item = replace(
        work.item,
        phase=Phase.SENDING,
        draft_graph_message_id=draft.graph_message_id,
        draft_internet_message_id=draft.internet_message_id,
        without_key=draft.without_key,
        subject=draft.subject or work.item.subject,
        send_started_at=now,
        send_tried_at=now,
        plainly_refused=False,
        awaited_since=now,
        due_at=now + outbound.ASK_AGAIN_AFTER,
        updated_at=now,
    )
    # Loses to other writes of the fence; to another worker at this send by the row's ETag.
    changing, is_over = change(ctx, item.generation, as_read=True), False
    try:
        async for tx in changing:
            if not tx.first and not await is_still_held(work):
                tx.abandon()
                continue
            if is_over := ctx.now() >= waiting.send_by(item):
                tx.abandon()
                continue
            active = renewals.with_activity(tx.mailbox, now)
            tx.mailbox = with_learned(active, draft.sender, recipients_of(item))
            tx.add(work.stored.changed(item), *await plan_opening_rows(ctx, tx.mailbox, item, draft))
            tx.leave_to_timer()
    except MailboxClosed:
        return False
    except ThreadStopped:
        await fail(work, Reason.THREAD_STOPPED)
        return False
    if is_over:
        await fail(work, Reason.WAITED_TOO_LONG)
        return False
    return changing.written is not None and await hold(work, item, changing.written)


async def submit(work: Sending) -> None:
    """Send the recorded draft; whatever is no plain yes or no is asked about in five minutes."""
    item = work.item
    try:
        await work.ctx.services.mail.send(work.access, item.draft_graph_message_id or "")
    except MessageRefused as err:
        await fail(work, refusal_reason(err), err.detail)
        return
    except Throttled as err:
        await note_pause(work.ctx, err.retry_after_seconds)
        await _note_refusal(work, work.ctx.now() + timedelta(seconds=err.retry_after_seconds))
        return
    except GrantDead:
        await _note_refusal(work, work.ctx.now())
        raise
    except (Ambiguous, ItemGone, Unavailable):
        return
    now = work.ctx.now()
    done = replace(
        item,
        phase=Phase.SUBMITTED,
        taken_at=now,
        due_at=now + outbound.CONFIRM_AFTER,
        lease_until=None,
        attempts=0,
        updated_at=now,
    )
    await save(work, done)


async def _note_refusal(work: Sending, until: datetime) -> None:
    """A 429 or a denial is a plain no: nothing is unknown, so neither the five minutes nor the hour of that run."""
    now = work.ctx.now()
    item = replace(work.item, send_tried_at=None, awaited_since=None, plainly_refused=True)
    waits = waiting.find_waiting(item, work.ctx.mailbox, now)
    due_at = waiting.wake_at(item, waits, until, now)
    await save(work, replace(item, lease_until=None, due_at=due_at, updated_at=now))


async def _remove_left_drafts(work: Sending, mailbox: Mailbox | None) -> None:
    """Look once for what carries the send's key, delete the drafts among it that nobody needs (E-11).

    Raises what the provider raises: the caller reschedules the send.
    """
    ctx, item = work.ctx, work.item
    is_open = mailbox is not None and mailbox.state is FenceState.OPEN
    if mailbox is not None and is_open and mailbox.generation == item.generation:
        respect_pause(mailbox, ctx.now())
        for located in await ctx.services.mail.find_by_key(work.access, item.key):
            if outbound.is_left_over(item, located):
                await ctx.services.mail.delete_draft(work.access, located.outline.graph_message_id)
    await finish(work)


async def reschedule_send(ctx: MailboxContext, task: Task, failed: Failed) -> None:
    """A step of the send failed: try later. Given up, it ends while nothing can have left; after that it is watched.

    While the grant is dead, or Graph asks for a pause, its hour does not run. Tidying up does not wait for a grant.
    """
    stored = await ctx.find(OutboxItem, task.ref)
    if stored is None or stored.value.due_at is None:
        return
    item, work = stored.value, Sending(ctx, stored)
    if isinstance(failed.error, DraftIncomplete):
        item = replace(item, incomplete_drafts=item.incomplete_drafts + 1)
        work.stored = stored = stored.changed(item)
        if item.incomplete_drafts >= MOST_INCOMPLETE_DRAFTS and not item.phase.final:
            await fail(work, Reason.DRAFT_INCOMPLETE)
            return
    verdict = await decide_verdict(ctx, task, failed, item.attempts)
    if item.phase.final and isinstance(failed.error, GrantDead | MailboxUnusable | AccessRefused):
        await finish(work)
    elif isinstance(verdict, GiveUp):
        await _give_up(work, failed)
    else:
        waits = waits_for_somebody(failed.error)
        rescheduled = replace(
            item,
            attempts=verdict.attempts,
            failing_since=item.failing_since or failed.at if is_outage(failed.error) else None,
            awaited_since=None if waits else item.awaited_since,
        )
        work.stored = stored.changed(rescheduled)
        waits_for = waiting.find_waiting(rescheduled, ctx.mailbox, failed.at)
        await postpone(work, failed.until(verdict), waits_for)


async def _give_up(work: Sending, failed: Failed) -> None:
    """The end of a send that failed too often, as far as it has come.

    Where the mailbox cannot even be asked what became of it, that counts as not found, so that it ends as well.
    """
    item = work.item
    if item.phase.final:
        await finish(work)
        return
    if item.phase in {Phase.NEW, Phase.BUILDING}:
        await fail(work, Reason.GAVE_UP)
        return
    item = replace(item, awaited_since=item.awaited_since or failed.at)
    work.stored = work.stored.changed(item)
    match outbound.decide_by_whereabouts(item, None, (), failed.at):
        case outbound.TellUnknown():
            await tell_unknown(work)
        case outbound.StopLooking():
            await stop_looking(work)
        case _:
            await postpone(work, failed.at + outbound.LOOK_UP_EVERY)
