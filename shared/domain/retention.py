"""How long the words and files of mails are kept here; the CRM and the mailbox are where they live (D-1, F-5)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from shared.domain.model import Event, OutboxItem, Phase, Reason, Task, TaskKind

KEPT_ONCE_TOLD: Final = timedelta(days=7)  # as long as the links in an event are good
KEPT_AT_MOST: Final = timedelta(days=35)
LOOK_EVERY: Final = timedelta(days=1)
LEAVES_ITS_DRAFT: Final = frozenset({Reason.LEFT_IN_DRAFTS, Reason.WAITED_TOO_LONG})


def content_until(event: Event) -> datetime:
    """Until when the content of a mail's event is kept: a week after the CRM has it, five weeks if it never took it."""
    latest = event.at + KEPT_AT_MOST
    return min(event.delivered_at + KEPT_ONCE_TOLD, latest) if event.delivered_at is not None else latest


def is_needed(item: OutboxItem) -> bool:
    """Whether body and files of a send may still be asked for: it may yet leave, or its user may send its draft."""
    return not item.phase.final or (item.phase is Phase.FAILED and item.reason in LEAVES_ITS_DRAFT)


def next_look(now: datetime, kept: datetime | None, youngest: datetime | None) -> datetime:
    """When to look again: as soon as the first of what is kept is over, but not more often than once a day.

    `kept`: until when that is; `youngest`: when the first event was recorded that is too young to be over.
    """
    ends = [end for end in (kept, youngest + KEPT_ONCE_TOLD if youngest else None) if end is not None]
    return max(now + LOOK_EVERY, min(ends, default=now + KEPT_ONCE_TOLD))


def first_erasure(now: datetime) -> Task:
    """The walk that begins with a mailbox's first connection; from then on there is always one planned."""
    return Task(now + KEPT_ONCE_TOLD, TaskKind.ERASE, "")
