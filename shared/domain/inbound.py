"""What to do with a mail of the mailbox that a notification or a sweep pointed at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from shared.domain.model import (
    Evidence,
    FenceState,
    Mailbox,
    Outline,
    Reason,
    Right,
    Seen,
)
from shared.domain.renewals import SWEEP_OVERLAP

VANISHED_TRIES_SECONDS: Final = (60.0, 180.0, 360.0)
CLOCKS_DIFFER: Final = timedelta(minutes=2)
SWEPT_AGAIN_WITHIN: Final = timedelta(days=7)
COPY_UNSEEN_WITHIN: Final = timedelta(minutes=10)
COPY_TRIES_SECONDS: Final = (20.0, 20.0, 30.0)


@dataclass(frozen=True, slots=True)
class Skip:
    """Nothing of it is kept, and this is why."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Wait:
    """Look again at that time. `counts` is 1 where this look was one of a few, 0 where nobody looked at all."""

    until: datetime
    counts: int = 0


@dataclass(frozen=True, slots=True)
class Look:
    """Read its outline, and nothing more of it yet."""


@dataclass(frozen=True, slots=True)
class Echo:
    """It is a send of ours, seen in the mailbox."""

    key: str


@dataclass(frozen=True, slots=True)
class Trace:
    """Ask whether its threading tags lead to a thread."""


@dataclass(frozen=True, slots=True)
class Import:
    """It belongs to this thread: bring it into the CRM, or record why not."""

    thread_id: str
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Hold:
    """It belongs to a thread and cannot be decided on yet: it is noted, and looked at again at that time (R14)."""

    until: datetime


def decide_before_looking(
    mailbox: Mailbox | None,
    generation: int | None,
    seen: Seen | None,
    now: datetime,
    *,
    hinted: bool = False,
    again: bool = False,
) -> Skip | Wait | Look:
    """Decide without a call to Graph: a shut mailbox, an older generation and a seen mail cost nothing.

    A held mail is let through only `again`, by its own task: until that is due nobody else looks at it.

    While the grant is dead a hint is no work either: the sweep after its repair begins before this mail (R9).
    """
    if mailbox is None or mailbox.state is FenceState.CLOSED:
        return Skip(Reason.DISCONNECTED)
    if generation is not None and generation != mailbox.generation:
        return Skip(Reason.STALE)
    if seen is not None and not (again and seen.held is not None):
        return Skip(Reason.ALREADY_SEEN)
    if hinted and _reads_nothing(mailbox) and mailbox.sweep_at is not None:
        return Skip(Reason.GRANT_DEAD)
    if mailbox.paused_until is not None and mailbox.paused_until > now:
        return Wait(mailbox.paused_until)
    return Look()


def _reads_nothing(mailbox: Mailbox) -> bool:
    """Graph may have denied another right, and let mail be read."""
    may_read = mailbox.denied_by_graph and mailbox.denied_right not in {None, Right.READ}
    return mailbox.grant_dead and not may_read


def decide_by_outline(outline: Outline) -> Skip | Echo | Trace:
    """Decide by ids and tags alone. A draft is nothing yet: it enters when it is sent."""
    if outline.is_draft:
        return Skip(Reason.DRAFT)
    if outline.key is not None:
        return Echo(outline.key)
    return Trace()


def after_move(outline: Outline, found: Iterable[Outline]) -> str | None:
    """The graph_message_id that a mail has now which is not there under its own, of those with its Message-ID.

    A move by Outlook for Windows changes even immutable ids (microsoft-graph-docs issue 21247); it changes neither
    conversation nor time. Some programs use one Message-ID for many mails.
    """
    same = (
        other.graph_message_id
        for other in found
        if other.graph_message_id != outline.graph_message_id
        and not other.is_draft
        and (other.internet_message_id, other.conversation_id, other.received_at)
        == (outline.internet_message_id, outline.conversation_id, outline.received_at)
    )
    return next(same, None)


def answers_missed_since(outline: Outline, listed_since: datetime | None, now: datetime) -> datetime | None:
    """Since when mails may have come that answer this one and were taken for foreign, because it was not known yet.

    Nothing is missing where the next sweep looks that far back, or where the sweep that found the mail lists everything
    since before it (`listed_since`): no mail is older than what it answers.
    """
    received_at = outline.received_at
    if received_at is None or now - received_at <= SWEEP_OVERLAP - CLOCKS_DIFFER:
        return None
    if listed_since is not None and listed_since <= received_at:
        return None
    return received_at


def is_long_ago(since: datetime, now: datetime) -> bool:
    """Whether a sweep from there would list too much."""
    return now - since > SWEPT_AGAIN_WITHIN


def may_answer(other: Outline, outline: Outline) -> bool:
    """Whether another mail of its conversation may answer this one: it has left, and came later."""
    if other.is_draft or other.graph_message_id == outline.graph_message_id:
        return False
    times = (other.received_at, outline.received_at)
    return times[0] is None or times[1] is None or times[0] >= times[1]


def may_answer_an_unseen_copy(outline: Outline, mailbox: Mailbox, looks: int, now: datetime) -> bool:
    """Whether tags that lead nowhere may name a sent copy that was not seen yet.

    Some copies leave with another Message-ID than their draft's, and a fast answer can be here before the copy is.
    Mail without tags, and any mail of a mailbox from which nothing has just been sent, is never asked about again.
    """
    tagged = outline.in_reply_to is not None or bool(outline.references)
    active = mailbox.last_active_at
    recent = active is not None and now - active <= COPY_UNSEEN_WITHIN
    return tagged and recent and looks < len(COPY_TRIES_SECONDS)


def decide_unknown(
    outline: Outline, looks: int, now: datetime, copies_unseen_since: datetime | None
) -> Wait | Skip:
    """A mail that no evidence leads anywhere is foreign, unless the copy that it answers may still be coming.

    No answer is older than what it answers: old mail that the user touches meanwhile is foreign at once.
    """
    since, received_at = copies_unseen_since, outline.received_at
    may_answer = since is not None and (received_at is None or received_at >= since - CLOCKS_DIFFER)
    if may_answer and looks < len(COPY_TRIES_SECONDS):
        return Wait(now + timedelta(seconds=COPY_TRIES_SECONDS[looks]), counts=1)
    return Skip(Reason.FOREIGN)


def decide_missing(looks: int, now: datetime) -> Wait | Skip:
    """A 404 is looked at three times over ten minutes; then it has vanished; a sweep that lists it looks anew."""
    if looks < len(VANISHED_TRIES_SECONDS):
        return Wait(now + timedelta(seconds=VANISHED_TRIES_SECONDS[looks]), counts=1)
    return Skip(Reason.VANISHED)
