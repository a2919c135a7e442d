"""The life of a connection: every state and every happening, and what a status is judged by when it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import product

import pytest

from shared.domain.connection import (
    OUTAGE_AFTER,
    with_closed_fence,
    with_dead_grant,
    with_failed_call,
    with_living_grant,
    with_pause,
    with_trouble,
    with_working_call,
    without_outage,
    without_trouble,
)
from shared.domain.connection_status import (
    Happening,
    Life,
    Stage,
    after,
    current_status,
    find_trouble,
    life_of,
    told_status,
)
from shared.domain.model import (
    Connection,
    ConnectionStatus,
    Mailbox,
    Reason,
    SubscriptionState,
    Trouble,
)
from tests.builders import NOW, a_mailbox, connection, later

Status = ConnectionStatus
Rows = tuple[Connection | None, Mailbox | None]
OPEN = [Life(Stage.OPEN, lives, troubled) for lives, troubled in product((True, False), repeat=2)]
LIVES = [Life(Stage.NEVER_OPENED), *OPEN, Life(Stage.CLOSED), Life(Stage.CLOSED, replaced=True)]

# Status before, happening, status after. What is not listed changes nothing that people see.
TABLE = {
    (Status.NOT_CONNECTED, Happening.CONFIRMED): {Status.CONNECTED},
    (Status.DISCONNECTED, Happening.CONFIRMED): {Status.CONNECTED},
    (Status.REPLACED, Happening.CONFIRMED): {Status.CONNECTED},
    (Status.RECONNECT_REQUIRED, Happening.CONFIRMED): {Status.CONNECTED, Status.DEGRADED},
    (Status.RECONNECT_REQUIRED, Happening.CONSENT_WORKED): {Status.CONNECTED, Status.DEGRADED},
    (Status.CONNECTED, Happening.CONSENT_DIED): {Status.RECONNECT_REQUIRED},
    (Status.DEGRADED, Happening.CONSENT_DIED): {Status.RECONNECT_REQUIRED},
    (Status.CONNECTED, Happening.TROUBLE_BEGAN): {Status.DEGRADED},
    (Status.DEGRADED, Happening.TROUBLE_ENDED): {Status.CONNECTED},
    **{
        (status, happening): {ended}
        for status in (Status.CONNECTED, Status.DEGRADED, Status.RECONNECT_REQUIRED)
        for happening, ended in (
            (Happening.DISCONNECTED, Status.DISCONNECTED),
            (Happening.REPLACED, Status.REPLACED),
        )
    },
}


@pytest.mark.parametrize("happening", Happening)
@pytest.mark.parametrize("status", Status)
def test_every_happening_leads_where_the_table_says(status: ConnectionStatus, happening: Happening) -> None:
    """Each status meets each happening; a closed connection never opens again but by a new one."""
    found = {after(life, happening).status for life in LIVES if life.status is status}
    assert found == TABLE.get((status, happening), {status})


def rows_of(life: Life) -> Rows:
    """Rows as the product leaves them for a connection that stands so."""
    if life.stage is Stage.NEVER_OPENED:
        return None, None
    row, mailbox = connection(), a_mailbox(sweep_at=NOW)
    mailbox = replace(
        mailbox,
        subscription=SubscriptionState.ACTIVE,
        subscription_expires_at=later(days=5),
        renew_at=later(days=4),
    )
    if life.stage is Stage.CLOSED:
        reason = Reason.MAILBOX_CHANGED if life.replaced else Reason.DISCONNECTED
        ended = Status.REPLACED if life.replaced else Status.DISCONNECTED
        return replace(row, status=ended), with_closed_fence(mailbox, reason, NOW)
    mailbox = mailbox if life.consent_lives else with_dead_grant(mailbox, None, NOW, by_graph=False)
    return row, with_trouble(mailbox, Trouble.LATE_NOTIFICATIONS, NOW) if life.troubled else mailbox


OF_MAILBOX: dict[Happening, Callable[[Mailbox], Mailbox]] = {
    Happening.CONFIRMED: lambda mailbox: with_living_grant(mailbox, NOW),
    Happening.CONSENT_DIED: lambda mailbox: with_dead_grant(mailbox, None, NOW, by_graph=False),
    Happening.CONSENT_WORKED: lambda mailbox: with_living_grant(mailbox, NOW),
    Happening.TROUBLE_BEGAN: lambda mailbox: with_trouble(mailbox, Trouble.NO_ANSWER, NOW),
    Happening.TROUBLE_ENDED: without_trouble,
    Happening.DISCONNECTED: lambda mailbox: with_closed_fence(mailbox, Reason.DISCONNECTED, NOW),
    Happening.REPLACED: lambda mailbox: with_closed_fence(mailbox, Reason.MAILBOX_CHANGED, NOW),
}


@pytest.mark.parametrize("life", LIVES, ids=lambda life: f"{life.status}-{life.troubled}")
def test_rows_stand_for_the_life_they_are_of(life: Life) -> None:
    """Rows tell stage, consent and trouble back; the CRM was told the same as a person sees."""
    assert life_of(*rows_of(life), NOW) == life
    row, mailbox = rows_of(life)
    if row is not None:
        assert told_status(row, mailbox) is current_status(row, mailbox, NOW) is life.status


@pytest.mark.parametrize("happening", Happening)
@pytest.mark.parametrize("life", OPEN, ids=lambda life: f"{life.status}-{life.troubled}")
def test_changes_of_an_open_mailbox_do_what_the_table_says(life: Life, happening: Happening) -> None:
    """Each function that changes the mailbox's row leads from one state to the other of the table."""
    row, mailbox = rows_of(life)
    assert mailbox is not None
    changed = life_of(row, OF_MAILBOX[happening](mailbox), NOW)
    expected = after(life, happening)
    assert (changed.stage, changed.consent_lives, changed.troubled) == (
        expected.stage,
        expected.consent_lives,
        expected.troubled,
    )


