"""The timers' work: read the due buckets, ring for what is due, keep what is overdue on the list (E-1)."""

from __future__ import annotations

from shared.domain.model import MailboxRef
from shared.services import Services
from shared.state import keys
from shared.state.due import RENEWAL_LANE, WORK_LANE, lane_of
from shared.sync.doorbells import ring

MOST_A_MAILBOX = 20
MOST_READ = 500


async def ring_due_work(s: Services) -> int:
    """Ring for everything but renewals. Returns how many doorbells were rung."""
    return await _ring_lane(s, WORK_LANE)


async def ring_due_renewals(s: Services) -> int:
    """Ring for renewals. Returns how many doorbells were rung."""
    return await _ring_lane(s, RENEWAL_LANE)


async def _ring_lane(s: Services, lane: str) -> int:
    """A bucket is taken off the list only after every mailbox in it was rung and, if still due, listed anew."""
    rung = 0
    for shard in range(keys.DUE_SHARDS):
        read_at = s.clock.now()
        buckets = await s.due.due_buckets(lane, shard)
        mailboxes = dict.fromkeys(mailbox for one in buckets for mailbox in one.mailboxes)
        for mailbox in mailboxes:
            rung += await _ring_mailbox(s, mailbox, lane)
        await s.due.finish(buckets, lane, shard, read_at)
    return rung


async def _ring_mailbox(s: Services, mailbox: MailboxRef, lane: str) -> int:
    """One mailbox's backlog is worked in slices (E-24); whatever is due stays listed until it is done."""
    now = s.clock.now()
    read = await s.ledger.todos(mailbox, now, MOST_READ)
    due = [one.value for one in read if lane_of(one.value.work) == lane]
    if due or len(read) == MOST_READ:
        await s.due.promise_at(mailbox, lane, now + keys.BUCKET)
    for todo in due[:MOST_A_MAILBOX]:
        await ring(s, mailbox, todo)
    return len(due[:MOST_A_MAILBOX])
