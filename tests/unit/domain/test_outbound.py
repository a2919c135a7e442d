"""A CRM send, step by step; the table of every phase and whereabouts, and never a second mail."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.model import FenceState, Located, Mailbox, OutboxItem, Phase, Reason, Whereabouts
from shared.domain.outbound import (
    ASK_AGAIN_AFTER,
    GIVE_UP_LOOKING_AFTER,
    LOOK_UP_EVERY,
    UNKNOWN_AFTER,
    Ask,
    Build,
    Confirm,
    Fail,
    GiveUp,
    Held,
    Later,
    Nothing,
    Rest,
    SendAgain,
    StopLooking,
    TellUnknown,
    Tidy,
    decide_by_whereabouts,
    decide_next_step,
    is_its_copy,
)
from tests.builders import NOW, a_mailbox, later, located, outbox_item
from tests.strategies import records, times

BEFORE = (Phase.NEW, Phase.BUILDING)
ASKED = (Phase.SENDING, Phase.SUBMITTED, Phase.NEEDS_ATTENTION)
FINAL = (Phase.SENT, Phase.FAILED)
DRAFT, DELETED, OUTBOX, SENT = Whereabouts

SHUT: dict[str, Mailbox | None] = {
    "never connected": None,
    "disconnected": a_mailbox(state=FenceState.CLOSED),
    "disconnected, another generation": a_mailbox(state=FenceState.CLOSED, generation=2),
}


def test_the_phases_of_this_file_are_all_there_are() -> None:
    """The tables of this file name every phase of a send."""
    assert set(BEFORE + ASKED + FINAL) == set(Phase)
    assert {phase for phase in Phase if phase.final} == set(FINAL)


@pytest.mark.parametrize("phase", FINAL)
@pytest.mark.parametrize("own", [*SHUT.values(), a_mailbox(), a_mailbox(generation=2)])
def test_a_finished_send_is_left_alone(phase: Phase, own: Mailbox | None) -> None:
    """A finished send needs no step but to tidy its drafts when that is due."""
    assert decide_next_step(outbox_item(phase=phase, due_at=None), own, NOW) == Nothing()
    assert decide_next_step(outbox_item(phase=phase, due_at=NOW), own, NOW) == Tidy()


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("own", [*SHUT.values(), a_mailbox(), a_mailbox(generation=2)])
def test_a_send_that_another_worker_holds_is_left_alone(phase: Phase, own: Mailbox | None) -> None:
    """A send under another worker's lease is left to it until the lease ends."""
    item = outbox_item(phase=phase, lease_until=later(seconds=1))
    assert decide_next_step(item, own, NOW) == Held(later(seconds=1))


@pytest.mark.parametrize("phase", BEFORE)
def test_a_lease_that_ended_is_taken_over(phase: Phase) -> None:
    """When a lease has ended the send is built afresh under the next number, which fences the slow worker."""
    step = decide_next_step(outbox_item(phase=phase, lease_until=NOW, build=2), a_mailbox(), NOW)
    assert step == Build(3, deaths=int(phase is Phase.BUILDING))


@pytest.mark.parametrize("phase", BEFORE)
@pytest.mark.parametrize("own", SHUT.values(), ids=SHUT)
def test_what_has_not_left_before_a_disconnect_fails(phase: Phase, own: Mailbox | None) -> None:
    """A send that was not being sent when its user disconnected fails with that reason (R5)."""
    assert decide_next_step(outbox_item(phase=phase), own, NOW) == Fail(Reason.DISCONNECTED)


@pytest.mark.parametrize("phase", BEFORE)
def test_what_has_not_left_before_a_change_of_mailbox_fails(phase: Phase) -> None:
    """A send that was not being sent when the mailbox was changed fails with that reason (R6)."""
    assert decide_next_step(outbox_item(phase=phase), a_mailbox(generation=2), NOW) == Fail(
        Reason.MAILBOX_CHANGED
    )


