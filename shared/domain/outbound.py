"""A CRM send, step by step: which step comes next, and never a second mail.

The phases and their reasons stand in E-10 to E-14. Before `sending`, drafts are cheap: a fresh one per build, never
adopted, never shared. From `sending` on there is one draft id, and only that id is ever sent (again).

RFC 5322, 3.6.4, for replies: In-Reply-To names the parent, References its ancestors; Graph's createReply sets both.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from shared.domain.connection import may_be_asked, probe_at
from shared.domain.leases import MOST_DEATHS, deaths_until_now, held_until
from shared.domain.message_ids import is_same_message_id
from shared.domain.model import (
    FenceState,
    Located,
    Mailbox,
    MessageStatus,
    OutboxItem,
    Outline,
    Phase,
    Reason,
    Whereabouts,
)
from shared.domain.renewals import SWEEP_OVERLAP
from shared.domain.waiting import is_plainly_refused, send_by

ASK_AGAIN_AFTER: Final = timedelta(seconds=300)
UNKNOWN_AFTER: Final = timedelta(hours=1)
CONFIRM_AFTER: Final = timedelta(seconds=60)
LOOK_UP_EVERY: Final = timedelta(minutes=15)
GIVE_UP_LOOKING_AFTER: Final = timedelta(days=7)
MAY_HAVE_LEFT: Final = frozenset({Phase.SENDING, Phase.SUBMITTED, Phase.NEEDS_ATTENTION})
STATUS_OF_PHASE: Final = {
    Phase.NEW: MessageStatus.ACCEPTED,
    Phase.BUILDING: MessageStatus.SENDING,
    Phase.SENDING: MessageStatus.SENDING,
    Phase.SUBMITTED: MessageStatus.SENDING,
    Phase.NEEDS_ATTENTION: MessageStatus.NEEDS_ATTENTION,
    Phase.SENT: MessageStatus.SENT,
    Phase.FAILED: MessageStatus.FAILED,
}


@dataclass(frozen=True, slots=True)
class Nothing:
    """The send is done, or it never was."""


@dataclass(frozen=True, slots=True)
class Held:
    """Another worker is at it until then, unless it renews its lease or dies."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Later:
    """Come back at that time; no attempt is counted."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Build:
    """Make a fresh draft and send it; `build` numbers this try and fences older workers.

    `deaths`: so many workers in a row were lost over it.
    """

    build: int
    deaths: int = 0


@dataclass(frozen=True, slots=True)
class Rest:
    """Workers die over it: nobody takes it up for a while, so that what dies beside it by chance is parted from it."""

    deaths: int


@dataclass(frozen=True, slots=True)
class GiveUp:
    """So many workers died over it that no other is to: it ends, and operators see it."""


@dataclass(frozen=True, slots=True)
class Ask:
    """It is unknown whether the mail left: ask the mailbox before anything else."""


@dataclass(frozen=True, slots=True)
class SendAgain:
    """The very same draft still lies in Drafts: send that id."""


@dataclass(frozen=True, slots=True)
class StopLooking:
    """A week has passed, or nobody may ask: it stays unknown, and nobody asks any more.

    A copy that is seen by chance still counts.
    """


@dataclass(frozen=True, slots=True)
class Tidy:
    """The send is over: drafts of its other builds are taken out of the user's Drafts (E-11)."""


@dataclass(frozen=True, slots=True)
class Confirm:
    """The sent copy was found."""

    located: Located


@dataclass(frozen=True, slots=True)
class Fail:
    """The send ends, and the CRM is told why."""

    reason: Reason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class TellUnknown:
    """An hour has passed, or nobody may ask: the CRM is told that nobody knows, and the looking goes on if it can."""


Step = Nothing | Held | Later | Build | Rest | Ask | Fail | GiveUp | Tidy | TellUnknown | StopLooking


def decide_next_step(item: OutboxItem, mailbox: Mailbox | None, now: datetime) -> Step:
    """What a worker does first that takes this send up."""
    held_by_another = held_until(item, now)
    if held_by_another is not None:
        return Held(held_by_another)
    if item.phase.final:
        return Tidy() if item.due_at is not None else Nothing()
    if item.phase in (Phase.NEW, Phase.BUILDING):
        return _before_sending(item, mailbox, now)
    return _after_sending(item, mailbox, now) if mailbox is not None else Nothing()


