"""The timers' work: read the due buckets, enqueue what is due, keep what is overdue on the list (E-1)."""

from __future__ import annotations

from typing import Final

from shared.domain.model import MailboxRef
from shared.mailbox_context import MailboxContext
from shared.services import Services
from shared.state import keys
from shared.state.due import RENEWAL_TIMER, WORK_TIMER, timer_of
from shared.sync.queueing.jobs import enqueue_all

MOST_A_MAILBOX: Final = 20
MOST_READ: Final = 500


async def enqueue_due_work(s: Services) -> int:
    """Enqueue everything that is due but renewals. Returns how many tasks were enqueued."""
    return await _enqueue(s, WORK_TIMER)


async def enqueue_due_renewals(s: Services) -> int:
    """Enqueue the renewals that are due. Returns how many tasks were enqueued."""
    return await _enqueue(s, RENEWAL_TIMER)


async def _enqueue(s: Services, timer: str) -> int:
    """A bucket is taken off the list only after every mailbox in it was read and, if still due, listed anew."""
    enqueued = 0
    for shard in range(keys.DUE_SHARDS):
        read_at = s.clock.now()
        buckets = await s.due.due_buckets(timer, shard)
        refs = dict.fromkeys(ref for bucket in buckets for ref in bucket.mailboxes)
        for ref in refs:
            enqueued += await _enqueue_mailbox(s, ref, timer)
        await s.due.finish(buckets, timer, shard, read_at)
    return enqueued


async def _enqueue_mailbox(s: Services, ref: MailboxRef, timer: str) -> int:
    """One mailbox's backlog is worked in slices (E-24); whatever is due stays listed until it is done."""
    now = s.clock.now()
    read = await s.ledger.tasks(ref, now, MOST_READ)
    due = [task.value for task in read if timer_of(task.value.kind) == timer]
    if due or len(read) == MOST_READ:
        await s.due.add_at(ref, timer, now + keys.BUCKET)
    await enqueue_all(MailboxContext(s, ref), due[:MOST_A_MAILBOX])
    return len(due[:MOST_A_MAILBOX])
