"""After an outage of ours every mailbox is swept within a quarter of an hour: its hints may have been lost (E-25).

Graph repeats a notification that nobody takes for up to four hours, and drops some before: then only a sweep finds the
mail, and a quiet mailbox is swept every six hours. Every mailbox that is swept at all is listed in `Due` for the time
of its next sweep, so the list of the hours to come names them all, and no table is scanned.
Source: Microsoft Graph, "Receive change notifications through webhooks" (retries, slow and drop states).
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Final

from shared.domain import renewals
from shared.domain.model import MailboxRef
from shared.mailbox_context import MailboxContext
from shared.services import Services
from shared.state import keys
from shared.state.chores import FailingChore
from shared.state.due import WORK_TIMER
from shared.sync.mailbox.failures import attempt_apart
from shared.sync.mailbox.subscriptions import sweep_by
from shared.telemetry import log

# Ticks come each minute, and the watermark stands at most eight minutes behind: so ten minutes without one are noted.
OUTAGE_LAG: Final = timedelta(minutes=12)
OUTAGE: Final = timedelta(minutes=10)
SPREAD: Final = timedelta(minutes=10)
MOST_A_TICK: Final = 500
LISTED_AHEAD: Final = renewals.SWEEP_IDLE_EVERY + 2 * keys.BUCKET


async def note_standstill(s: Services) -> None:
    """Where the list of due work was not read for a while, note that mailboxes are to be swept.

    Once for each time at which it came to stand, however long that is. To be called before it is read again, for that
    forgets how long it was. Raises StoreUnavailable.
    """
    read_until = await s.due.passed_until(WORK_TIMER)
    if read_until is None or s.clock.now() - read_until < OUTAGE_LAG:
        return
    if await s.catch_ups.begin_once(keys.bucket_of(read_until)):
        log.error("outage.over", work="enqueue_due_work")


async def note_recovery(s: Services, ended: list[FailingChore]) -> None:
    """The same where a chore works again that failed for a while: its queue may have taken no hints meanwhile."""
    lasting = [chore for chore in ended if s.clock.now() - chore.since >= OUTAGE]
    if lasting:
        log.error("outage.over", work=lasting[0].name)
        await s.catch_ups.begin()


async def sweep_after_outage(s: Services) -> dict[str, int]:
    """Bring forward the sweeps of some hundred mailboxes, spread over ten minutes; the next tick goes on."""
    bucket = await s.catch_ups.next_bucket()
    if bucket is None:
        return {}
    end = keys.bucket_of(s.clock.now() + LISTED_AHEAD)
    found = 0
    for listed in await s.due.listed(WORK_TIMER, bucket, end):
        if found >= MOST_A_TICK:
            await s.catch_ups.go_on(listed.bucket)
            return {}
        for ref in listed.mailboxes:
            await attempt_apart(
                partial(_bring_forward, s, ref)
            )  # closed, or its rows fail: its own work goes on
        found += len(listed.mailboxes)
    await s.catch_ups.end()
    return {}


async def _bring_forward(s: Services, ref: MailboxRef) -> None:
    await sweep_by(MailboxContext(s, ref), s.clock.now() + SPREAD * s.random.jitter())
