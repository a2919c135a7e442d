"""What a connection is worth: the mailbox says so, and everybody who tells a status asks here."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from shared.domain.errors import Throttled
from shared.domain.model import Connection, ConnectionStatus, FenceState, Mailbox, Reason, Right

# A dead consent stops no send: it is accepted and waits for the repair (R9).
ASKED_FOR: Final = timedelta(hours=1)
MAY_SEND: Final = (ConnectionStatus.CONNECTED, ConnectionStatus.DEGRADED, ConnectionStatus.RECONNECT_REQUIRED)


def is_open_for(mailbox: Mailbox | None, connection: Connection) -> bool:
    """Whether the mailbox lets this very connection through; another one of the same mailbox does not count."""
    return mailbox is not None and (mailbox.state, mailbox.connection_id, mailbox.generation) == (
        FenceState.OPEN,
        connection.connection_id,
        connection.generation,
    )


def current_status(connection: Connection | None, mailbox: Mailbox | None) -> ConnectionStatus:
    """What a person sees. `mailbox` is that of the connection's mailbox.

    A connection whose mailbox was never opened (a crash came between) lets nothing through, so it is none.
    """
    if connection is None:
        return ConnectionStatus.NOT_CONNECTED
    if connection.status is ConnectionStatus.DISCONNECTED:
        return ConnectionStatus.DISCONNECTED
    if mailbox is None or not is_open_for(mailbox, connection):
        return (
            ConnectionStatus.DISCONNECTED
            if _was_open(mailbox, connection)
            else ConnectionStatus.NOT_CONNECTED
        )
    if mailbox.grant_dead:
        return ConnectionStatus.RECONNECT_REQUIRED
    return ConnectionStatus.DEGRADED if mailbox.degraded else ConnectionStatus.CONNECTED


def goes_on(connection: Connection, mailbox: Mailbox | None) -> bool:
    """Whether a fresh consent for the same mailbox completes or repairs this connection; else it begins another."""
    if connection.status is ConnectionStatus.DISCONNECTED:
        return False
    never_opened = mailbox is None or mailbox.generation < connection.generation
    return never_opened or is_open_for(mailbox, connection)


def proves_alive(mailbox: Mailbox, used: Right | None) -> bool:
    """Whether a call of Graph's that has just worked, or a refresh (None), takes back that the grant is called dead.

    What Graph has denied, only Graph can take back, and only by the same right: Entra goes on refreshing tokens, and
    mail that can be read says nothing about sending.
    """
    if not mailbox.denied_by_graph:
        return mailbox.grant_dead
    return mailbox.grant_dead and used is (mailbox.denied_right or Right.READ)


def is_denied_anew(mailbox: Mailbox, asked_at: datetime) -> bool:
    """Whether what was asked then, and denied, is still true: not when the consent has come back to life since."""
    return mailbox.revived_at is None or mailbox.revived_at <= asked_at


def _was_open(mailbox: Mailbox | None, connection: Connection) -> bool:
    return mailbox is not None and mailbox.connection_id == connection.connection_id


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
        sweep_leased_until=None,
        sweep_goes_on=False,
    )


def may_be_asked(mailbox: Mailbox, generation: int, now: datetime) -> bool:
    """Whether a closed mailbox may still be asked what became of a send that was leaving when it closed.

    For an hour, and only while the consent lives: longer no token is kept (R5).
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
        denied_by_graph=False,
        denied_right=None,
        revived_at=now,
        sweep_at=None if mailbox.sweep_at is None else now,
        renew_at=None if mailbox.renew_at is None else now,
    )


def respect_pause(mailbox: Mailbox, now: datetime) -> None:
    """A worker that read a pause makes no call before its end. Raises Throttled for the rest of it."""
    if mailbox.paused_until is not None and mailbox.paused_until > now:
        raise Throttled((mailbox.paused_until - now).total_seconds())
