"""docs/article.md leads from every sentence of the customer's article to code, tests and the story."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from sandbox.story import acts
from tests.meta.pointers import IN_CODE, PLACE, TEST, dead
from tests.meta.sources import ROOT, name
from tests.meta.tables import rows

DOCUMENT = "docs/article.md"
CLAIMS, NO_CLAIMS, OURS = "## What it claims", "## What claims nothing", "## What it does not say"
# The article is the customer's and no part of this repository; it lies beside the checkout where it is worked on.
ARTICLE = ROOT.parent / "shared/reference/outlook-two-way-sync.txt"
SENTENCES = 37
BROKEN_LINE = re.compile(r"\n(?=[a-z])")
END_OF_SENTENCE = re.compile(r"\n+|(?<=[.!?])\s+(?=[A-Z])")
QUOTED = re.compile(r'"([^"]+)"')


def sentences(text: str) -> list[str]:
    """The sentences and headings of the article; a line that begins with a small letter goes on in the one before."""
    return [part.strip() for part in END_OF_SENTENCE.split(BROKEN_LINE.sub(" ", text)) if part.strip()]


def quotations() -> dict[int, str]:
    """By the number of its sentence, the words that docs/article.md quotes."""
    found = {}
    for heading in (CLAIMS, NO_CLAIMS):
        for identifier, cells in rows(DOCUMENT, heading).items():
            (found[int(identifier.removeprefix("S"))],) = QUOTED.findall(cells[0])
    return found


def test_every_sentence_has_a_line() -> None:
    """Each sentence of the article stands once, in its order, among those that claim something or among the others."""
    assert sorted(quotations()) == list(range(1, SENTENCES + 1))
    for heading in (CLAIMS, NO_CLAIMS):
        numbers = [int(identifier.removeprefix("S")) for identifier in rows(DOCUMENT, heading)]
        assert numbers == sorted(numbers), heading


def test_the_words_are_those_of_the_article() -> None:
    """Each line quotes a few words of the sentence whose number it has, and the article has no further sentence."""
    if not ARTICLE.exists():
        pytest.skip(
            "the customer's article does not lie beside this checkout: numbers and words were not compared"
        )
    told = dict(enumerate(sentences(ARTICLE.read_text(encoding="utf-8")), 1))
    quoted = quotations()
    assert len(told) == SENTENCES
    assert {number: words for number, words in quoted.items() if words not in told[number]} == {}
    assert {number for number, words in quoted.items() if len(words.split()) > 8} == set()


def test_every_claim_leads_somewhere() -> None:
    """Each claim names a place that decides it, a test that proves it and an act that shows it, and all exist."""
    for identifier, (_, places, tests, watched, ours) in rows(DOCUMENT, CLAIMS).items():
        assert (dead(places, PLACE), dead(tests, TEST), dead(watched, PLACE)) == ([], [], []), identifier
        assert all(IN_CODE.findall(cell) for cell in (places, tests, watched)), identifier
        assert ours.endswith("."), identifier
    for identifier, (rule, watched) in rows(DOCUMENT, OURS).items():
        assert dead(watched, PLACE) == [], identifier
        assert rule.endswith("."), identifier


def test_every_act_of_the_story_shows_something() -> None:
    """Each act of the story is named by a sentence, or by what the article does not say."""
    named = {
        pointer
        for heading in (CLAIMS, OURS)
        for cells in rows(DOCUMENT, heading).values()
        for cell in cells
        for pointer in IN_CODE.findall(cell)
    }
    played = {f"{name(Path(inspect.getfile(act)))}:{getattr(act, '__name__', '')}" for act in acts.STORY}
    assert sorted(played - named) == []