@pytest.mark.parametrize("phase", ASKED)
@pytest.mark.parametrize("own", [*SHUT.values(), a_mailbox(generation=2)])
def test_what_was_being_sent_is_not_touched_through_a_closed_mailbox(
    phase: Phase, own: Mailbox | None
) -> None:
    """A send that was under way when its mailbox closed is told once as unknown, and not looked for any more."""
    told = outbox_item(phase=phase, unconfirmed_told=True)
    assert decide_next_step(outbox_item(phase=phase), own, NOW) == (TellUnknown() if own else Nothing())
    assert decide_next_step(told, own, NOW) == (StopLooking() if own else Nothing())


@pytest.mark.parametrize("phase", BEFORE)
def test_a_send_is_built_with_the_next_number(phase: Phase) -> None:
    """Every build of a send has the next number."""
    assert [decide_next_step(outbox_item(phase=phase, build=n), a_mailbox(), NOW) for n in (0, 1, 5)] == [
        Build(1),
        Build(2),
        Build(6),
    ]


@pytest.mark.parametrize("phase", ASKED)
def test_an_unknown_outcome_is_asked_about_first(phase: Phase) -> None:
    """A send that may have left is asked about before anything else is done (E-7)."""
    tried = outbox_item(phase=phase, send_tried_at=NOW - ASK_AGAIN_AFTER)
    assert decide_next_step(tried, a_mailbox(), NOW) == Ask()


def test_a_send_under_way_gets_its_time_before_anybody_asks() -> None:
    """A send under way is asked about five minutes after its try, since Graph needs a while to show the copy."""
    tried = outbox_item(phase=Phase.SENDING, send_tried_at=NOW)
    assert decide_next_step(tried, a_mailbox(), NOW) == Later(NOW + ASK_AGAIN_AFTER)
    assert decide_next_step(tried, a_mailbox(), NOW + ASK_AGAIN_AFTER) == Ask()


@pytest.mark.parametrize("phase", BEFORE + ASKED)
def test_a_paused_mailbox_is_waited_for(phase: Phase) -> None:
    """A send of a paused mailbox waits until the pause ends."""
    paused = a_mailbox(paused_until=later(seconds=30))
    assert decide_next_step(outbox_item(phase=phase), paused, NOW) == Later(later(seconds=30))


@pytest.mark.parametrize("phase", BEFORE)
@pytest.mark.parametrize(
    "changes", [{}, {"build": 5_000, "attempts": 50}, {"failing_since": later(hours=-24)}], ids=str
)
def test_no_number_of_builds_ends_a_send(phase: Phase, changes: dict[str, Any]) -> None:
    """Builds that ended with a noted failure never end a send: an outage may last as long as the send may wait."""
    step = decide_next_step(outbox_item(phase=phase, **changes), a_mailbox(), NOW)
    assert step == Build(changes.get("build", 0) + 1)


@pytest.mark.parametrize(
    ("deaths", "step"),
    [(0, Build(3, 1)), (1, Rest(2)), (2, Rest(3)), (3, Rest(4)), (4, GiveUp())],
)
def test_a_lease_that_ended_without_a_word_is_a_death(deaths: int, step: object) -> None:
    """The first is built again at once, the next ones rest, the fifth ends the send (E-28)."""
    lost = outbox_item(phase=Phase.BUILDING, build=2, lease_until=NOW, deaths=deaths)
    assert decide_next_step(lost, a_mailbox(), NOW) == step
    rested = replace(lost, lease_until=None)
    assert decide_next_step(rested, a_mailbox(), NOW) == Build(3, deaths)


