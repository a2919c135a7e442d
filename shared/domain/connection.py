"""What a connection is worth: the gate says so, and everybody who tells a status asks here."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from shared.domain.model import Connection, ConnectionStatus, Gate, GateState, Right

# A dead consent stops no send: it is accepted and waits for the repair (R9).
MAY_SEND: Final = (ConnectionStatus.CONNECTED, ConnectionStatus.DEGRADED, ConnectionStatus.RECONNECT_REQUIRED)


def is_open_for(gate: Gate | None, connection: Connection) -> bool:
    """Whether the gate lets this very connection through; another one of the same mailbox does not count."""
    return gate is not None and (gate.state, gate.connection_id, gate.generation) == (
        GateState.OPEN,
        connection.connection_id,
        connection.generation,
    )


def current_status(connection: Connection | None, gate: Gate | None) -> ConnectionStatus:
    """What a person sees. `gate` is that of the connection's mailbox.

    A connection whose gate was never opened (a crash came between) lets nothing through, so it is none.
    """
    if connection is None:
        return ConnectionStatus.NOT_CONNECTED
    if connection.status is ConnectionStatus.DISCONNECTED:
        return ConnectionStatus.DISCONNECTED
    if gate is None or not is_open_for(gate, connection):
        return (
            ConnectionStatus.DISCONNECTED if _was_open(gate, connection) else ConnectionStatus.NOT_CONNECTED
        )
    if gate.grant_dead:
        return ConnectionStatus.RECONNECT_REQUIRED
    return ConnectionStatus.DEGRADED if gate.degraded else ConnectionStatus.CONNECTED


def goes_on(connection: Connection, gate: Gate | None) -> bool:
    """Whether a fresh consent for the same mailbox completes or repairs this connection; else it begins another."""
    if connection.status is ConnectionStatus.DISCONNECTED:
        return False
    never_opened = gate is None or gate.generation < connection.generation
    return never_opened or is_open_for(gate, connection)


def proves_alive(gate: Gate, used: Right | None) -> bool:
    """Whether a call of Graph's that has just worked, or a refresh (None), takes back that the grant is called dead.

    What Graph has denied, only Graph can take back, and only by the same right: Entra goes on refreshing tokens, and
    mail that can be read says nothing about sending.
    """
    if not gate.denied_by_graph:
        return gate.grant_dead
    return gate.grant_dead and used is (gate.denied_right or Right.READ)


def is_denied_anew(gate: Gate, asked_at: datetime) -> bool:
    """Whether what was asked then, and denied, is still true: not when the consent has come back to life since."""
    return gate.revived_at is None or gate.revived_at <= asked_at


def _was_open(gate: Gate | None, connection: Connection) -> bool:
    return gate is not None and gate.connection_id == connection.connection_id
