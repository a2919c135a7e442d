"""The timers' work: read the due buckets, ring for what is due, keep what is overdue on the list (E-1)."""

from __future__ import annotations

from shared.domain.model import MailboxRef
from shared.services import Services
from shared.state import keys
from shared.state.due import RENEWAL_TIMER, WORK_TIMER, timer_of
from shared.sync.queueing.jobs import enqueue

MOST_A_MAILBOX = 20
MOST_READ = 500


async def enqueue_due_work(s: Services) -> int:
    """Ring for everything but renewals. Returns how many jobs were rung."""
    return await _enqueue_timer(s, WORK_TIMER)


async def enqueue_due_renewals(s: Services) -> int:
    """Ring for renewals. Returns how many jobs were rung."""
    return await _enqueue_timer(s, RENEWAL_TIMER)


async def _enqueue_timer(s: Services, timer: str) -> int:
    """A bucket is taken off the list only after every mailbox in it was rung and, if still due, listed anew."""
    rung = 0
    for shard in range(keys.DUE_SHARDS):
        read_at = s.clock.now()
        buckets = await s.due.due_buckets(timer, shard)
        mailboxes = dict.fromkeys(mailbox for one in buckets for mailbox in one.mailboxes)
        for mailbox in mailboxes:
            rung += await _enqueue_mailbox(s, mailbox, timer)
        await s.due.finish(buckets, timer, shard, read_at)
    return rung


async def _enqueue_mailbox(s: Services, mailbox: MailboxRef, timer: str) -> int:
    """One mailbox's backlog is worked in slices (E-24); whatever is due stays listed until it is done."""
    now = s.clock.now()
    read = await s.ledger.tasks(mailbox, now, MOST_READ)
    due = [one.value for one in read if timer_of(one.value.kind) == timer]
    if due or len(read) == MOST_READ:
        await s.due.add_at(mailbox, timer, now + keys.BUCKET)
    for task in due[:MOST_A_MAILBOX]:
        await enqueue(s, mailbox, task)
    return len(due[:MOST_A_MAILBOX])