@pytest.mark.parametrize("phase", BEFORE)
@pytest.mark.parametrize(("within", "ends"), [(3600, True), (3601, False)])
def test_a_send_that_may_wait_no_longer_ends(phase: Phase, within: int, *, ends: bool) -> None:
    """What has not left in the time it was given ends with that reason, whatever it waited for."""
    item = outbox_item(phase=phase, created_at=later(hours=-1), send_within_seconds=within)
    for own in (a_mailbox(), a_mailbox(grant_dead=True), a_mailbox(paused_until=later(hours=9))):
        step = decide_next_step(item, own, NOW)
        assert (step == Fail(Reason.WAITED_TOO_LONG)) is ends


CLOSED_WHILE_REFUSED: list[tuple[Mailbox, Reason]] = [
    (
        a_mailbox(state=FenceState.CLOSED, closed_because=Reason.DISCONNECTED, closed_at=NOW),
        Reason.DISCONNECTED,
    ),
    (a_mailbox(state=FenceState.CLOSED, closed_because=Reason.MAILBOX_CHANGED), Reason.MAILBOX_CHANGED),
    (a_mailbox(generation=9), Reason.MAILBOX_CHANGED),
]


@pytest.mark.parametrize(("own", "reason"), CLOSED_WHILE_REFUSED)
def test_what_was_plainly_refused_ends_with_its_mailbox(own: Mailbox, reason: Reason) -> None:
    """Graph said no to the last try, so nothing is unknown: the send ends with the reason, and nobody is asked."""
    item = outbox_item(phase=Phase.SENDING, plainly_refused=True)
    assert decide_next_step(item, own, NOW) == Fail(reason)


def test_what_was_plainly_refused_ends_in_its_time() -> None:
    """A send that Graph refused at every try does not leave after its time is over."""
    item = outbox_item(
        phase=Phase.SENDING, plainly_refused=True, created_at=later(hours=-1), send_within_seconds=3600
    )
    assert decide_next_step(item, a_mailbox(grant_dead=True), NOW) == Fail(Reason.WAITED_TOO_LONG)
    assert decide_next_step(replace(item, plainly_refused=False), a_mailbox(), NOW) == Ask()


def test_a_dead_consent_is_tried_once_a_day() -> None:
    """No send asks with a consent that was found dead, until a day after it was last tried."""
    dead = a_mailbox(grant_dead=True, grant_dead_since=later(hours=-30), grant_probed_at=later(hours=-1))
    for phase in BEFORE + ASKED:
        assert decide_next_step(outbox_item(phase=phase), dead, NOW) == Later(later(hours=23))
    due = replace(dead, grant_probed_at=later(hours=-24))
    assert isinstance(decide_next_step(outbox_item(), due, NOW), Build)


@given(records(OutboxItem), st.none() | records(Mailbox), times)
def test_every_send_has_a_next_step(item: OutboxItem, own: Mailbox | None, now: datetime) -> None:
    """Every send has a next step, which never builds what may have left and acts only through its own open mailbox."""
    step = decide_next_step(item, own, now)
    match step:
        case Build(build):
            assert item.phase in BEFORE
            assert build == item.build + 1
        case Fail():
            assert item.phase in BEFORE or item.plainly_refused
        case Ask():
            assert item.phase in ASKED
        case Later(until):
            assert until > now
        case Tidy():
            assert item.phase in FINAL
        case TellUnknown() | StopLooking():
            assert item.phase in ASKED
            assert item.unconfirmed_told is isinstance(step, StopLooking)
        case Nothing():
            pass
    if isinstance(step, Build | Ask):
        assert own is not None
        assert (own.state, own.generation) == (FenceState.OPEN, item.generation)


# ---- what the mailbox's answer means

STARTED: dict[str, Any] = {
    "draft_graph_message_id": "AAMk-draft",
    "draft_internet_message_id": "<draft@x>",
    "send_started_at": NOW,
    "send_tried_at": NOW,
    "awaited_since": NOW,
    "tried": True,
}
SOON, LATE = later(minutes=6), NOW + UNKNOWN_AFTER