SUBSCRIBED = {
    "subscription": SubscriptionState.ACTIVE,
    "subscription_expires_at": later(days=5),
    "renew_at": later(days=4),
    "sweep_at": later(minutes=10),
}
JUDGED: list[tuple[str, dict[str, object], Trouble | None]] = [
    ("no thread yet", {}, None),
    (
        "no thread yet, and an outage of an hour",
        {"failing_since": later(hours=-1), "failed_at": NOW},
        Trouble.NO_ANSWER,
    ),
    ("all is well", SUBSCRIBED, None),
    (
        "failing for less than an hour",
        {**SUBSCRIBED, "failing_since": later(minutes=-59), "failed_at": NOW},
        None,
    ),
    (
        "failing for an hour",
        {**SUBSCRIBED, "failing_since": later(hours=-1), "failed_at": NOW},
        Trouble.NO_ANSWER,
    ),
    (
        "one failure, and nothing since",
        {**SUBSCRIBED, "failing_since": later(hours=-1), "failed_at": later(minutes=-31)},
        None,
    ),
    ("a sweep is due", {**SUBSCRIBED, "sweep_at": later(minutes=-59)}, None),
    ("a sweep is an hour late", {**SUBSCRIBED, "sweep_at": later(hours=-1)}, Trouble.SWEEP_OVERDUE),
    (
        "a sweep fails for an hour",
        {**SUBSCRIBED, "sweep_failing_since": later(hours=-1)},
        Trouble.SWEEP_OVERDUE,
    ),
    ("a sweep fails for less", {**SUBSCRIBED, "sweep_failing_since": later(minutes=-59)}, None),
    ("expired, renewed any minute", {**SUBSCRIBED, "subscription_expires_at": NOW, "renew_at": NOW}, None),
    (
        "expired, the renewal fails",
        {**SUBSCRIBED, "subscription_expires_at": NOW, "renew_failures": 1},
        Trouble.SUBSCRIPTION_LOST,
    ),
    (
        "expired, nobody renews",
        {**SUBSCRIBED, "subscription_expires_at": NOW, "renew_at": later(minutes=-5)},
        Trouble.SUBSCRIPTION_LOST,
    ),
    (
        "just being made",
        {**SUBSCRIBED, "subscription": SubscriptionState.PENDING, "unsubscribed_since": later(minutes=-4)},
        None,
    ),
    (
        "its making came to nothing",
        {**SUBSCRIBED, "subscription": SubscriptionState.PENDING, "unsubscribed_since": later(minutes=-5)},
        Trouble.SUBSCRIPTION_LOST,
    ),
    (
        "none, and none planned",
        {"subscription": SubscriptionState.NONE, "sweep_at": later(minutes=10)},
        Trouble.SUBSCRIPTION_LOST,
    ),
    ("told", {**SUBSCRIBED, "degraded_because": Trouble.MAILBOX_UNAVAILABLE}, Trouble.MAILBOX_UNAVAILABLE),
    ("refused by Entra", {**SUBSCRIBED, "grant_dead": True}, Trouble.CONSENT_REFUSED),
    ("denied by Graph", {**SUBSCRIBED, "grant_dead": True, "denied_by_graph": True}, Trouble.RIGHT_DENIED),
]


