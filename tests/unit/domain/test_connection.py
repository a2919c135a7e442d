"""What a connection is worth, by its row and its mailbox's fence."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.connection import (
    goes_on,
    is_denied_anew,
    is_open_for,
    lies_in_outage,
    proves_alive,
)
from shared.domain.connection_status import MAY_SEND, current_status
from shared.domain.model import Connection, ConnectionStatus, FenceState, Mailbox, Right, Trouble
from tests.builders import NOW, a_mailbox, connection

Status = ConnectionStatus
LATE = Trouble.LATE_NOTIFICATIONS
STATUSES: list[tuple[str, Connection | None, Mailbox | None, ConnectionStatus]] = [
    ("never connected", None, None, Status.NOT_CONNECTED),
    ("no mailbox yet", connection(), None, Status.NOT_CONNECTED),
    ("that of an earlier one", connection(connection_id="con_2", generation=2), a_mailbox(), Status.NOT_CONNECTED),
    ("that of another user's", connection(connection_id="con_9"), a_mailbox(), Status.NOT_CONNECTED),
    ("open", connection(), a_mailbox(), Status.CONNECTED),
    ("degraded", connection(), a_mailbox(degraded_because=LATE), Status.DEGRADED),
    ("dead", connection(), a_mailbox(grant_dead=True), Status.RECONNECT_REQUIRED),
    ("both", connection(), a_mailbox(grant_dead=True, degraded_because=LATE), Status.RECONNECT_REQUIRED),
    ("closed", connection(), a_mailbox(state=FenceState.CLOSED), Status.DISCONNECTED),
    ("ended, mailbox still open", connection(status=Status.DISCONNECTED), a_mailbox(), Status.DISCONNECTED),
    ("replaced", connection(status=Status.REPLACED), a_mailbox(state=FenceState.CLOSED), Status.REPLACED),
    ("a row of before that says dead", connection(status=Status.RECONNECT_REQUIRED), a_mailbox(), Status.CONNECTED),
]  # fmt: skip
statuses = pytest.mark.parametrize(
    ("row", "its_mailbox", "status"), [case[1:] for case in STATUSES], ids=[case[0] for case in STATUSES]
)


@statuses
def test_the_status_is_what_the_fence_lets_through(
    row: Connection | None, its_mailbox: Mailbox | None, status: ConnectionStatus
) -> None:
    """A connection is shown as connected only with an open fence of its own."""
    assert current_status(row, its_mailbox, NOW) is status


@statuses
def test_sends_are_taken_while_something_lets_them_out_sooner_or_later(
    row: Connection | None, its_mailbox: Mailbox | None, status: ConnectionStatus
) -> None:
    """Every status under which sends are taken has an open fence of that very connection."""
    if status in MAY_SEND:
        assert row is not None
        assert is_open_for(its_mailbox, row)


def test_a_fresh_consent_completes_or_repairs_and_else_begins_anew() -> None:
    """A fresh consent continues a connection whose mailbox is open or was never opened.

    After its end it begins another one (R9).
    """
    row = connection(generation=2)
    assert goes_on(row, None)
    assert goes_on(row, a_mailbox(generation=1, connection_id="con_0"))
    assert goes_on(row, a_mailbox(generation=2))
    assert goes_on(row, a_mailbox(generation=2, grant_dead=True))
    assert not goes_on(row, a_mailbox(generation=2, state=FenceState.CLOSED))
    assert not goes_on(row, a_mailbox(generation=2, connection_id="con_9"))
    assert not goes_on(row, a_mailbox(generation=3))
    assert not goes_on(replace(row, status=Status.DISCONNECTED), a_mailbox(generation=2))


DENIED = {"grant_dead": True, "denied_by_graph": True}
PROOFS: list[tuple[str, Mailbox, set[Right | None]]] = [
    ("nothing was dead", a_mailbox(), set()),
    ("Entra refused", a_mailbox(grant_dead=True), {None}),
    ("a row of before", a_mailbox(**DENIED), {Right.READ}),
    *[(f"{right} denied", a_mailbox(**DENIED, denied_right=right), {right}) for right in Right],
]


@pytest.mark.parametrize(
    ("its_mailbox", "used"), [case[1:] for case in PROOFS], ids=[case[0] for case in PROOFS]
)
def test_what_was_denied_is_proved_by_itself(its_mailbox: Mailbox, used: set[Right | None]) -> None:
    """A token refresh clears what Entra refused; what Graph denied is cleared by the same right alone."""
    assert {right for right in (None, *Right) if proves_alive(its_mailbox, right)} == used


@pytest.mark.parametrize(("seconds", "holds"), [(None, True), (-1, True), (0, True), (1, False)])
def test_a_denial_of_before_a_revival_is_over(seconds: int | None, holds: bool) -> None:
    """A denial of a call that was made before the consent was revived does not count."""
    revived_at = None if seconds is None else NOW + timedelta(seconds=seconds)
    assert is_denied_anew(a_mailbox(revived_at=revived_at), NOW) is holds


@pytest.mark.parametrize(
    ("failing", "failed", "lies"), [(None, None, False), (29, 0, False), (30, 0, True), (300, 80, False)]
)
def test_an_outage_excuses_single_mails_after_half_an_hour(
    failing: int | None, failed: int | None, *, lies: bool
) -> None:
    """Half an hour in which two sweeps failed as well is an outage; a failure of long ago says nothing of now."""
    since, last = (
        None if minutes is None else NOW - timedelta(minutes=minutes) for minutes in (failing, failed)
    )
    assert lies_in_outage(a_mailbox(failing_since=since, failed_at=last), NOW) is lies