def _after_sending(
    item: OutboxItem, mailbox: Mailbox, now: datetime
) -> Later | Ask | Fail | TellUnknown | StopLooking:
    is_open = mailbox.state is FenceState.OPEN and mailbox.generation == item.generation
    if is_plainly_refused(item) and (not is_open or now >= send_by(item)):
        return Fail(_closed_because(mailbox) if not is_open else Reason.WAITED_TOO_LONG)
    if not is_open and not may_be_asked(mailbox, item.generation, now):
        # It may have left, and nobody may ask any more.
        return StopLooking() if item.unconfirmed_told else TellUnknown()
    if (
        item.phase is Phase.SENDING
        and item.send_tried_at is not None
        and now < item.send_tried_at + ASK_AGAIN_AFTER
    ):
        return Later(item.send_tried_at + ASK_AGAIN_AFTER)
    kept = _unless_kept(mailbox, now)
    if kept is not None and is_to_be_told_unknown(item, now):
        return TellUnknown()  # nobody can be asked, and the CRM is to know that nobody knows
    return kept or Ask()


def _before_sending(
    item: OutboxItem, mailbox: Mailbox | None, now: datetime
) -> Later | Build | Rest | Fail | GiveUp:
    if mailbox is None or mailbox.state is FenceState.CLOSED or mailbox.generation != item.generation:
        return Fail(_closed_because(mailbox))
    if now >= send_by(item):
        return Fail(Reason.WAITED_TOO_LONG)
    deaths = deaths_until_now(item)
    if deaths >= MOST_DEATHS:
        return GiveUp()
    if deaths > item.deaths > 0:
        return Rest(deaths)
    return _unless_kept(mailbox, now) or Build(item.build + 1, deaths)


def _closed_because(mailbox: Mailbox | None) -> Reason:
    if mailbox is None or mailbox.state is FenceState.CLOSED:
        return (mailbox.closed_because if mailbox is not None else None) or Reason.DISCONNECTED
    return Reason.MAILBOX_CHANGED


def _unless_kept(mailbox: Mailbox, now: datetime) -> Later | None:
    """No call is made during a pause, and none with a dead consent before it may be tried again."""
    ends = [until for until in (mailbox.paused_until, probe_at(mailbox)) if until is not None and until > now]
    return Later(max(ends)) if ends else None


def decide_by_whereabouts(
    item: OutboxItem, by_id: Located | None, by_key: tuple[Located, ...], now: datetime
) -> Confirm | SendAgain | Later | Fail | TellUnknown | StopLooking:
    """What the mailbox's answer means for a send whose outcome was unknown or unconfirmed.

    `by_id` is the recorded draft id looked up (None: 404), `by_key` everything that carries K or has its Message-ID.
    """
    sent = [located for located in (by_id, *by_key) if located and located.whereabouts is Whereabouts.SENT]
    if sent:
        return Confirm(sent[0])
    if by_id is not None:
        return _by_id(item, by_id.whereabouts, now)
    deleted = [located for located in by_key if _is_the_recorded_draft(item, located)]
    if deleted:
        return Fail(Reason.CANCELLED_IN_MAILBOX)
    return _keep_asking(item, now)


def _by_id(
    item: OutboxItem, whereabouts: Whereabouts, now: datetime
) -> SendAgain | Later | Fail | TellUnknown | StopLooking:
    if whereabouts is Whereabouts.DELETED_DRAFT:
        return Fail(Reason.CANCELLED_IN_MAILBOX)
    if whereabouts is not Whereabouts.DRAFT or item.phase is Phase.SUBMITTED or item.taken_at is not None:
        return _keep_asking(item, now)
    since = unknown_since(item) or now
    hour_is_over = now >= max(since, item.send_tried_at or since) + UNKNOWN_AFTER
    if item.refusal is not None:
        return Fail(item.refusal, item.detail or "") if hour_is_over else _keep_asking(item, now)
    within_the_hour = item.phase is Phase.SENDING and now < since + UNKNOWN_AFTER
    if now < send_by(item) and (within_the_hour or not item.tried):
        return SendAgain()
    if not item.tried:
        return Fail(Reason.WAITED_TOO_LONG)
    # Later people do not expect it any more. It was read just now: nothing came of the last try either.
    return Fail(Reason.LEFT_IN_DRAFTS) if hour_is_over else _keep_asking(item, now)


