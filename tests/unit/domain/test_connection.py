"""What a connection is worth, by its row and its mailbox's gate."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.connection import (
    MAY_SEND,
    current_status,
    goes_on,
    is_denied_anew,
    is_open_for,
    proves_alive,
)
from shared.domain.model import Connection, ConnectionStatus, Gate, GateState, Right
from tests.builders import NOW, connection, gate

Status = ConnectionStatus
STATUSES: list[tuple[str, Connection | None, Gate | None, ConnectionStatus]] = [
    ("never connected", None, None, Status.NOT_CONNECTED),
    ("no gate yet", connection(), None, Status.NOT_CONNECTED),
    ("the gate of an earlier one", connection(connection_id="con_2", generation=2), gate(), Status.NOT_CONNECTED),
    ("the gate of another user's", connection(connection_id="con_9"), gate(), Status.NOT_CONNECTED),
    ("open", connection(), gate(), Status.CONNECTED),
    ("degraded", connection(), gate(degraded=True), Status.DEGRADED),
    ("dead", connection(), gate(grant_dead=True), Status.RECONNECT_REQUIRED),
    ("dead is worse than degraded", connection(), gate(grant_dead=True, degraded=True), Status.RECONNECT_REQUIRED),
    ("closed", connection(), gate(state=GateState.CLOSED), Status.DISCONNECTED),
    ("ended, gate still open", connection(status=Status.DISCONNECTED), gate(), Status.DISCONNECTED),
    ("a row of before that says dead", connection(status=Status.RECONNECT_REQUIRED), gate(), Status.CONNECTED),
]  # fmt: skip
statuses = pytest.mark.parametrize(
    ("row", "its_gate", "status"), [one[1:] for one in STATUSES], ids=[one[0] for one in STATUSES]
)


@statuses
def test_the_status_is_what_the_gate_lets_through(
    row: Connection | None, its_gate: Gate | None, status: ConnectionStatus
) -> None:
    """Never connected without an open gate of that very connection."""
    assert current_status(row, its_gate) is status


@statuses
def test_sends_are_taken_while_something_lets_them_out_sooner_or_later(
    row: Connection | None, its_gate: Gate | None, status: ConnectionStatus
) -> None:
    """Whatever status may send has an open gate of its own, the ended connection of a crash apart."""
    if status in MAY_SEND:
        assert row is not None
        assert is_open_for(its_gate, row)


def test_a_fresh_consent_completes_or_repairs_and_else_begins_anew() -> None:
    """R9: a connection goes on while its gate is open or was never opened; after its end there is another one."""
    row = connection(generation=2)
    assert goes_on(row, None)
    assert goes_on(row, gate(generation=1, connection_id="con_0"))
    assert goes_on(row, gate(generation=2))
    assert goes_on(row, gate(generation=2, grant_dead=True))
    assert not goes_on(row, gate(generation=2, state=GateState.CLOSED))
    assert not goes_on(row, gate(generation=2, connection_id="con_9"))
    assert not goes_on(row, gate(generation=3))
    assert not goes_on(replace(row, status=Status.DISCONNECTED), gate(generation=2))


DENIED = {"grant_dead": True, "denied_by_graph": True}
PROOFS: list[tuple[str, Gate, set[Right | None]]] = [
    ("nothing was dead", gate(), set()),
    ("Entra refused", gate(grant_dead=True), {None, *Right}),
    ("a row of before", gate(**DENIED), {Right.READ}),
    *[(f"{one} denied", gate(**DENIED, denied_right=one), {one}) for one in Right],
]


@pytest.mark.parametrize(("its_gate", "used"), [one[1:] for one in PROOFS], ids=[one[0] for one in PROOFS])
def test_what_was_denied_is_proved_by_itself(its_gate: Gate, used: set[Right | None]) -> None:
    """A refresh takes back what Entra refused; what Graph denied, only the same right."""
    assert {one for one in (None, *Right) if proves_alive(its_gate, one)} == used


@pytest.mark.parametrize(("seconds", "holds"), [(None, True), (-1, True), (0, True), (1, False)])
def test_a_denial_of_before_a_revival_is_over(seconds: int | None, holds: bool) -> None:
    """Asked before, answered after."""
    revived_at = None if seconds is None else NOW + timedelta(seconds=seconds)
    assert is_denied_anew(gate(revived_at=revived_at), NOW) is holds
