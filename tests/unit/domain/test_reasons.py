"""Every reason that reaches people is a sentence."""

from __future__ import annotations

import pytest

from shared.domain.model import Reason
from shared.domain.reasons import REASON_TEXTS, reason_text

# Decisions about mail that is none of our business, or was dealt with: recorded in logs, never shown.
KEPT_TO_OURSELVES = {
    Reason.FOREIGN,
    Reason.DRAFT,
    Reason.ALREADY_SEEN,
    Reason.COPY,
    Reason.ECHO,
    Reason.VANISHED,
    Reason.THREAD_TAKES_NO_MAIL,
    Reason.STALE,
    Reason.GRANT_DEAD,
}


def test_a_new_reason_is_either_told_or_kept() -> None:
    """Every reason either has a text for people or is listed here as kept to ourselves."""
    assert set(REASON_TEXTS) | KEPT_TO_OURSELVES == set(Reason)
    assert not set(REASON_TEXTS) & KEPT_TO_OURSELVES


@pytest.mark.parametrize("reason", REASON_TEXTS)
def test_what_people_read_is_a_sentence(reason: Reason) -> None:
    """A reason's text begins with a capital, ends with a full stop, and says no code."""
    text = reason_text(reason)
    assert text[0].isupper()
    assert text.endswith(".")
    assert "_" not in text


def test_sentences_are_told_apart() -> None:
    """No two reasons have the same text."""
    assert len(set(REASON_TEXTS.values())) == len(REASON_TEXTS)


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_some_text(reason: Reason) -> None:
    """Every reason has some text, those never meant for people included."""
    assert reason_text(reason)