def _is_the_recorded_draft(item: OutboxItem, located: Located) -> bool:
    return located.whereabouts is Whereabouts.DELETED_DRAFT and is_same_message_id(
        located.outline.internet_message_id, item.draft_internet_message_id
    )


def is_its_copy(item: OutboxItem, graph_message_id: str, internet_message_id: str | None) -> bool:
    """Whether a mail is what became of the draft of a send that has left, whatever else sending changed of it."""
    if item.phase not in MAY_HAVE_LEFT:
        return False
    return is_its_draft(item, graph_message_id, internet_message_id)


def is_its_draft(item: OutboxItem, graph_message_id: str, internet_message_id: str | None) -> bool:
    """Whether these name the draft that was to be sent; sending or a move may have changed either (E-12)."""
    same = is_same_message_id(internet_message_id, item.draft_internet_message_id)
    return same or graph_message_id == item.draft_graph_message_id


def answers_unknown_since(item: OutboxItem, copy: Outline, now: datetime) -> datetime | None:
    """Since when answers may have come that no evidence led to, because the copy they answer came so late.

    Nothing is missing where the copy kept its draft's Message-ID, or came while a sweep still looks that far back.
    A draft that was left, and sent by the user months later, was not answered before.
    """
    started, name = item.send_started_at, copy.internet_message_id
    if started is None or name is None or is_same_message_id(name, item.draft_internet_message_id):
        return None
    left_at = max(started, copy.received_at - SWEEP_OVERLAP) if copy.received_at is not None else started
    return left_at if now - left_at > SWEEP_OVERLAP else None


def _keep_asking(item: OutboxItem, now: datetime) -> Later | TellUnknown | StopLooking:
    since = unknown_since(item) or now
    if now < since + UNKNOWN_AFTER:
        return Later(now + ASK_AGAIN_AFTER)
    if not item.unconfirmed_told:
        return TellUnknown()
    return Later(now + LOOK_UP_EVERY) if now < since + GIVE_UP_LOOKING_AFTER else StopLooking()


def unknown_since(item: OutboxItem) -> datetime | None:
    """Since when the send may have left without anybody knowing; None where no try can have let it leave."""
    if item.plainly_refused or item.phase not in MAY_HAVE_LEFT:
        return item.awaited_since
    return item.awaited_since or item.send_started_at


def may_leave_yet(item: OutboxItem, now: datetime) -> bool:
    """Whether a try of unknown outcome may still let the send leave, although its draft lies in Drafts: for an hour."""
    since = unknown_since(item)
    return since is not None and now < max(since, item.send_tried_at or since) + UNKNOWN_AFTER


def has_earlier_try(item: OutboxItem) -> bool:
    """Whether a try before the last one may have let the send leave, whatever is answered to the last one."""
    since, tried_at = item.awaited_since, item.send_tried_at
    return since is not None and tried_at is not None and since < tried_at


def tell_unknown_at(item: OutboxItem) -> datetime | None:
    """When the CRM is to hear that nobody knows, whether the mailbox can be asked then or not; None where it is not."""
    since = unknown_since(item)
    if since is None or item.unconfirmed_told or item.phase not in MAY_HAVE_LEFT:
        return None
    return since + UNKNOWN_AFTER


def is_to_be_told_unknown(item: OutboxItem, now: datetime) -> bool:
    """Whether an hour has passed since a try that may have let the send leave, and the CRM was not told yet."""
    at = tell_unknown_at(item)
    return at is not None and now >= at


def may_turn_out_sent(item: OutboxItem) -> bool:
    """Whether a sent copy that is seen now changes anything: the copy is the truth, whatever the CRM was told before.

    A send that failed may have left by a try of unknown outcome, or its user may have sent a draft that was left.
    """
    return item.phase is not Phase.SENT


def status_of(item: OutboxItem) -> MessageStatus:
    """How a send stands, as the CRM reads it."""
    return STATUS_OF_PHASE[item.phase]
