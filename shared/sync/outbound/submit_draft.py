"""The fenced step to `sending`, and the one call that lets a mail leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from shared.domain import outbound
from shared.domain.errors import (
    Ambiguous,
    ItemGone,
    MailboxClosed,
    MessageRefused,
    RowChanged,
    Throttled,
    Unavailable,
)
from shared.domain.model import Draft, Mailbox, OutboxItem, Phase, Task, TaskKind
from shared.state.ledger import Change
from shared.sync.mailbox.thread_rows import thread_changes
from shared.sync.mailbox.unit_of_work import pause, through_gate
from shared.sync.outbound.send_row import Sending, fail, moved_send, refusal_reason, save
from shared.sync.queueing.jobs import enqueue


async def to_sending(work: Sending, draft: Draft) -> bool:
    """The fenced step: the draft to send, the thread and its index rows in one transaction, before the mail leaves."""
    s, now = work.s, work.s.clock.now()
    check_at = now + outbound.ASK_AGAIN_AFTER
    item = replace(
        work.item,
        phase=Phase.SENDING,
        draft_graph_message_id=draft.graph_message_id,
        draft_internet_message_id=draft.internet_message_id,
        subject=draft.subject or work.item.subject,
        send_started_at=now,
        send_tried_at=now,
        awaited_since=now,
        due_at=check_at,
        updated_at=now,
    )

    async def make(gate: Mailbox) -> tuple[Mailbox, Sequence[Change]]:
        changes = [work.stored.changed(item), *moved_send(work.item, check_at)]
        changes += await thread_changes(s, work.mailbox, gate, item, draft)
        return replace(gate, last_thread_activity_at=now), changes

    try:
        await through_gate(s, work.mailbox, item.generation, make)
    except (MailboxClosed, RowChanged):
        return False
    fresh = await s.ledger.find(work.mailbox, OutboxItem, item.key)
    if fresh is None or fresh.value != item:
        return False
    work.stored = fresh
    return True


async def submit(work: Sending) -> None:
    """Send the recorded draft; whatever is no plain yes or no is asked about in five minutes."""
    s, item = work.s, work.item
    try:
        await s.mail.send(work.access(), item.draft_graph_message_id or "")
    except MessageRefused as err:
        await fail(s, work.mailbox, work.stored, refusal_reason(err), err.detail)
        return
    except Throttled as err:
        await pause(s, work.mailbox, err.retry_after_seconds)
        await _when_the_pause_is_over(work, err.retry_after_seconds)
        return
    except (Ambiguous, ItemGone, Unavailable):
        return
    now = s.clock.now()
    confirm_at = now + outbound.CONFIRM_AFTER
    done = replace(
        item,
        phase=Phase.SUBMITTED,
        taken_at=now,
        due_at=confirm_at,
        lease_until=None,
        attempts=0,
        updated_at=now,
    )
    if await save(work, done, *moved_send(item, confirm_at)):
        await enqueue(s, work.mailbox, Task(confirm_at, TaskKind.SEND, item.key))


async def _when_the_pause_is_over(work: Sending, seconds: float) -> None:
    """A 429 is a plain no: nothing is unknown, so neither the five minutes nor the hour of an unknown outcome run."""
    now = work.s.clock.now()
    until = now + timedelta(seconds=seconds)
    item = replace(
        work.item, send_tried_at=None, awaited_since=None, lease_until=None, due_at=until, updated_at=now
    )
    if await save(work, item, *moved_send(work.item, until)):
        await enqueue(work.s, work.mailbox, Task(until, TaskKind.SEND, item.key, item.attempts))
