"""A step of a send failed, or the workers at it died: it is tried later, or ends with the truth told."""

from __future__ import annotations

from dataclasses import replace

from shared.domain import outbound, waiting
from shared.domain.draft_files import MOST_INCOMPLETE_DRAFTS
from shared.domain.errors import (
    AccessRefused,
    DraftIncomplete,
    GrantDead,
    MailboxUnusable,
)
from shared.domain.leases import is_anothers
from shared.domain.model import OutboxItem, Phase, Reason, Task
from shared.domain.retries import Failed, GiveUp, is_outage
from shared.mailbox_context import MailboxContext
from shared.sync.outbound.send_row import Sending, fail, finish, postpone
from shared.sync.outbound.unknown_sends import stop_looking, tell_unknown
from shared.sync.queueing.given_up import decide_verdict


async def reschedule_send(ctx: MailboxContext, task: Task, failed: Failed) -> None:
    """A step of the send failed: try later. Given up, it ends while nothing can have left; after that it is watched.

    An hour after a try that may have let it leave the CRM hears that nobody knows, also where nobody can be asked.
    Tidying up does not wait for a grant.
    """
    stored = await ctx.find(OutboxItem, task.ref)
    if stored is None or stored.value.due_at is None:
        return
    item, work = stored.value, Sending(ctx, stored)
    if is_anothers(item, ctx.claimed_build, failed.at):
        return
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
        rescheduled = replace(
            item,
            attempts=verdict.attempts,
            deaths=0,
            failing_since=item.failing_since or failed.at if is_outage(failed.error) else None,
        )
        work.stored = stored.changed(rescheduled)
        if outbound.is_to_be_told_unknown(rescheduled, failed.at):
            await tell_unknown(work)  # nobody can be asked
            return
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
    match outbound.decide_by_whereabouts(item, None, (), failed.at):
        case outbound.TellUnknown():
            await tell_unknown(work)
        case outbound.StopLooking():
            await stop_looking(work)
        case _:
            await postpone(work, failed.at + outbound.LOOK_UP_EVERY)
