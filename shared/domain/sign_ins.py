"""What became of a sign-in, as the settings page tells it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from shared.domain.errors import MailboxTaken, MailboxUnusable, PostbraidError, SignInFailed
from shared.domain.model import SignInOutcome

SIGN_IN_FOR: Final = timedelta(minutes=10)
OPEN: Final = (SignInOutcome.UNDER_WAY, SignInOutcome.ASKED)
# Reasons of SignInFailed that people are told apart.
REASONS: Final = {
    "declined": SignInOutcome.CANCELLED,
    "admin_consent_required": SignInOutcome.ADMIN_CONSENT_REQUIRED,
    "organisation_not_allowed": SignInOutcome.ORGANISATION_NOT_ALLOWED,
    "scopes_missing": SignInOutcome.SCOPES_MISSING,
}


def outcome_of(error: PostbraidError) -> SignInOutcome:
    """How a sign-in ended that met this error."""
    match error:
        case SignInFailed():
            return REASONS.get(error.reason, SignInOutcome.FAILED)
        case MailboxTaken():
            return SignInOutcome.MAILBOX_TAKEN
        case MailboxUnusable():
            return SignInOutcome.NO_MAILBOX
        case _:
            return SignInOutcome.FAILED


def present_outcome(outcome: SignInOutcome, at: datetime, now: datetime) -> SignInOutcome:
    """An attempt that nobody finished in its ten minutes was abandoned; judged when read, so no timer is needed."""
    return SignInOutcome.ABANDONED if outcome in OPEN and now >= at + SIGN_IN_FOR else outcome
