"""What a send waits for, since when, and when it is taken up."""

from __future__ import annotations

from typing import Any

import pytest

from shared.domain.model import FenceState, Phase, Trouble, WaitsFor
from shared.domain.waiting import Waiting, find_waiting, is_to_be_told, send_by, wake_at
from tests.builders import NOW, a_mailbox, later, outbox_item

DEAD = {"grant_dead": True, "grant_dead_since": later(minutes=-20)}
PAUSED = {"paused_since": later(minutes=-2), "paused_until": later(minutes=3)}
FAILING = {"failing_since": later(minutes=-9), "failed_at": later(minutes=-1)}
AN_HOUR_OLD = {"created_at": later(hours=-1)}
CASES: list[tuple[str, dict[str, Any], dict[str, Any], Waiting | None]] = [
    ("nothing", {}, AN_HOUR_OLD, None),
    ("a dead consent", DEAD, AN_HOUR_OLD, Waiting(WaitsFor.SIGN_IN, later(minutes=-20))),
    ("accepted after it died", DEAD, {"created_at": NOW}, Waiting(WaitsFor.SIGN_IN, NOW)),
    ("a pause", PAUSED, AN_HOUR_OLD, Waiting(WaitsFor.MICROSOFT_PAUSE, later(minutes=-2))),
    ("a pause that is over", {"paused_until": NOW}, AN_HOUR_OLD, None),
    ("an outage", FAILING, AN_HOUR_OLD, Waiting(WaitsFor.MAILBOX_UNAVAILABLE, later(minutes=-9))),
    (
        "one failure, and nothing since",
        {"failing_since": later(minutes=-3), "failed_at": later(minutes=-3)},
        AN_HOUR_OLD,
        None,
    ),
    (
        "an outage of long ago",
        {**FAILING, "failing_since": later(hours=-9), "failed_at": later(minutes=-76)},
        AN_HOUR_OLD,
        None,
    ),
    (
        "its own failures",
        {},
        {**AN_HOUR_OLD, "failing_since": later(minutes=-3)},
        Waiting(WaitsFor.MAILBOX_UNAVAILABLE, later(minutes=-3)),
    ),
    (
        "a mailbox that is not known",
        {"degraded_because": Trouble.MAILBOX_UNAVAILABLE, "degraded_since": later(minutes=-7)},
        AN_HOUR_OLD,
        None,  # the send tries, and ends where the mailbox is not to be had
    ),
    ("late notifications", {"degraded_because": Trouble.LATE_NOTIFICATIONS}, AN_HOUR_OLD, None),
    ("all of it", {**DEAD, **PAUSED, **FAILING}, AN_HOUR_OLD, Waiting(WaitsFor.SIGN_IN, later(minutes=-20))),
    ("a closed mailbox", {**DEAD, "state": FenceState.CLOSED}, AN_HOUR_OLD, None),
    ("another generation", {**DEAD, "generation": 7}, AN_HOUR_OLD, None),
    (
        "plainly refused at the send itself",
        DEAD,
        {**AN_HOUR_OLD, "phase": Phase.SENDING, "plainly_refused": True},
        Waiting(WaitsFor.SIGN_IN, later(minutes=-20)),
    ),
    *[(phase.value, DEAD, {**AN_HOUR_OLD, "phase": phase}, None) for phase in list(Phase)[2:]],
]


@pytest.mark.parametrize(
    ("members", "changes", "waits"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_a_send_waits_for_what_keeps_it_from_leaving(
    members: dict[str, Any], changes: dict[str, Any], waits: Waiting | None
) -> None:
    """The worst comes first; no send waits since before it was accepted, and none that is leaving waits."""
    assert find_waiting(outbox_item(**changes), a_mailbox(**members), NOW) == waits


def test_a_reply_waits_for_what_it_answers() -> None:
    """A reply to a mail that has not left waits for it since it was accepted, unless something worse is the matter."""
    reply = outbox_item(created_at=later(minutes=-1), reply=True)
    found = find_waiting(reply, a_mailbox(), NOW, original_is_on_its_way=True)
    assert found == Waiting(WaitsFor.FIRST_MAIL_OF_THREAD, later(minutes=-1))
    worse = find_waiting(reply, a_mailbox(**DEAD), NOW, original_is_on_its_way=True)
    assert worse is not None
    assert worse.waits_for is WaitsFor.SIGN_IN


WAITS = Waiting(WaitsFor.SIGN_IN, NOW)


@pytest.mark.parametrize(
    ("changes", "minutes", "told"),
    [
        ({}, 4, False),
        ({}, 5, True),
        ({"waiting_told": True}, 9, False),
        ({"send_within_seconds": 360}, 6, False),
    ],
    ids=["not yet", "after five minutes", "once", "its time is over"],
)
def test_a_wait_of_five_minutes_is_told_once(changes: dict[str, Any], minutes: int, *, told: bool) -> None:
    """After five minutes, once, and not where the send ends now."""
    item = outbox_item(created_at=NOW, **changes)
    assert is_to_be_told(item, WAITS, later(minutes=minutes)) is told
    assert not is_to_be_told(item, None, later(minutes=minutes))


def test_a_send_that_is_put_off_is_taken_up_to_be_told_of_and_to_be_ended() -> None:
    """Whichever comes first: the time it was put off to, five minutes of waiting, its last moment."""
    item = outbox_item(created_at=NOW, send_within_seconds=3600)
    assert send_by(item) == later(hours=1)
    assert wake_at(item, WAITS, later(days=1), NOW) == later(minutes=5)
    assert wake_at(item, None, later(days=1), NOW) == later(hours=1)
    assert wake_at(item, WAITS, later(minutes=2), NOW) == later(minutes=2)
    told = outbox_item(created_at=NOW, send_within_seconds=3600, waiting_told=True)
    assert wake_at(told, WAITS, later(days=1), NOW) == later(hours=1)
    assert wake_at(item, WAITS, later(days=1), later(hours=2)) == later(hours=2)
    leaving = outbox_item(created_at=NOW, phase=Phase.SUBMITTED)
    assert wake_at(leaving, WAITS, later(days=9), NOW) == later(days=9)