# phase, where the recorded draft lies (None: 404) -> the answer within the first hour
BY_ID: dict[tuple[Phase, Whereabouts | None], Any] = {
    (Phase.SENDING, DRAFT): SendAgain(),
    (Phase.SENDING, DELETED): Fail(Reason.CANCELLED_IN_MAILBOX),
    (Phase.SENDING, OUTBOX): Later(SOON + ASK_AGAIN_AFTER),
    (Phase.SENDING, SENT): Confirm(located(SENT)),
    (Phase.SENDING, None): Later(SOON + ASK_AGAIN_AFTER),
    # Graph said 202: the draft may still be shown for a while, and sending it again could be a second mail.
    (Phase.SUBMITTED, DRAFT): Later(SOON + ASK_AGAIN_AFTER),
    (Phase.SUBMITTED, DELETED): Fail(Reason.CANCELLED_IN_MAILBOX),
    (Phase.SUBMITTED, OUTBOX): Later(SOON + ASK_AGAIN_AFTER),
    (Phase.SUBMITTED, SENT): Confirm(located(SENT)),
    (Phase.SUBMITTED, None): Later(SOON + ASK_AGAIN_AFTER),
    # Its hour is over, so it is not sent any more; whether nothing came of it is said an hour after the last try.
    (Phase.NEEDS_ATTENTION, DRAFT): Later(SOON + ASK_AGAIN_AFTER),
    (Phase.NEEDS_ATTENTION, DELETED): Fail(Reason.CANCELLED_IN_MAILBOX),
    (Phase.NEEDS_ATTENTION, OUTBOX): Later(SOON + ASK_AGAIN_AFTER),
    (Phase.NEEDS_ATTENTION, SENT): Confirm(located(SENT)),
    (Phase.NEEDS_ATTENTION, None): Later(SOON + ASK_AGAIN_AFTER),
}


def test_the_table_is_whole() -> None:
    """The table of answers has every phase that asks with every place of the recorded draft."""
    assert set(BY_ID) == set(product(ASKED, (*Whereabouts, None)))


@pytest.mark.parametrize(("phase", "place"), BY_ID, ids=str)
def test_where_the_recorded_draft_lies_decides(phase: Phase, place: Whereabouts | None) -> None:
    """A recorded draft that was sent confirms its send. One in Drafts is sent again only if Graph never took it."""
    item = outbox_item(phase=phase, **STARTED)
    answer = decide_by_whereabouts(item, located(place) if place else None, (), SOON)
    assert answer == BY_ID[phase, place]


# what carries our key while the recorded id is a 404 -> the answer
BY_KEY = [
    ("nothing", (), Later),
    ("the sent copy under another id", (located(SENT),), Confirm),
    ("the sent copy beside older drafts", (located(DRAFT), located(DELETED), located(SENT)), Confirm),
    ("a draft of an older build", (located(DRAFT),), Later),
    ("a deleted draft of an older build", (located(DELETED, internet_message_id="<older@x>"),), Later),
    ("a deleted draft without a Message-ID", (located(DELETED, internet_message_id=None),), Later),
    ("the recorded draft, deleted", (located(DELETED, internet_message_id="<draft@x>"),), Fail),
    ("a copy in the outbox", (located(OUTBOX),), Later),
]  # fmt: skip


@pytest.mark.parametrize("phase", ASKED)
@pytest.mark.parametrize(("_case", "by_key", "kind"), BY_KEY, ids=[case[0] for case in BY_KEY])
def test_what_carries_our_key_decides_when_the_id_is_gone(
    phase: Phase, _case: str, by_key: tuple[Located, ...], kind: type[Any]
) -> None:
    """When the recorded id is gone a sent copy with our key confirms the send.

    Only the recorded draft, deleted, cancels it.
    """
    assert type(decide_by_whereabouts(outbox_item(phase=phase, **STARTED), None, by_key, SOON)) is kind


