"""Build the draft of a send under a lease, take the fenced step to `sending`, send it (E-10)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from shared.domain import outbound, renewals, waiting
from shared.domain.connection import is_said_to_deny
from shared.domain.errors import MailboxClosed, MailboxUnusable, MessageRefused, ThreadStopped
from shared.domain.leases import LEASE
from shared.domain.model import Draft, Mailbox, Phase, Reason, Right
from shared.domain.own_addresses import with_learned
from shared.domain.threads import recipients_of
from shared.mailbox_context import MailboxContext
from shared.sync.mailbox.grant import note_grant_alive
from shared.sync.mailbox.subscriptions import ensure_subscription
from shared.sync.mailbox.thread_rows import plan_opening_rows
from shared.sync.mailbox.unit_of_work import change
from shared.sync.outbound.draft_message import make_draft
from shared.sync.outbound.known_sends import find_wait_for_original
from shared.sync.outbound.send_row import (
    Sending,
    fail,
    hold,
    is_still_held,
    postpone,
    refusal_reason,
    save,
)
from shared.sync.outbound.submit import submit
from shared.sync.outbound.waiting_sends import tell_waiting


async def build_send(work: Sending, mailbox: Mailbox, step: outbound.Build) -> None:
    """A fresh draft with everything in it, then the fenced step to `sending`, then the send."""
    ctx, now = work.ctx, work.ctx.now()
    until = await find_wait_for_original(ctx, mailbox, work.item) if work.item.reply else None
    if until is not None:
        await _wait_for_original(work, mailbox, until)
        return
    # n+1 first: an older worker is fenced by it. A send that waited is due again when the lease ends, at the latest.
    lease_until = now + LEASE
    claimed = replace(
        work.item,
        phase=Phase.BUILDING,
        build=step.build,
        deaths=step.deaths,
        lease_until=lease_until,
        due_at=min(work.item.due_at or lease_until, lease_until),
        updated_at=now,
    )
    ctx.claimed_build = step.build
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
    if ctx.mailbox is not None and is_said_to_deny(ctx.mailbox, Right.WRITE):
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


def _with_clock(ctx: MailboxContext, mailbox: Mailbox) -> Mailbox:
    """With Graph's clock as its answers to the draft have told it: else only a sweep tells it to other processes."""
    now, graph_now = ctx.now(), ctx.graph_now()
    ahead = round((graph_now - now).total_seconds())
    return renewals.with_graph_clock(mailbox, ahead, renewals.sweep_since(mailbox, graph_now), now)


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
        in_reply_to=draft.in_reply_to,
        subject=draft.subject or work.item.subject,
        send_started_at=now,
        send_tried_at=now,
        plainly_refused=False,
        awaited_since=now,
        due_at=now + outbound.ASK_AGAIN_AFTER,
        lease_until=None,
        deaths=0,
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
            tx.mailbox = with_learned(_with_clock(ctx, tx.mailbox), draft.sender, recipients_of(item))
            tx.mailbox = renewals.with_activity(tx.mailbox, now, synced=False)
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
