"""Short-lived rows that open nothing: what became of the sign-ins and disconnects of people's browsers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from shared.domain.model import CrmUser, SignInOutcome


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a sign-in or a disconnect, for the browser that began it. `outcome`: none until it has ended.

    `consent_link`: for an administrator, where one has to agree first.
    """

    tenant_id: str
    user: CrmUser
    purpose: str
    expires_at: datetime
    created_at: datetime
    outcome: str = ""
    detail: str = ""
    consent_link: str = ""


@dataclass(frozen=True, slots=True)
class SignInAttempt:
    """The newest sign-in of a user: how far it has come, since when."""

    outcome: SignInOutcome
    at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class UserEnd:
    """Sign-ins of a user that began before this time are over; links and sessions before `sessions_at` (W-3)."""

    at: datetime
    expires_at: datetime
    sessions_at: datetime | None = None
