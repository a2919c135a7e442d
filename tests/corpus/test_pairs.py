"""The corpus itself: every file of it is used, and every pair says where it comes from."""

from __future__ import annotations

from tests.corpus.pairs import EXPECTED, INCOMING, MAILS, pairs
from tests.corpus.samples import SAMPLES

MOST_BYTES = 12_000


def test_no_file_of_the_corpus_is_unused() -> None:
    """Each folder holds one incoming and one expected file, nothing else, and every name in them is read."""
    files = {path.relative_to(MAILS).as_posix() for path in MAILS.rglob("*") if path.is_file()}
    assert files == {f"{pair.name}/{file}" for pair in pairs() for file in (INCOMING, EXPECTED)}


def test_every_sample_is_used() -> None:
    """No bytes are kept that no pair attaches."""
    texts = "".join(pair.text for pair in pairs())
    assert [sample for sample in SAMPLES if f'"sample": "{sample}"' not in texts] == []


def test_every_pair_says_where_it_comes_from() -> None:
    """Each pair names the program that writes such mail, and the report, standard or rule that it follows."""
    unsaid = [pair.name for pair in pairs() if not pair.incoming["program"] or not pair.incoming["source"]]
    assert unsaid == []


def test_pairs_are_small() -> None:
    """No pair holds more than can be read at a glance: what is large or many is described, not written out."""
    assert [pair.name for pair in pairs() if len(pair.text) > MOST_BYTES] == []


def test_every_pair_expects_something() -> None:
    """Each mail of a pair is told about, or is said to be foreign, or is a copy of another of the pair."""
    for pair in pairs():
        assert pair.expected["events"] or pair.expected["foreign"], pair.name
