"""Whether the timers tick and the queues are taken from: read from watermarks and queues, written nowhere."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from shared.domain import silence
from shared.domain.silence import Silence
from shared.services import Services
from shared.state import keys
from shared.state.due import RENEWAL_TIMER, WORK_TIMER
from shared.telemetry import log

TIMERS: Final = (
    ("enqueue_due_work", WORK_TIMER, timedelta(minutes=1)),
    ("renew_subscriptions", RENEWAL_TIMER, timedelta(minutes=15)),
)
LOOKED_EVERY_MINUTES: Final = 5


async def find_silent_timers(s: Services) -> list[Silence]:
    """Timers that have not run for a quarter of an hour at least beyond their time. Raises StoreUnavailable."""
    now = s.clock.now()
    found = [
        silence.of_timer(name, every, await s.due.passed_until(timer), now) for name, timer, every in TIMERS
    ]
    return [each for each in found if each is not None]


async def find_silent_queues(s: Services) -> list[Silence]:
    """Queues with a message that nobody has taken for a quarter of an hour. Raises StoreUnavailable."""
    now = s.clock.now()
    found = [silence.of_queue(queue, await s.queues.oldest_at(queue), now) for queue in keys.QUEUES]
    return [each for each in found if each is not None]


async def log_silent_queues(s: Services) -> dict[str, int]:
    """Every five minutes a line for each queue that nobody takes from, for alerts. Returns nothing to count."""
    now = s.clock.now()
    if now.minute % LOOKED_EVERY_MINUTES:
        return {}
    for found in await find_silent_queues(s):
        minutes = int((now - found.since).total_seconds() // 60)
        log.error("queue.silent", work=found.what.removeprefix("queue "), minutes=minutes)
    return {}
