"""The numbers of all retrying, and what each answer of the CRM leads to."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import (
    AccessRefused,
    Ambiguous,
    GrantDead,
    ItemGone,
    MailboxClosed,
    MailboxUnusable,
    MessageRefused,
    ProviderUnavailable,
    RowChanged,
    SealBroken,
    StoreUnavailable,
    Throttled,
    UpstreamSurprise,
)
from shared.domain.retries import (
    CRM_JITTER,
    CRM_SCHEDULE_SECONDS,
    LONGEST_RETRY_AFTER_SECONDS,
    Delivered,
    EndpointOff,
    GiveUp,
    PutOff,
    RetryAt,
    StopTelling,
    decide_after_answer,
    decide_after_failure,
)

MINUTE, HOUR = 60.0, 3600.0
# What stands in the rules (C-8), in their words: 0, 5 s, 5 m, 30 m, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h, each ± 20 %.
AFTER_THE_FIRST = [5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR]
MIDDLE = 0.5

statuses = st.none() | st.integers(100, 599)
fractions = st.floats(0, 1, exclude_max=True)


def test_the_numbers_are_those_of_the_rules() -> None:
    """The delivery schedule, its spread and the longest Retry-After have the documented values."""
    assert list(CRM_SCHEDULE_SECONDS) == AFTER_THE_FIRST
    assert CRM_JITTER == 0.2
    assert LONGEST_RETRY_AFTER_SECONDS == 24 * HOUR


@pytest.mark.parametrize(("attempts", "seconds"), list(enumerate(AFTER_THE_FIRST, start=1)))
@pytest.mark.parametrize(
    "status", [None, 500, 502, 504, 301, 302, 307, 308, 401, 403, 404, 429, 503, 100, 600, 0]
)
def test_every_failure_is_repeated_by_the_schedule(status: int | None, attempts: int, seconds: float) -> None:
    """A delivery without a clear answer is repeated by the schedule, each wait spread by 20 %."""
    assert decide_after_answer(status, None, attempts, 1, MIDDLE) == RetryAt(seconds)
    for fraction, share in ((0.0, 0.8), (0.25, 0.9), (0.75, 1.1)):
        spread = decide_after_answer(status, None, attempts, 1, fraction)
        assert isinstance(spread, RetryAt)
        assert spread.seconds == pytest.approx(seconds * share)


@pytest.mark.parametrize("status", [None, 500, 302, 404, 429, 503, 400])
def test_after_the_tenth_attempt_an_event_is_undelivered(status: int | None) -> None:
    """After the tenth failed attempt an event is not tried any more, whatever the answer asks for."""
    last = len(AFTER_THE_FIRST)
    assert isinstance(decide_after_answer(status, 1.0, last, 1, MIDDLE), RetryAt)
    assert decide_after_answer(status, 1.0, last + 1, 1, MIDDLE) == StopTelling()


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_a_yes(status: int) -> None:
    """Any 2xx ends a delivery, at whatever attempt."""
    for attempts in (1, 10, 11, 1000):
        assert decide_after_answer(status, 60.0, attempts, 9, MIDDLE) == Delivered()


@pytest.mark.parametrize("attempts", [1, 2, 11])
def test_410_switches_the_endpoint_off(attempts: int) -> None:
    """A 410 turns the endpoint off at any attempt."""
    assert decide_after_answer(410, None, attempts, 1, MIDDLE) == EndpointOff()


@pytest.mark.parametrize("status", [400, 413, 422])
def test_after_the_third_equal_refusal_an_event_is_undelivered(status: int) -> None:
    """After three equal refusals (400, 413, 422) an event is not tried any more."""
    assert [decide_after_answer(status, None, number, number, MIDDLE) for number in (1, 2, 3)] == [
        RetryAt(5.0), RetryAt(300.0), StopTelling()
    ]  # fmt: skip


@pytest.mark.parametrize("status", [None, 401, 404, 429, 500, 503])
def test_other_failures_may_be_equal_for_long(status: int | None) -> None:
    """Failures other than refusals are retried although they stay equal."""
    assert isinstance(decide_after_answer(status, None, 9, 9, MIDDLE), RetryAt)


@pytest.mark.parametrize(
    ("status", "asked", "attempts", "seconds"),
    [
        (429, 60.0, 1, 60.0),
        (503, 60.0, 1, 60.0),
        (503, 7.5, 1, 7.5),
        (503, 10 * 24 * HOUR, 1, 24 * HOUR),
        (503, float("inf"), 1, 24 * HOUR),
        (429, 0.0, 1, 5.0),
        (429, 2.0, 3, 30 * MINUTE),
        (503, 0.0, 9, 24 * HOUR),
        (500, 60.0, 1, 5.0),
        (302, 60.0, 1, 5.0),
        (400, 60.0, 1, 5.0),
        (None, 60.0, 1, 5.0),
    ],
)
def test_retry_after_makes_the_wait_longer(
    status: int | None, asked: float, attempts: int, seconds: float
) -> None:
    """Retry-After of 429 and 503 makes a wait longer, up to a day, and never shorter."""
    assert decide_after_answer(status, asked, attempts, 1, MIDDLE) == RetryAt(seconds)


@given(statuses, st.none() | st.floats(0, 1e12), st.integers(1, 50), st.integers(1, 50), fractions)
def test_every_answer_has_a_consequence(
    status: int | None, asked: float | None, attempts: int, equal: int, fraction: float
) -> None:
    """After any answer an event is delivered, undelivered, held, or tried again after 4 s to 29 hours."""
    verdict: Any = decide_after_answer(status, asked, attempts, equal, fraction)
    assert isinstance(verdict, Delivered | RetryAt | StopTelling | EndpointOff)
    if isinstance(verdict, RetryAt):
        assert 4 <= verdict.seconds <= 24 * HOUR * 1.2
        assert attempts <= 9
    assert isinstance(verdict, Delivered) == (status is not None and status // 100 == 2)


@pytest.mark.parametrize("attempts", [0, 1, 4, 50])
@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (Throttled(17.0), 17.0),
        (GrantDead(), 24 * HOUR),
        (MailboxUnusable(), HOUR),
    ],
)
def test_waiting_for_somebody_is_no_failure(error: Exception, seconds: float, attempts: int) -> None:
    """A pause, a dead consent and an unusable mailbox put work off without counting an attempt (E-28)."""
    assert decide_after_failure(error, attempts, 0.9) == PutOff(seconds, attempts)


@pytest.mark.parametrize(
    "error", [ProviderUnavailable(), StoreUnavailable(), Ambiguous(), RowChanged("mailbox")]
)
def test_an_outage_is_waited_out(error: Exception) -> None:
    """An outage is retried after 15 s, a minute and then every four minutes, without ever being given up."""
    attempts, waits = 0, []
    for _ in range(20):
        verdict = decide_after_failure(error, attempts, 0.0)
        assert isinstance(verdict, PutOff)
        waits.append(verdict.seconds)
        attempts = verdict.attempts
    assert waits[:3] == [15.0, 60.0, 240.0]
    assert set(waits[3:]) == {240.0}
    assert isinstance(decide_after_failure(UpstreamSurprise(), attempts, 0.0), PutOff)


def test_an_outage_that_names_its_end_is_waited_for() -> None:
    """A Retry-After longer than our own wait is kept."""
    asked = ProviderUnavailable(retry_after_seconds=500.0)
    assert decide_after_failure(asked, 0, 0.0) == PutOff(500.0, 1)


@pytest.mark.parametrize(
    "error",
    [UpstreamSurprise(), SealBroken(), AccessRefused(), MessageRefused("x"), KeyError("x"), ItemGone()],
)
def test_what_nobody_foresaw_is_tried_five_times_over_half_an_hour(error: Exception) -> None:
    """A failure that nobody foresaw is tried five times over half an hour and then given up (E-28)."""
    attempts, waited, tries = 0, 0.0, 1
    while isinstance(verdict := decide_after_failure(error, attempts, 0.0), PutOff):
        attempts, waited, tries = verdict.attempts, waited + verdict.seconds, tries + 1
    assert verdict == GiveUp()
    assert (tries, waited >= 30 * MINUTE) == (5, True)


@given(
    st.sampled_from(
        [Throttled(1.0), GrantDead(), Ambiguous(), ProviderUnavailable(), ValueError(), MailboxClosed()]
    ),
    st.integers(0, 10**6),
    fractions,
)
def test_every_failure_has_a_consequence(error: Exception, attempts: int, fraction: float) -> None:
    """After any failure work is put off for at least a second, or given up after the fifth attempt at the earliest."""
    verdict = decide_after_failure(error, attempts, fraction)
    if isinstance(verdict, PutOff):
        assert verdict.seconds >= 1
        assert verdict.attempts >= attempts
    else:
        assert attempts >= 4
