"""Every retry decision of the product, in one place; the numbers are those of the retry rules (E-28, C-8).

Randomness comes in as `jitter` in [0, 1), so that a test can say what happens.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from shared.domain.connection import DENIED_PROBED_EVERY, PROBED_EVERY
from shared.domain.errors import (
    Ambiguous,
    GrantDead,
    MailboxUnusable,
    NotItsAnswer,
    OutcomeUnknown,
    ProviderUnavailable,
    RowChanged,
    Throttled,
    Unavailable,
    UpstreamSurprise,
    WorkersDied,
)

CRM_SCHEDULE_SECONDS: Final = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
CRM_JITTER: Final = 0.2
LONGEST_RETRY_AFTER_SECONDS: Final = 86_400.0
EQUAL_REFUSALS_TAKEN: Final = 3
UNUSABLE_SECONDS: Final = 3_600.0
OUTAGE_SECONDS: Final = (15.0, 60.0, 240.0)
ONE_ITEM_FOR_AT_MOST: Final = timedelta(hours=24)
UNFORESEEN_SECONDS: Final = (60.0, 300.0, 600.0, 1_200.0)
FAILURE_JITTER: Final = 0.2
GIVEN_UP_EVERY: Final = timedelta(hours=1)
AFTER_DEATHS: Final = (GIVEN_UP_EVERY, timedelta(hours=4), timedelta(hours=12), timedelta(days=1))
MOST_FAILURES: Final = len(UNFORESEEN_SECONDS)

REFUSALS: Final = (400, 413, 422)
THROTTLES: Final = (429, 503)
GONE: Final = 410


@dataclass(frozen=True, slots=True)
class Delivered:
    """The CRM has it."""


@dataclass(frozen=True, slots=True)
class RetryAt:
    """Try again after so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class StopTelling:
    """The CRM keeps refusing this event: it waits for somebody, the others go on."""


@dataclass(frozen=True, slots=True)
class EndpointOff:
    """The CRM said the endpoint is gone (410)."""


@dataclass(frozen=True, slots=True)
class PutOff:
    """Try again after so many seconds; `attempts` are the failures that count by then."""

    seconds: float
    attempts: int


def waits_for_somebody(error: Exception) -> bool:
    """Whether this is nobody's failure: a pause, or a consent that its user must renew (E-28)."""
    return isinstance(error, Throttled | GrantDead | MailboxUnusable)


def is_outage(error: Exception) -> bool:
    """Whether Graph did not answer, or with nonsense: what a single failure cannot tell from an outage."""
    return isinstance(error, ProviderUnavailable | Ambiguous | UpstreamSurprise) and not isinstance(
        error, OutcomeUnknown
    )


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Nobody foresaw it, and it came again too often: a dead letter, so that a person sees it."""


def decide_after_answer(
    status: int | None, retry_after_seconds: float | None, attempts: int, equal_refusals: int, jitter: float
) -> Delivered | RetryAt | StopTelling | EndpointOff:
    """What an attempt's answer means (C-8). `attempts` counts this one; `status` None means no answer came.

    Only 2xx is a yes; a redirect is not followed and counts as any other failure (Standard Webhooks, 1.0). A
    Retry-After makes the wait longer, never shorter: one of 0 seconds would use up the whole schedule at once.
    """
    if status is not None and 200 <= status < 300:  # noqa: PLR2004 - the 2xx class
        return Delivered()
    if status == GONE:
        return EndpointOff()
    if status in REFUSALS and equal_refusals >= EQUAL_REFUSALS_TAKEN:
        return StopTelling()
    if attempts > len(CRM_SCHEDULE_SECONDS):
        return StopTelling()
    planned = CRM_SCHEDULE_SECONDS[attempts - 1] * (1 + CRM_JITTER * (2 * jitter - 1))
    if status in THROTTLES and retry_after_seconds is not None:
        return RetryAt(max(planned, min(retry_after_seconds, LONGEST_RETRY_AFTER_SECONDS)))
    return RetryAt(planned)


def decide_after_failure(error: Exception, attempts: int, jitter: float) -> PutOff | GiveUp:
    """What becomes of work that failed (E-28). `attempts` are the failures that counted before this one.

    A pause and a dead grant are nobody's failure, the work waits. An outage is waited out, however long it takes.
    What nobody foresaw gets five tries over at least half an hour.
    """
    match error:
        case Throttled():
            return PutOff(error.retry_after_seconds, attempts)
        case GrantDead():
            every = DENIED_PROBED_EVERY if error.denied is not None else PROBED_EVERY
            return PutOff(every.total_seconds(), attempts)
        case MailboxUnusable():
            return PutOff(UNUSABLE_SECONDS, attempts)
        case Unavailable() | Ambiguous() | RowChanged() | NotItsAnswer():
            step = min(attempts, len(OUTAGE_SECONDS) - 1)
            asked = error.retry_after_seconds or 0.0 if isinstance(error, Unavailable) else 0.0
            wait = max(OUTAGE_SECONDS[step] * (1 + FAILURE_JITTER * jitter), asked)
            return PutOff(wait, max(attempts, min(attempts + 1, len(OUTAGE_SECONDS) - 1)))
        case _ if attempts < len(UNFORESEEN_SECONDS):
            return PutOff(UNFORESEEN_SECONDS[attempts] * (1 + FAILURE_JITTER * jitter), attempts + 1)
        case _:
            return GiveUp()


def rest_given_up(error: Exception, attempts: int) -> timedelta:
    """How long work rests that is done again although it was given up, for nothing else stands in for it.

    `attempts`: what counted before this failure. What kills its workers rests ever longer, for a day at last.
    """
    if not isinstance(error, WorkersDied):
        return GIVEN_UP_EVERY
    return AFTER_DEATHS[min(max(attempts - MOST_FAILURES, 0), len(AFTER_DEATHS) - 1)]


def count_given_up(error: Exception, attempts: int) -> int:
    """What counts after a failure with which work was given up that is done again: its next failure ends it again."""
    return max(attempts, MOST_FAILURES) + isinstance(error, WorkersDied)


@dataclass(frozen=True, slots=True)
class Failed:
    """Work that failed at a time, with the jitter for its next try."""

    error: Exception
    at: datetime
    jitter: float

    def verdict(self, attempts: int) -> PutOff | GiveUp:
        """What is to become of it. `attempts` are the failures that counted before this one."""
        return decide_after_failure(self.error, attempts, self.jitter)

    def until(self, verdict: PutOff) -> datetime:
        """When to try again."""
        return self.at + timedelta(seconds=verdict.seconds)

    def lasts_too_long(self, since: datetime | None) -> bool:
        """Whether one item has failed for a day: an outage of Graph ends, what fails for one mail alone may not."""
        return (
            since is not None
            and not waits_for_somebody(self.error)
            and self.at - since >= ONE_ITEM_FOR_AT_MOST
        )
