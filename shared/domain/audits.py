"""The daily audit: what the mailbox holds of the threads that were active lately, against what was told of them.

Notifications are hints and a sweep may be wrong: the audit asks the mailbox anew, by another property, and says a
figure. What was received is listed by outlines, and compared in memory with the Message-IDs and conversations of the
threads: a conversation alone would not do, since an answer from outside Exchange gets one of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from shared.domain.admission import ancestors, thread_is_active
from shared.domain.copies import COPY_WITHIN
from shared.domain.message_ids import normal_message_id
from shared.domain.model import Audit, Mailbox, MessageIndex, Outline, Thread
from shared.domain.renewals import ACTIVE_FOR, is_active
from shared.hashing import digest

AUDIT_EVERY: Final = timedelta(days=1)
NEXT_SLICE_AFTER: Final = timedelta(minutes=15)
PAGE: Final = 50
CALLS_A_SLICE: Final = 10
# A week is audited each day where so many pages hold it; else what came since the audit before.
CALLS_FOR_A_WEEK: Final = 20
# Younger mail may still be on its usual way: notification, its repetitions, the next sweep.
ON_ITS_WAY: Final = timedelta(minutes=30)
# What an audit has judged and left out is not judged again by the next; it may have come while that one began.
JUDGED_BEFORE: Final = timedelta(hours=1)
_SPREAD: Final = 1_000


@dataclass(frozen=True, slots=True)
class KnownThreads:
    """The threads that are audited, with what leads to them: Message-IDs in normal form, and conversations."""

    threads: int
    message_ids: frozenset[str]
    conversation_ids: frozenset[str]

    def may_hold(self, outline: Outline) -> bool:
        """Whether a mail may be of one of them: by our key, its Message-ID, its tags or its conversation."""
        if outline.is_draft:
            return False
        named = {ancestor.internet_message_id for ancestor in ancestors(outline)}
        own = normal_message_id(outline.internet_message_id or "")
        return (
            outline.key is not None
            or outline.conversation_id in self.conversation_ids
            or not self.message_ids.isdisjoint({own, *named})
        )


def with_audit_planned(mailbox: Mailbox, now: datetime) -> Mailbox:
    """The mailbox with its first audit within a day, spread over the mailboxes; one that is planned stays."""
    if mailbox.audit_at is not None or not is_active(mailbox, now):
        return mailbox
    part = int(digest("audit", mailbox.connection_id), 36) % _SPREAD / _SPREAD
    return replace(mailbox, audit_at=now + AUDIT_EVERY * part)


def begin_audit(mailbox: Mailbox, now: datetime) -> Audit:
    """The audit under way, or a new one; what another connection had begun is not gone on with."""
    under_way = mailbox.auditing
    if under_way is not None and under_way.generation == mailbox.generation:
        return under_way
    since = _since(_of_generation(mailbox.audited, mailbox), now)
    return Audit(now, mailbox.generation, since, since)


def _of_generation(audit: Audit | None, mailbox: Mailbox) -> Audit | None:
    return audit if audit is not None and audit.generation == mailbox.generation else None


def _since(before: Audit | None, now: datetime) -> datetime:
    """A week back; in a mailbox that gets very much mail, an hour before the audit before."""
    week = now - ACTIVE_FOR
    if before is None:
        return week
    days = max((before.began_at - before.since) / AUDIT_EVERY, 1.0)
    needed = before.calls / days * (ACTIVE_FOR / AUDIT_EVERY)
    return week if needed <= CALLS_FOR_A_WEEK else max(week, before.began_at - JUDGED_BEFORE)


def until(audit: Audit) -> datetime:
    """Until when received mail is audited."""
    return audit.began_at - ON_ITS_WAY


def known_threads(
    threads: Iterable[Thread], indexes: Iterable[MessageIndex], mailbox: Mailbox, audit: Audit
) -> KnownThreads:
    """The threads that sync and were active within a week, with what is known of them."""
    active = {
        thread.thread_id: thread
        for thread in threads
        if thread_is_active(thread, mailbox) and _active_at(thread) >= audit.began_at - ACTIVE_FOR
    }
    names = (index.internet_message_id for index in indexes if index.thread_id in active)
    conversations = (each for thread in active.values() for each in thread.conversation_ids)
    return KnownThreads(len(active), frozenset(map(normal_message_id, names)), frozenset(conversations))


def _active_at(thread: Thread) -> datetime:
    return max(thread.newest_at or thread.active_from, thread.active_from)


def was_judged(outline: Outline, mailbox: Mailbox) -> bool:
    """Whether the audit before this one has looked at a mail that nobody knows, and found that it is of no thread."""
    at, before = outline.received_at, _of_generation(mailbox.audited, mailbox)
    return before is not None and at is not None and before.since <= at < before.began_at - JUDGED_BEFORE


def is_copy(outline: Outline, index: MessageIndex | None) -> bool:
    """Whether a mail that nobody knows by its id has the Message-ID and the time of one that is known."""
    if index is None:
        return False
    at = outline.received_at
    times = (index.at, *(other.at for other in index.others))
    return at is None or any(abs(at - known) <= COPY_WITHIN for known in times)


def after_page(audit: Audit, outlines: Iterable[Outline]) -> Audit | None:
    """The audit behind this page, which may have been cut off anywhere; None at the end, which an empty page is."""
    rows = list(outlines)
    if not rows:
        return None
    times = [outline.received_at for outline in rows if outline.received_at is not None]
    newest = max(times, default=audit.place).replace(microsecond=0)
    if newest <= audit.place:
        return replace(audit, skip=audit.skip + len(rows))
    return replace(audit, place=newest, skip=sum(at >= newest for at in times))


def after_slice(mailbox: Mailbox, audit: Audit, now: datetime, *, ended: bool) -> Mailbox:
    """The mailbox after a slice: with the figure where the audit has ended, and the time of the next slice or audit."""
    if not ended:
        return replace(mailbox, auditing=audit, audit_at=now + NEXT_SLICE_AFTER)
    done = replace(audit, ended_at=now, failures=0)
    next_at = max(audit.began_at + AUDIT_EVERY, now + NEXT_SLICE_AFTER)
    return replace(
        mailbox, audited=done, auditing=None, audit_at=next_at if is_active(mailbox, now) else None
    )


def after_failure(mailbox: Mailbox, until: datetime | None, failures: int, now: datetime) -> Mailbox:
    """The mailbox whose audit failed: the slice is tried again then; given up (None), all of it is tomorrow."""
    if until is None:
        return replace(mailbox, auditing=None, audit_at=now + AUDIT_EVERY)
    audit = replace(begin_audit(mailbox, now), failures=failures)
    return replace(mailbox, auditing=audit, audit_at=max(until, now + NEXT_SLICE_AFTER))