@pytest.mark.parametrize(
    ("members", "trouble"), [case[1:] for case in JUDGED], ids=[case[0] for case in JUDGED]
)
def test_the_status_is_judged_when_it_is_asked_for(
    members: dict[str, object], trouble: Trouble | None
) -> None:
    """Connected means that mail comes: an outage, a late sweep or a lost subscription show though nobody noted them."""
    mailbox = a_mailbox(**members)
    assert find_trouble(mailbox, NOW) is trouble
    expected = {
        None: Status.CONNECTED,
        Trouble.CONSENT_REFUSED: Status.RECONNECT_REQUIRED,
        Trouble.RIGHT_DENIED: Status.RECONNECT_REQUIRED,
    }.get(trouble, Status.DEGRADED)
    assert current_status(connection(), mailbox, NOW) is expected


def test_an_outage_is_told_after_an_hour_of_failures_and_not_before() -> None:
    """The clock begins with the first failure, a call that works stops it, and the hour is told once."""
    mailbox = with_failed_call(a_mailbox(), NOW, NOW)
    assert (mailbox.failing_since, with_working_call(mailbox).failing_since) == (NOW, None)
    for minute in range(1, 60):
        mailbox = with_failed_call(mailbox, later(minutes=minute), later(minutes=minute))
        assert (mailbox.failing_since, mailbox.degraded_because) == (NOW, None)
    late = with_failed_call(mailbox, NOW + OUTAGE_AFTER, NOW + OUTAGE_AFTER)
    assert (late.degraded_because, late.degraded_since) == (Trouble.NO_ANSWER, NOW + OUTAGE_AFTER)
    assert with_failed_call(late, later(minutes=90), later(minutes=61)).degraded_since == NOW + OUTAGE_AFTER


def test_failures_that_lie_far_apart_are_no_outage() -> None:
    """A failure long after the last one begins the clock anew: what waits is tried again each hour at least."""
    mailbox = with_failed_call(a_mailbox(), NOW, NOW)
    again = with_failed_call(mailbox, later(minutes=75), later(minutes=75))
    assert (again.failing_since, again.degraded_because) == (later(minutes=75), None)


def test_the_last_failure_is_noted_once_a_minute() -> None:
    """In an outage a failure costs a write once a minute at most."""
    mailbox = with_failed_call(a_mailbox(), NOW, NOW)
    assert with_failed_call(mailbox, later(seconds=59), later(seconds=59)) == mailbox
    assert with_failed_call(mailbox, NOW, later(seconds=60)).failed_at == later(seconds=60)


def test_where_no_thread_was_begun_the_last_send_ends_an_outage() -> None:
    """Without a thread nothing is swept, so nobody would find out that Graph answers again."""
    troubled = with_trouble(with_failed_call(a_mailbox(), NOW, NOW), Trouble.NO_ANSWER, NOW)
    assert without_outage(troubled) == a_mailbox()
    swept = replace(troubled, sweep_at=NOW)
    assert without_outage(swept) == swept


def test_a_first_failure_has_the_mailbox_swept_soon() -> None:
    """One mail that always fails is no outage: a sweep that works proves it within a quarter of an hour."""
    mailbox = with_failed_call(a_mailbox(sweep_at=later(hours=6)), NOW, NOW)
    assert mailbox.sweep_at == NOW + timedelta(minutes=15)
    assert with_failed_call(a_mailbox(sweep_at=later(minutes=1)), NOW, NOW).sweep_at == later(minutes=1)


@pytest.mark.parametrize(
    ("before", "until", "since"),
    [
        ((None, None), later(seconds=60), NOW),
        ((later(minutes=-1), later(seconds=5)), later(seconds=60), later(minutes=-1)),
        ((later(hours=-2), later(hours=-1)), later(seconds=60), NOW),
        ((later(minutes=-1), later(seconds=90)), later(seconds=60), later(minutes=-1)),
    ],
    ids=["first", "longer", "after one that is over", "shorter"],
)
def test_a_pause_has_a_beginning(
    before: tuple[datetime | None, datetime | None], until: datetime, since: datetime
) -> None:
    """A pause that is made longer began when the first one did; one that is over begins anew."""
    mailbox = a_mailbox(paused_since=before[0], paused_until=before[1])
    assert with_pause(mailbox, until, NOW).paused_since == since
