"""How long a worker holds a send while it builds its draft, and what it means that a worker no longer answers.

A lease is a hint against double work (E-4): what guards a send is its row's ETag and the fence.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from shared.domain.model import OutboxItem, Phase
from shared.domain.retries import UNFORESEEN_SECONDS

LEASE: Final = timedelta(seconds=120)
# Longer than what is left of a lease then, no step of a draft may take: a file goes by up to three calls.
RENEW_AFTER: Final = timedelta(seconds=30)
MOST_DEATHS: Final = 5


def held_until(item: OutboxItem, now: datetime) -> datetime | None:
    """Until when another worker holds the send; None where nobody does."""
    lease = item.lease_until
    return lease if lease is not None and lease > now else None


def is_renewal_due(item: OutboxItem, now: datetime) -> bool:
    """Whether so much of the lease is used up that it is renewed before the next step."""
    lease = item.lease_until
    return lease is not None and now >= lease - LEASE + RENEW_AFTER


def is_same_hold(known: OutboxItem, found: OutboxItem) -> bool:
    """Whether a row is as its worker last wrote it, but for its time, which whoever meets the lease moves."""
    return replace(found, due_at=known.due_at) == known


def is_anothers(item: OutboxItem, claimed_build: int | None, now: datetime) -> bool:
    """Whether a failure is no longer this worker's to note, because another has taken the send over.

    `claimed_build`: the build that this worker has claimed, if any.
    """
    if claimed_build is None:
        return held_until(item, now) is not None
    is_lost = item.phase is Phase.BUILDING and (item.build != claimed_build or item.lease_until is None)
    return is_lost or item.build > claimed_build


def deaths_until_now(item: OutboxItem) -> int:
    """How many workers in a row lost the send while they built its draft, without a word: they died, or were too slow.

    Whoever notes an outcome, a failure included, gives the lease back.
    """
    lost = item.phase is Phase.BUILDING and item.lease_until is not None
    return item.deaths + 1 if lost else item.deaths


def deaths_at_tries(item: OutboxItem) -> int:
    """The same for the tries to send a draft: whoever lives notes what came of one."""
    lost = item.send_tried_at is not None and not item.tried
    return item.deaths + 1 if lost else item.deaths


def rest_after(deaths: int, jitter: float) -> timedelta:
    """How long to wait after so many deaths. `jitter` in [0, 1) parts it widely from the sends that died beside it."""
    step = min(deaths, len(UNFORESEEN_SECONDS)) - 1
    return timedelta(seconds=UNFORESEEN_SECONDS[step] * (0.5 + jitter))
