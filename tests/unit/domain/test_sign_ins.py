"""What became of a sign-in, in the words that the settings page has for it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.domain.errors import (
    MailboxTaken,
    MailboxUnusable,
    PostbraidError,
    ProviderUnavailable,
    SignInFailed,
)
from shared.domain.model import SignInOutcome
from shared.domain.sign_ins import SIGN_IN_FOR, outcome_of, present_outcome
from tests.builders import NOW

A_MOMENT = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (SignInFailed("declined"), SignInOutcome.CANCELLED),
        (SignInFailed("admin_consent_required"), SignInOutcome.ADMIN_CONSENT_REQUIRED),
        (SignInFailed("of_a_later_version"), SignInOutcome.FAILED),
        (MailboxTaken(), SignInOutcome.MAILBOX_TAKEN),
        (MailboxUnusable(), SignInOutcome.NO_MAILBOX),
        (ProviderUnavailable(), SignInOutcome.FAILED),
    ],
    ids=str,
)
def test_an_error_of_a_sign_in_has_its_outcome(error: PostbraidError, outcome: SignInOutcome) -> None:
    """Each error that ends a sign-in has one outcome; a reason nobody knows is a plain failure."""
    assert outcome_of(error) is outcome


@pytest.mark.parametrize("outcome", list(SignInOutcome))
def test_only_an_open_sign_in_is_abandoned_when_its_time_is_over(outcome: SignInOutcome) -> None:
    """After ten minutes a sign-in that was still open counts as abandoned; one that ended stays as it ended."""
    is_open = outcome in {SignInOutcome.UNDER_WAY, SignInOutcome.ASKED}
    assert present_outcome(outcome, NOW, NOW + SIGN_IN_FOR - A_MOMENT) is outcome
    over = present_outcome(outcome, NOW, NOW + SIGN_IN_FOR)
    assert over is (SignInOutcome.ABANDONED if is_open else outcome)
