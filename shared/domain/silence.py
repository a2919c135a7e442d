"""What is silent although it should not be: a timer that does not tick, a queue nobody takes from, an endpoint.

Judged when asked, from what is stored anyway: who does not run cannot say so.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from shared.domain.model import Tenant

# A tick takes its own five minutes off the list two minutes after their end (`shared.state.due`).
TAKEN_OFF_WITHIN: Final = timedelta(minutes=7)
TICKS_WITHIN: Final = timedelta(minutes=15)
# A message may lie hidden for five minutes before it is due.
TAKEN_WITHIN: Final = timedelta(minutes=15)
ENDPOINT_SILENT_AFTER: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Silence:
    """What is silent, and since about when."""

    what: str
    since: datetime


def of_timer(name: str, every: timedelta, passed_until: datetime | None, now: datetime) -> Silence | None:
    """A timer that runs `every` so often and has taken all before `passed_until` off its list; None: it never ran."""
    if passed_until is None or now - passed_until <= every + TAKEN_OFF_WITHIN + TICKS_WITHIN:
        return None
    return Silence(f"timer {name}", passed_until)


def of_queue(name: str, oldest_at: datetime | None, now: datetime) -> Silence | None:
    """A queue whose oldest message that may be taken was put then; None where there is none."""
    if oldest_at is None or now - oldest_at <= TAKEN_WITHIN:
        return None
    return Silence(f"queue {name}", oldest_at)


def is_endpoint_silent(tenant: Tenant, now: datetime) -> bool:
    """Whether a tenant's endpoint, which is called, has taken nothing for an hour."""
    since = tenant.endpoint_silent_since
    return tenant.endpoint_off_at is None and since is not None and now - since >= ENDPOINT_SILENT_AFTER
