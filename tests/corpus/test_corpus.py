"""Mails as programs really send them: each becomes in the CRM what its pair says, and no more is read than that."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from tests.corpus.judging import differences
from tests.corpus.pairs import Pair, pairs
from tests.corpus.playing import Outcome, play

# So many pairs share a mailbox; `CORPUS_TOGETHER=1` gives each one of its own.
TOGETHER = int(os.environ.get("CORPUS_TOGETHER", "30"))
NAMES = [pair.name for pair in pairs()]


def _chosen(request: pytest.FixtureRequest) -> list[Pair]:
    """The pairs that this run is about."""
    wanted = {item.callspec.params.get("pair") for item in request.session.items if hasattr(item, "callspec")}
    return [pair for pair in pairs() if pair.name in wanted]


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """The outcome that each pair is part of."""
    chosen, found = _chosen(request), {}
    for begin in range(0, len(chosen), TOGETHER):
        group = chosen[begin : begin + TOGETHER]
        outcome = asyncio.run(play(_folder(tmp_path_factory), group))
        found |= {pair.name: outcome for pair in group}
    return found


def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("corpus")


@pytest.mark.parametrize("pair", NAMES)
def test_a_mail_becomes_what_its_pair_says(pair: str, outcomes: dict[str, Outcome]) -> None:
    """Every mail of the corpus is told as its pair expects, and of a foreign one only the outline is asked for."""
    known = next(known for known in pairs() if known.name == pair)
    if wrong := differences(known, outcomes[pair].played[pair]):
        pytest.fail("\n".join(wrong), pytrace=False)


def test_nothing_else_is_told(outcomes: dict[str, Outcome]) -> None:
    """No event of a message belongs to another thread than those that the CRM began, and the CRM took every event."""
    for outcome in outcomes.values():
        assert outcome.stray == []
        assert outcome.not_taken == []
