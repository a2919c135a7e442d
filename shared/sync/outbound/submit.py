"""The one call that lets a mail leave: the recorded draft is sent, and what comes of it is noted."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from shared.domain import outbound, waiting
from shared.domain.errors import (
    Ambiguous,
    GrantDead,
    ItemGone,
    MessageRefused,
    Throttled,
    Unavailable,
    UpstreamSurprise,
)
from shared.domain.model import Phase
from shared.sync.mailbox.failures import note_pause
from shared.sync.outbound.send_row import Sending, fail, refusal_reason, save


async def submit(work: Sending) -> None:
    """Send the recorded draft; whatever is no plain yes or no is asked about in five minutes.

    Raises what keeps the call from being made: nothing was tried then.
    """
    try:
        await work.access.token()
    except (GrantDead, Throttled, Ambiguous, Unavailable, UpstreamSurprise):
        await _note_no(work, work.ctx.now())
        raise
    try:
        await work.ctx.services.mail.send(work.access, work.item.draft_graph_message_id or "")
    except MessageRefused as err:
        await _note_refusal(work, err)
    except Throttled as err:
        await note_pause(work.ctx, err.retry_after_seconds)
        await _note_no(work, work.ctx.now() + timedelta(seconds=err.retry_after_seconds))
    except GrantDead:
        await _note_no(work, work.ctx.now())
        raise
    except (Ambiguous, ItemGone, Unavailable, UpstreamSurprise):
        await save(work, replace(work.item, tried=True, deaths=0, updated_at=work.ctx.now()))
    else:
        await _note_taken(work)


async def _note_taken(work: Sending) -> None:
    """Graph said 202; that it left is told when its copy is seen in Sent Items."""
    now = work.ctx.now()
    done = replace(
        work.item,
        phase=Phase.SUBMITTED,
        taken_at=now,
        due_at=now + outbound.CONFIRM_AFTER,
        lease_until=None,
        attempts=0,
        deaths=0,
        updated_at=now,
    )
    await save(work, done)


async def _note_refusal(work: Sending, err: MessageRefused) -> None:
    """A refusal ends the send, unless an earlier try may have let it leave: that is found out first."""
    if not outbound.has_earlier_try(work.item):
        await fail(work, refusal_reason(err), err.detail)
        return
    now = work.ctx.now()
    item = replace(
        work.item,
        refusal=refusal_reason(err),
        detail=err.detail,
        tried=True,
        deaths=0,
        due_at=now + outbound.ASK_AGAIN_AFTER,
        updated_at=now,
    )
    await save(work, item)


async def _note_no(work: Sending, until: datetime) -> None:
    """A 429, a denial, or no call at all is a plain no: this try changed nothing, and the next one may come at once.

    Where no earlier try is unknown, nothing can have left.
    """
    now = work.ctx.now()
    item = replace(work.item, send_tried_at=None, tried=False, deaths=0)
    if not outbound.has_earlier_try(work.item):
        item = replace(item, awaited_since=None, plainly_refused=True)
    waits = waiting.find_waiting(item, work.ctx.mailbox, now)
    due_at = waiting.wake_at(item, waits, until, now, outbound.tell_unknown_at(item))
    await save(work, replace(item, lease_until=None, due_at=due_at, updated_at=now))