def test_without_a_recorded_message_id_a_deleted_draft_proves_nothing() -> None:
    """Without a recorded Message-ID a deleted draft does not cancel the send."""
    item = outbox_item(phase=Phase.SENDING, **{**STARTED, "draft_internet_message_id": None})
    answer = decide_by_whereabouts(item, None, (located(DELETED, internet_message_id=None),), SOON)
    assert isinstance(answer, Later)


@pytest.mark.parametrize("place", [OUTBOX, None])
def test_after_an_hour_the_crm_is_told_once_that_nobody_knows(place: Whereabouts | None) -> None:
    """After an hour without a trace the CRM is told once that nobody knows. The looking goes on less often (E-7)."""
    item, by_id = outbox_item(phase=Phase.SUBMITTED, **STARTED), located(place) if place else None
    assert decide_by_whereabouts(item, by_id, (), LATE) == TellUnknown()
    told = outbox_item(phase=Phase.NEEDS_ATTENTION, unconfirmed_told=True, **STARTED)
    assert decide_by_whereabouts(told, by_id, (), LATE) == Later(LATE + LOOK_UP_EVERY)


def test_a_copy_that_turns_up_late_is_still_confirmed() -> None:
    """A sent copy that turns up days after the CRM was told of doubt still confirms its send."""
    told = outbox_item(phase=Phase.NEEDS_ATTENTION, unconfirmed_told=True, **STARTED)
    assert decide_by_whereabouts(told, None, (located(SENT),), later(days=3)) == Confirm(located(SENT))


@pytest.mark.parametrize("phase", ASKED)
@pytest.mark.parametrize("place", [OUTBOX, None])
def test_after_a_week_nobody_looks_any_more(phase: Phase, place: Whereabouts | None) -> None:
    """After a week without a trace a send that was told as unknown is not looked for any more."""
    by_id, end = located(place) if place else None, NOW + GIVE_UP_LOOKING_AFTER
    told = outbox_item(phase=phase, unconfirmed_told=True, **STARTED)
    assert decide_by_whereabouts(told, by_id, (), end - timedelta(seconds=1)) == Later(
        end - timedelta(seconds=1) + LOOK_UP_EVERY
    )
    assert decide_by_whereabouts(told, by_id, (), end) == StopLooking()
    assert decide_by_whereabouts(replace(told, unconfirmed_told=False), by_id, (), end) == TellUnknown()


