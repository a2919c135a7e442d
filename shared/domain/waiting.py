"""A send that cannot leave now: what it waits for, since when, and when its time is over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from shared.domain.connection import outage_since
from shared.domain.model import FenceState, Mailbox, OutboxItem, Phase, WaitsFor

TOLD_AFTER: Final = timedelta(minutes=5)
# A call or two that Graph does not answer are tried again before anybody would notice.
UNAVAILABLE_AFTER: Final = timedelta(minutes=1)
BEFORE_SENDING: Final = frozenset({Phase.NEW, Phase.BUILDING})


def can_wait(item: OutboxItem) -> bool:
    """Whether nothing of the send can have left: no try was made, or the last one was plainly refused."""
    return item.phase in BEFORE_SENDING or is_plainly_refused(item)


def is_plainly_refused(item: OutboxItem) -> bool:
    """Whether Graph said no to the last try to send the draft: a pause, or a consent that it does not accept."""
    return item.phase is Phase.SENDING and item.plainly_refused


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a send waits for, and since when."""

    waits_for: WaitsFor
    since: datetime


def find_waiting(
    item: OutboxItem, mailbox: Mailbox | None, now: datetime, *, original_is_on_its_way: bool = False
) -> Waiting | None:
    """What keeps a send from leaving; None where nothing does, or where it is no longer to leave.

    `original_is_on_its_way`: it answers a mail that has not left itself.
    """
    if mailbox is None or not can_wait(item):
        return None
    if mailbox.state is FenceState.CLOSED or mailbox.generation != item.generation:
        return None  # it ends
    if mailbox.grant_dead:
        return _waiting(WaitsFor.SIGN_IN, item, mailbox.grant_dead_since)
    if mailbox.paused_until is not None and mailbox.paused_until > now:
        return _waiting(WaitsFor.MICROSOFT_PAUSE, item, mailbox.paused_since)
    failing_since = _failing_since(item, mailbox, now)
    if failing_since is not None:
        return _waiting(WaitsFor.MAILBOX_UNAVAILABLE, item, failing_since)
    return _waiting(WaitsFor.FIRST_MAIL_OF_THREAD, item, None) if original_is_on_its_way else None


def _failing_since(item: OutboxItem, mailbox: Mailbox, now: datetime) -> datetime | None:
    """Since when the send, or every call for the mailbox, fails for more than a minute."""
    if item.failing_since is not None and now >= item.failing_since + UNAVAILABLE_AFTER:
        return item.failing_since
    since, failed_at = outage_since(mailbox, now), mailbox.failed_at
    lasts = since is not None and failed_at is not None and failed_at >= since + UNAVAILABLE_AFTER
    return since if lasts else None


def _waiting(waits_for: WaitsFor, item: OutboxItem, since: datetime | None) -> Waiting:
    """No send waits since before it was accepted."""
    return Waiting(waits_for, max(item.created_at, since or item.created_at))


def is_to_be_told(item: OutboxItem, waiting: Waiting | None, now: datetime) -> bool:
    """Whether the CRM has to hear that a send waits: once, after five minutes, and not where its time is over."""
    if waiting is None or item.waiting_told:
        return False
    return waiting.since + TOLD_AFTER <= now < send_by(item)


def send_by(item: OutboxItem) -> datetime:
    """Until when a send may leave; after that nobody expects it any more."""
    return item.created_at + timedelta(seconds=item.send_within_seconds)


def wake_at(
    item: OutboxItem,
    waiting: Waiting | None,
    until: datetime,
    now: datetime,
    tell_unknown_at: datetime | None = None,
) -> datetime:
    """When a send that is put off until then is taken up: before it, to be told of or to be ended.

    `tell_unknown_at`: when the CRM is to hear that nobody knows what became of it.
    """
    if not can_wait(item):
        return max(now, min(until, tell_unknown_at or until))
    told_at = waiting.since + TOLD_AFTER if waiting is not None and not item.waiting_told else until
    return max(now, min(until, told_at, send_by(item)))
