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
)
from shared.domain.model import Phase
from shared.sync.mailbox.failures import note_pause
from shared.sync.outbound.send_row import Sending, fail, refusal_reason, save


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