FRESH_TRY = {"send_tried_at": NOW + timedelta(minutes=58)}
REFUSED = {"awaited_since": None, "send_tried_at": None, "tried": False, "plainly_refused": True}
TWICE = {"refusal": Reason.SEND_DENIED, "send_tried_at": NOW + timedelta(minutes=5)}
IN_DRAFTS = [
    ("within the hour it is sent again", Phase.SENDING, {}, LATE - timedelta(seconds=1), SendAgain()),
    ("after it, it failed", Phase.SENDING, {}, LATE, Fail(Reason.LEFT_IN_DRAFTS)),
    ("told as unknown, it failed", Phase.NEEDS_ATTENTION, {}, LATE, Fail(Reason.LEFT_IN_DRAFTS)),
    ("the last try is not an hour ago", Phase.SENDING, FRESH_TRY, LATE, TellUnknown()),
    ("now it is", Phase.NEEDS_ATTENTION, FRESH_TRY, LATE + timedelta(minutes=58), Fail(Reason.LEFT_IN_DRAFTS)),
    ("Graph had said yes", Phase.SUBMITTED, {"taken_at": NOW}, LATE, TellUnknown()),
    ("and nobody knows since", Phase.NEEDS_ATTENTION, {"taken_at": NOW}, LATE, TellUnknown()),
    ("each try was refused", Phase.SENDING, REFUSED, later(days=2), SendAgain()),
    ("and its time is over", Phase.SENDING, REFUSED, later(days=3), Fail(Reason.WAITED_TOO_LONG)),
    ("no try was made", Phase.SENDING, {"tried": False}, later(days=2), SendAgain()),
    ("which was told as unknown", Phase.NEEDS_ATTENTION, {"tried": False}, later(days=2), SendAgain()),
    ("and now it is too late", Phase.NEEDS_ATTENTION, {"tried": False}, later(days=3), Fail(Reason.WAITED_TOO_LONG)),
    ("the second try was refused", Phase.SENDING, TWICE, SOON, Later(SOON + ASK_AGAIN_AFTER)),
    ("so was all of its hour", Phase.SENDING, TWICE, later(minutes=65), Fail(Reason.SEND_DENIED)),
    ("it died of age", Phase.SENDING, {}, later(days=3), Fail(Reason.LEFT_IN_DRAFTS)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("_case", "phase", "changes", "now", "answer"), IN_DRAFTS, ids=[case[0] for case in IN_DRAFTS]
)
def test_a_draft_that_still_lies_in_drafts(
    _case: str, phase: Phase, changes: dict[str, Any], now: datetime, answer: object
) -> None:
    """A draft that still lies in Drafts is sent again within the hour.

    Later the send failed, unless Graph had taken it.
    """
    item = outbox_item(phase=phase, **{**STARTED, **changes})
    assert decide_by_whereabouts(item, located(DRAFT), (), now) == answer


COPIES = [
    ("the draft itself", "AAMk-draft", "<draft@x>", True),
    ("under the same id, with another Message-ID", "AAMk-draft", "<sent@x>", True),
    ("under another id, with the same Message-ID", "AAMk-sent", "<draft@x>", True),
    ("with neither", "AAMk-sent", "<sent@x>", False),
    ("without a Message-ID", "AAMk-sent", None, False),
    ("an id that differs by case", "AAMK-DRAFT", None, False),
]


@pytest.mark.parametrize(
    ("_case", "graph_id", "message_id", "copy"), COPIES, ids=[case[0] for case in COPIES]
)
@pytest.mark.parametrize("phase", Phase)
def test_a_sent_copy_is_known_by_the_drafts_ids(
    _case: str, graph_id: str, message_id: str | None, phase: Phase, *, copy: bool
) -> None:
    """A send under way is confirmed by a copy with the draft's id or Message-ID, whichever was kept (E-12)."""
    item = outbox_item(phase=phase, **STARTED)
    assert is_its_copy(item, graph_id, message_id) is (copy and phase in ASKED)
    assert not is_its_copy(outbox_item(phase=phase), "AAMk-other", None)


@given(
    records(OutboxItem, phase=st.sampled_from(ASKED)),
    st.none() | records(Located),
    st.lists(records(Located), max_size=3).map(tuple),
    times,
)
def test_every_answer_of_the_mailbox_gets_a_decision(
    item: OutboxItem, by_id: Located | None, by_key: tuple[Located, ...], now: datetime
) -> None:
    """Any answer of the mailbox gets a decision.

    A send is repeated only from its recorded draft in Drafts that Graph never took.
    """
    answer = decide_by_whereabouts(item, by_id, by_key, now)
    sent = [copy for copy in (by_id, *by_key) if copy and copy.whereabouts is SENT]
    if sent:
        assert answer == Confirm(sent[0])
    match answer:
        case SendAgain():
            assert by_id is not None
            assert by_id.whereabouts is DRAFT
            assert item.phase in {Phase.SENDING, Phase.NEEDS_ATTENTION}
            assert item.taken_at is None
            assert item.refusal is None
        case Later(until):
            assert until > now
        case TellUnknown():
            assert not item.unconfirmed_told
        case Fail(reason):
            in_drafts = by_id is not None and by_id.whereabouts is DRAFT
            told = {item.refusal, Reason.LEFT_IN_DRAFTS, Reason.WAITED_TOO_LONG}
            assert reason is Reason.CANCELLED_IN_MAILBOX or (in_drafts and reason in told)
            assert reason is not Reason.LEFT_IN_DRAFTS or item.tried
        case StopLooking():
            assert item.unconfirmed_told
        case Confirm():
            assert sent
