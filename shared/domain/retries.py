"""Every retry decision of the product, in one place; the numbers are those of the retry rules (E-28, C-8).

Chance comes in as `fraction` in [0, 1), so that a test can say what happens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

CRM_SCHEDULE_SECONDS: Final = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
CRM_JITTER: Final = 0.2
LONGEST_RETRY_AFTER_SECONDS: Final = 86_400.0
EQUAL_REFUSALS_UNTIL_PARKED: Final = 3
TRANSIENT_FIRST_SECONDS: Final = 0.5
TRANSIENT_CAP_SECONDS: Final = 30.0

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
class Park:
    """The CRM keeps refusing this event: it waits for somebody, the others go on."""


@dataclass(frozen=True, slots=True)
class EndpointOff:
    """The CRM said the endpoint is gone (410)."""


def judge_answer(
    status: int | None, retry_after_seconds: float | None, attempts: int, equal_refusals: int, fraction: float
) -> Delivered | RetryAt | Park | EndpointOff:
    """What an attempt's answer means (C-8). `attempts` counts this one; `status` None means no answer came.

    Only 2xx is a yes; a redirect is not followed and counts as any other failure (Standard Webhooks, 1.0). A
    Retry-After makes the wait longer, never shorter: one of 0 seconds would use up the whole schedule at once.
    """
    if status is not None and 200 <= status < 300:  # noqa: PLR2004 - the 2xx class
        return Delivered()
    if status == GONE:
        return EndpointOff()
    if status in REFUSALS and equal_refusals >= EQUAL_REFUSALS_UNTIL_PARKED:
        return Park()
    if attempts > len(CRM_SCHEDULE_SECONDS):
        return Park()
    planned = CRM_SCHEDULE_SECONDS[attempts - 1] * (1 + CRM_JITTER * (2 * fraction - 1))
    if status in THROTTLES and retry_after_seconds is not None:
        return RetryAt(max(planned, min(retry_after_seconds, LONGEST_RETRY_AFTER_SECONDS)))
    return RetryAt(planned)


def transient_delay_seconds(attempts: int, fraction: float) -> float:
    """Full jitter under 0.5 s doubled per attempt, at most 30 s."""
    ceiling = min(TRANSIENT_CAP_SECONDS, TRANSIENT_FIRST_SECONDS * 2.0 ** min(attempts, 10))
    return ceiling * fraction
