"""A send whose outcome is unknown or unconfirmed: ask the mailbox first, then decide (E-7, E-10)."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace
from datetime import timedelta
from typing import assert_never

from shared.domain import leases, outbound
from shared.domain.errors import (
    ItemGone,
    MailboxClosed,
    ProviderUnavailable,
    ThreadStopped,
    UpstreamSurprise,
)
from shared.domain.message_ids import is_same_message_id
from shared.domain.model import Located, OutboxItem, Reason, Thread, Whereabouts
from shared.domain.threads import takes_no_send
from shared.domain.waiting import is_plainly_refused
from shared.sync.mailbox.grant import note_working_call
from shared.sync.mailbox.unit_of_work import change
from shared.sync.outbound.confirm_send import confirm_send
from shared.sync.outbound.send_row import Sending, fail, hold, is_still_held, postpone
from shared.sync.outbound.unknown_sends import hold_lost, stop_looking, tell_unknown


async def ask_mailbox(work: Sending) -> bool:
    """Ask the mailbox what became of the send. True: its draft still lies in Drafts, and is to be sent again now."""
    try:
        by_id = await work.ctx.services.mail.locate(work.access, work.item.draft_graph_message_id or "")
    except ItemGone:
        by_id = None
    by_key = await _find_elsewhere(work) if by_id is None else ()
    await note_working_call(work.ctx)
    now = work.ctx.now()
    in_drafts = by_id is not None and by_id.whereabouts is Whereabouts.DRAFT
    if (
        work.item.awaited_since is None and not in_drafts
    ):  # no try of ours can have taken it away: somebody has
        work.stored = work.stored.changed(replace(work.item, awaited_since=now, plainly_refused=False))
    answer = outbound.decide_by_whereabouts(work.item, by_id, by_key, now)
    match answer:
        case outbound.Confirm(located):
            await confirm_send(work.ctx, work.item.key, located.outline)
        case outbound.Fail(reason, detail):
            await fail(work, reason, detail)
        case outbound.Later(until):
            work.stored = work.stored.changed(replace(work.item, deaths=0))
            await postpone(work, until)
        case outbound.TellUnknown():
            await tell_unknown(work)
        case outbound.StopLooking():
            await stop_looking(work)
        case outbound.SendAgain():
            return await _write_next_try(work)
        case _:
            assert_never(answer)
    return False


async def _find_elsewhere(work: Sending) -> tuple[Located, ...]:
    """Whatever carries our key; without any, what has the draft's Message-ID (E-12)."""
    mail, access, item = work.ctx.services.mail, work.access, work.item
    if not item.without_key and (found := await _if_listed(item, mail.find_by_key(access, item.key))):
        return found
    internet_message_id = item.draft_internet_message_id
    if internet_message_id is None:
        return ()
    same = await _if_listed(item, mail.find_by_message_id(access, internet_message_id))
    return tuple(
        located
        for located in same
        if is_same_message_id(located.outline.internet_message_id, internet_message_id)
    )


async def _if_listed(item: OutboxItem, search: Awaitable[tuple[Located, ...]]) -> tuple[Located, ...]:
    """What a search finds; nothing where it is refused, for the mailbox has just answered by id.

    One corrupt item makes each list that would show it a 500, for ever (microsoft-graph-docs issue 2913), and a send
    ends all the same. A search that failed by chance is repeated when the send is looked for again. One whose only
    answer was a plain no has its own end, and is not made an unknown one by an outage.
    """
    try:
        return await search
    except (ProviderUnavailable, UpstreamSurprise):
        if is_plainly_refused(item):
            raise
        return ()


async def _write_next_try(work: Sending) -> bool:
    """The time of the next try, through the fence, before the very same draft is sent again.

    False where the mailbox was closed, the thread stopped, another worker has taken the send over, or one worker after
    the other died at its tries.
    """
    now, deaths = work.ctx.now(), leases.deaths_at_tries(work.item)
    if deaths >= leases.MOST_DEATHS:
        await hold_lost(work)
        return False
    rest = leases.rest_after(deaths, work.ctx.services.random.jitter()) if deaths else timedelta()
    item = replace(
        work.item,
        deaths=deaths,
        send_tried_at=now,
        awaited_since=outbound.unknown_since(work.item) or now,
        tried=False,
        plainly_refused=False,
        due_at=now + outbound.ASK_AGAIN_AFTER + rest,
        updated_at=now,
    )
    # Loses to other writes of the fence; to another worker at this send by the row's ETag.
    changing = change(work.ctx, item.generation)
    try:
        async for tx in changing:
            if not tx.first and not await is_still_held(work):
                tx.abandon()
                continue
            await _refuse_if_stopped(work)
            tx.add(work.stored.changed(item))
            tx.leave_to_timer()
    except MailboxClosed as err:
        await _end_closed(work, err)
        return False
    except ThreadStopped:
        await fail(work, Reason.LEFT_IN_DRAFTS)  # the try before may leave yet; its copy would still be told
        return False
    return changing.written is not None and await hold(work, item, changing.written)


async def _end_closed(work: Sending, closed: MailboxClosed) -> None:
    """It lies in Drafts, and nobody may send it: failed, once the try before takes effect no more (E-11)."""
    now, mailbox = work.ctx.now(), work.ctx.mailbox
    if outbound.may_leave_yet(work.item, now):
        await postpone(work, now + outbound.ASK_AGAIN_AFTER)
        return
    reason = mailbox.closed_because if mailbox is not None else None
    await fail(work, reason or Reason.DISCONNECTED, closed.detail)


async def _refuse_if_stopped(work: Sending) -> None:
    """A stop writes the fence, so it is met here before the draft is sent again (R12). Raises ThreadStopped."""
    thread = await work.ctx.find(Thread, work.item.thread_id)
    if thread is not None and takes_no_send(thread.value, work.item):
        raise ThreadStopped
