"""A connection whose mailbox never opened for it: told by number and name, given up, the one before restored."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.model import Connection, ConnectionStatus, CrmUser, FenceState, Mailbox
from shared.domain.unopened import given_up, is_undecided, restored, was_never_opened

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
FORMER = Connection(
    "con_a", CrmUser("u_ann", "Ann", ()), "mbx_a", "t", "o", "a@x.example", "Ann", 1,
    ConnectionStatus.REPLACED, NOW, NOW,
)  # fmt: skip
NEXT = replace(
    FORMER, connection_id="con_b", mailbox_id="mbx_b", generation=2, status=ConnectionStatus.CONNECTED,
    ended_at=None, replaces="con_a",
)  # fmt: skip


def opened(connection_id: str, generation: int) -> Mailbox:
    return Mailbox(connection_id, "u_ann", "a@x.example", generation, FenceState.OPEN)


@pytest.mark.parametrize(
    ("mailbox", "never"),
    [
        (None, True),
        (opened("con_x", 1), True),
        (opened("con_x", 2), True),
        (opened("con_b", 2), False),
        (opened("con_x", 3), False),
    ],
    ids=["no mailbox", "lower number", "another of the same number", "its own", "passed it by"],
)
def test_a_connection_was_never_opened(mailbox: Mailbox | None, never: bool) -> None:
    """Only a mailbox of its own number and name, or of a higher number, may have let it through."""
    assert was_never_opened(NEXT, mailbox) is never


def test_a_change_is_undecided_until_its_mailbox_opens_or_it_is_given_up() -> None:
    """Only the connection that takes this one's place counts (R6)."""
    assert is_undecided(FORMER, NEXT, None)
    assert not is_undecided(FORMER, NEXT, opened("con_b", 2))
    assert not is_undecided(FORMER, given_up(NEXT, NOW), None)
    assert not is_undecided(replace(FORMER, connection_id="con_z"), NEXT, None)


def test_giving_up_ends_a_row_once() -> None:
    """Nobody was connected by it, so it is `not_connected`; when it ended stays."""
    ended = given_up(NEXT, NOW)
    assert (ended.status, ended.ended_at) == (ConnectionStatus.NOT_CONNECTED, NOW)
    assert given_up(ended, NOW + timedelta(hours=1)) == ended


def test_only_a_replaced_connection_is_restored() -> None:
    """One that was disconnected stays so."""
    assert (restored(FORMER).status, restored(FORMER).ended_at) == (ConnectionStatus.CONNECTED, None)
    gone = replace(FORMER, status=ConnectionStatus.DISCONNECTED)
    assert restored(gone) == gone
