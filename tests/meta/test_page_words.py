"""The settings page has words of its own for every status, reason and outcome that it may be told."""

from __future__ import annotations

import re

from shared.domain.model import ConnectionStatus, SignInOutcome, Trouble
from tests.meta.sources import ROOT

TEXT = (ROOT / "functions/pages/words.js").read_text(encoding="utf-8")
NOT_FAILURES = {SignInOutcome.UNDER_WAY, SignInOutcome.ASKED, SignInOutcome.CONFIRMED}


def _codes(name: str) -> set[str]:
    """The names of a table of the script."""
    table = re.search(rf"const {name} = {{\n(.*?)\n}};", TEXT, re.DOTALL)
    assert table
    return set(re.findall(r"^  ([a-z_]+):", table[1], re.MULTILINE))


def test_every_status_has_words() -> None:
    """Every status that a connection is shown with has a word on the settings page."""
    shown = {status.value for status in ConnectionStatus} - {ConnectionStatus.REPLACED.value}
    assert _codes("STATUS") == shown


def test_every_reason_has_words() -> None:
    """Every reason for being late has a sentence that is said to the person, not about them."""
    assert _codes("REASONS") == {trouble.value for trouble in Trouble}


def test_every_outcome_of_a_sign_in_has_words() -> None:
    """Every way in which a sign-in comes to nothing has a sentence on the settings page."""
    assert _codes("FAILURES") == {outcome.value for outcome in SignInOutcome} - {
        outcome.value for outcome in NOT_FAILURES
    }
