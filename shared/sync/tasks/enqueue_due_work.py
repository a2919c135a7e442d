"""The timers' work: read the due buckets, enqueue what is due, keep what is overdue on the list (E-1)."""

from __future__ import annotations

from functools import partial
from typing import Final

from shared.domain.model import MailboxRef
from shared.domain.tasks import in_turn
from shared.mailbox_context import MailboxContext
from shared.services import Services
from shared.state import keys
from shared.state.due import RENEWAL_TIMER, WORK_TIMER, timer_of
from shared.sync.mailbox.failures import attempt_apart
from shared.sync.queueing.jobs import enqueue_all
from shared.sync.tasks.sweep_after_outage import note_standstill
from shared.telemetry import log

MOST_A_MAILBOX: Final = 20
MOST_READ: Final = 500


async def enqueue_due_work(s: Services) -> dict[str, int]:
    """Enqueue everything that is due but renewals.

    Returns how many tasks were `enqueued`, and how many mailboxes `skipped` because their work could not be read.
    """
    await note_standstill(s)
    return await _enqueue(s, WORK_TIMER)


async def enqueue_due_renewals(s: Services) -> dict[str, int]:
    """Enqueue the renewals that are due; returns the same."""
    return await _enqueue(s, RENEWAL_TIMER)


async def take_off_list(s: Services) -> dict[str, int]:
    """The last chore of a tick: what was read is taken off the list, and the watermark says that the tick has ended."""
    await s.due.finish_read()
    return {}


async def _enqueue(s: Services, timer: str) -> dict[str, int]:
    """A bucket is taken off the list only after every mailbox in it was read and, if still due, listed anew.

    That is done when the tick ends (`take_off_list`). A mailbox whose work cannot be read is listed anew as well, and
    holds up nobody.
    """
    tasks = skipped = 0
    for shard in range(keys.DUE_SHARDS):
        read_at = s.clock.now()
        buckets = await s.due.due_buckets(timer, shard)
        for ref in s.due.ordered(buckets):
            done = await attempt_apart(partial(_enqueue_mailbox, s, ref, timer))
            if isinstance(done, Exception):
                log.error("mailbox.skipped", error=type(done).__name__, mailbox=ref.mailbox_id)
                await s.due.skip(ref, timer)
                skipped += 1
            else:
                s.due.read(ref)
                tasks += done
        s.due.finish_later(buckets, timer, shard, read_at)
    return {"enqueued": tasks, "skipped": skipped}


async def _enqueue_mailbox(s: Services, ref: MailboxRef, timer: str) -> int:
    """One mailbox's backlog is worked in slices (E-24); whatever is due stays listed until it is done.

    So does what only a newer version knows: its own timer may run at another time, or in another deployment.
    """
    now = s.clock.now()
    read = await s.ledger.due_tasks(ref, now, MOST_READ)
    due = [task.value for task in read.tasks if timer_of(task.value.kind) == timer]
    if due or read.more:
        await s.due.add_at(ref, timer, now + keys.BUCKET)
    chosen = s.due.unannounced(ref, in_turn(due)[:MOST_A_MAILBOX])
    await enqueue_all(MailboxContext(s, ref), chosen)
    s.due.announced(ref, chosen)
    return len(chosen)
