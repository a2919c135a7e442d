"""What becomes of a connection's mailbox: opened, closed, its consent dead and alive again, its calls failing."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from shared.domain.errors import Throttled
from shared.domain.model import (
    Connection,
    ConnectionStatus,
    FenceState,
    Mailbox,
    Reason,
    Right,
    Trouble,
)

ASKED_FOR: Final = timedelta(
    minutes=70
)  # some looks more than the hour in which a try may still let a send leave
OUTAGE_AFTER: Final = timedelta(hours=1)
SWEPT_WITHIN: Final = timedelta(minutes=15)
NOTED_EVERY: Final = timedelta(minutes=1)
FAILURES_APART: Final = timedelta(minutes=75)
PROBED_EVERY: Final = timedelta(days=1)
# What Graph denies to a good token may be an outage, which no person can repair; only Entra ends a consent.
DENIED_PROBED_EVERY: Final = timedelta(hours=1)
SURE_AFTER: Final = timedelta(minutes=1)
DOUBTED_FOR: Final = timedelta(hours=1)


def is_open_for(mailbox: Mailbox | None, connection: Connection) -> bool:
    """Whether the mailbox lets this very connection through; another one of the same mailbox does not count."""
    return mailbox is not None and (mailbox.state, mailbox.connection_id, mailbox.generation) == (
        FenceState.OPEN,
        connection.connection_id,
        connection.generation,
    )


def goes_on(connection: Connection, mailbox: Mailbox | None) -> bool:
    """Whether a fresh consent for the same mailbox completes or repairs this connection; else it begins another."""
    if connection.status is ConnectionStatus.DISCONNECTED:
        return False
    never_opened = mailbox is None or mailbox.generation < connection.generation
    return never_opened or is_open_for(mailbox, connection)


def proves_alive(mailbox: Mailbox, used: Right | None) -> bool:
    """Whether a call of Graph's that has just worked, or a refresh (None), takes back that the grant is called dead.

    What Graph has denied, only Graph can take back, and only by the same right: Entra goes on refreshing tokens, and
    mail that can be read says nothing about sending. What Entra has refused, only a refresh takes back: Graph goes on
    taking an access token until that ends.
    """
    if not mailbox.denied_by_graph:
        return mailbox.grant_dead and used is None
    return mailbox.grant_dead and used is (mailbox.denied_right or Right.READ)


def is_surely_denied(mailbox: Mailbox, denied: Right | None, now: datetime) -> bool:
    """Whether Graph denies this right for good, and not one call in an outage: it was denied a minute ago as well.

    A call by this right that works takes the doubt back. Without a right it is not Graph that has denied.
    """
    since = mailbox.doubted_since
    if denied is None or since is None or mailbox.doubted_right is not denied:
        return denied is None
    return SURE_AFTER <= now - since <= DOUBTED_FOR


def with_doubt(mailbox: Mailbox, denied: Right | None, now: datetime) -> Mailbox:
    """The mailbox of which Graph has denied a right for the first time, or in the same minute again."""
    since = mailbox.doubted_since
    if since is not None and mailbox.doubted_right is denied and now - since < SURE_AFTER:
        return mailbox
    return replace(mailbox, doubted_right=denied, doubted_since=now)


def without_doubt(mailbox: Mailbox, used: Right | None) -> Mailbox:
    """The mailbox after a call by this right that worked."""
    doubted = mailbox.doubted_right
    return (
        mailbox
        if doubted is None or doubted is not used
        else replace(mailbox, doubted_right=None, doubted_since=None)
    )


def is_said_to_deny(mailbox: Mailbox, right: Right) -> bool:
    """Whether a call by this right that works may have something to take back."""
    return mailbox.grant_dead or mailbox.doubted_right is right


def is_denied_anew(mailbox: Mailbox, asked_at: datetime) -> bool:
    """Whether what was asked then, and denied, is still true: not when the consent has come back to life since."""
    return mailbox.revived_at is None or mailbox.revived_at <= asked_at


def with_closed_fence(mailbox: Mailbox, reason: Reason, now: datetime) -> Mailbox:
    """The mailbox after Disconnect or Update email: nothing passes, nothing is swept or renewed (R5, R6).

    What stands of the subscription stays until it is removed at Graph.
    """
    return replace(
        mailbox,
        state=FenceState.CLOSED,
        closed_because=reason,
        closed_at=now,
        sweep_at=None,
        renew_at=None,
        audit_at=None,
        auditing=None,
        audited=None,
        sweep_leased_until=None,
        sweep_goes_on=False,
        sweep_place=None,
    )


def may_be_asked(mailbox: Mailbox, generation: int, now: datetime) -> bool:
    """Whether a closed mailbox may still be asked what became of a send that was leaving when it closed.

    For ten minutes more than the hour in which a try may let it leave, and only while the consent lives: longer no
    token is kept (R5).
    """
    closed_at = mailbox.closed_at
    if mailbox.generation != generation or closed_at is None or mailbox.grant_dead:
        return False
    return now < closed_at + ASKED_FOR


def with_living_grant(mailbox: Mailbox, now: datetime) -> Mailbox:
    """The mailbox whose consent works again: sweep and renewal are due at once.

    A dead grant may have cost the subscription too (Graph drops it with the token), hence the renewal.
    """
    return replace(
        mailbox,
        grant_dead=False,
        grant_dead_since=None,
        denied_by_graph=False,
        denied_right=None,
        doubted_right=None,
        doubted_since=None,
        revived_at=now,
        grant_probed_at=None,
        failing_since=None,
        failed_at=None,
        sweep_failing_since=None,
        sweep_at=None if mailbox.sweep_at is None else now,
        renew_at=None if mailbox.renew_at is None else now,
    )


def with_dead_grant(mailbox: Mailbox, denied: Right | None, now: datetime, *, by_graph: bool) -> Mailbox:
    """The mailbox whose consent works no more; `denied` is the right that Graph itself has denied."""
    return replace(
        mailbox, grant_dead=True, grant_dead_since=now, denied_by_graph=by_graph, denied_right=denied
    )


def with_trouble(mailbox: Mailbox, trouble: Trouble, now: datetime) -> Mailbox:
    """The mailbox that brings mail late; what it was told to be late for first, stays."""
    if mailbox.degraded_because is not None:
        return mailbox
    return replace(mailbox, degraded_because=trouble, degraded_since=now)


def without_trouble(mailbox: Mailbox) -> Mailbox:
    """The mailbox that brings mail in time again."""
    return replace(mailbox, degraded_because=None, degraded_since=None)


def with_failed_call(mailbox: Mailbox, since: datetime, now: datetime) -> Mailbox:
    """The mailbox after a call that Graph did not answer; after an hour of nothing else it is degraded.

    One mail alone may fail for ever while all the others work: so a sweep follows within a quarter of an hour, and
    one that works says that there was no outage. The time of the last failure is noted once a minute.
    """
    if outage_since(mailbox, now) is None:
        soon = min(mailbox.sweep_at, now + SWEPT_WITHIN) if mailbox.sweep_at is not None else None
        return replace(mailbox, failing_since=since, failed_at=now, sweep_at=soon)
    if mailbox.failing_since is not None and now >= mailbox.failing_since + OUTAGE_AFTER:
        mailbox = with_trouble(mailbox, Trouble.NO_ANSWER, now)
    noted = mailbox.failed_at is not None and now < mailbox.failed_at + NOTED_EVERY
    return mailbox if noted else replace(mailbox, failed_at=now)


def outage_since(mailbox: Mailbox, now: datetime) -> datetime | None:
    """Since when Graph does not answer; None where it does, or where nobody has asked it for a while.

    What waits for Graph is tried again within minutes, and at least each hour: failures that lie further apart are no
    outage.
    """
    failed_at = mailbox.failed_at
    if mailbox.failing_since is None or failed_at is None or now >= failed_at + FAILURES_APART:
        return None
    return mailbox.failing_since


def lies_in_outage(mailbox: Mailbox, now: datetime) -> bool:
    """Whether nothing that was asked of Graph has worked for so long that no failure is one mail's own trouble.

    Where one mail fails alone, a sweep that works within a quarter of an hour says so (`with_failed_call`).
    """
    since = outage_since(mailbox, now)
    return since is not None and now - since >= 2 * SWEPT_WITHIN


def with_working_call(mailbox: Mailbox) -> Mailbox:
    """The mailbox after a call that Graph answered: no outage, or none any more."""
    if mailbox.failing_since is None:
        return mailbox
    return replace(mailbox, failing_since=None, failed_at=None)


def without_outage(mailbox: Mailbox) -> Mailbox:
    """The mailbox in which nothing waits for Graph any more, and no sweep would find out that it answers again."""
    if mailbox.degraded_because is not Trouble.NO_ANSWER or mailbox.sweep_at is not None:
        return mailbox
    return without_trouble(with_working_call(mailbox))


def probe_at(mailbox: Mailbox) -> datetime | None:
    """From when a dead consent may be tried again, by one for all; None where it lives."""
    tried_at = mailbox.grant_probed_at or mailbox.grant_dead_since
    every = DENIED_PROBED_EVERY if mailbox.denied_by_graph else PROBED_EVERY
    return tried_at + every if mailbox.grant_dead and tried_at is not None else None


def with_pause(mailbox: Mailbox, until: datetime, now: datetime) -> Mailbox:
    """The mailbox for which Graph asks for a pause; an earlier end never shortens a later one."""
    if mailbox.paused_until is not None and mailbox.paused_until >= until:
        return mailbox
    goes_on = mailbox.paused_until is not None and mailbox.paused_until >= now
    return replace(mailbox, paused_since=mailbox.paused_since if goes_on else now, paused_until=until)


def respect_pause(mailbox: Mailbox, now: datetime) -> None:
    """A worker that read a pause makes no call before its end. Raises Throttled for the rest of it."""
    if mailbox.paused_until is not None and mailbox.paused_until > now:
        raise Throttled((mailbox.paused_until - now).total_seconds())
