"""A connection that was confirmed and whose mailbox never opened for it: a crash came between, or somebody else."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from shared.domain.model import Connection, ConnectionStatus, Mailbox


def was_never_opened(connection: Connection, mailbox: Mailbox | None) -> bool:
    """Whether the mailbox never let this connection through: each one that opens it has a higher number."""
    if mailbox is None or mailbox.generation < connection.generation:
        return True
    return mailbox.generation == connection.generation and mailbox.connection_id != connection.connection_id


def is_undecided(former: Connection, current: Connection, mailbox: Mailbox | None) -> bool:
    """Whether it is open yet if the user's current connection really takes the former one's place (R6).

    `mailbox` is the current connection's.
    """
    return current.replaces == former.connection_id and is_changing(current, mailbox)


def is_changing(current: Connection, mailbox: Mailbox | None) -> bool:
    """Whether the user's mailbox is just being changed: this connection opens its mailbox soon, or is given up (R6)."""
    waits = current.replaces is not None and current.ended_at is None
    return waits and was_never_opened(current, mailbox)


def given_up(connection: Connection, now: datetime) -> Connection:
    """The row of a connection that never opened its mailbox, and never will."""
    if connection.ended_at is not None:
        return connection
    return replace(connection, status=ConnectionStatus.NOT_CONNECTED, ended_at=now)


def restored(former: Connection) -> Connection:
    """The row of the connection that counts again, because the one that took its place was given up (R6)."""
    if former.status is not ConnectionStatus.REPLACED:
        return former
    return replace(former, status=ConnectionStatus.CONNECTED, ended_at=None)
