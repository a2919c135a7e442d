"""docs/rules.md has a line for every rule that code or tests cite, and each line leads somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.meta.pointers import IN_CODE, PLACE, TEST, dead
from tests.meta.sources import name, tracked
from tests.meta.tables import rows, section

DOCUMENT = "docs/rules.md"
THIS_FILE = name(Path(__file__))
FOLDERS = ("functions", "shared", "sandbox", "tests", "docs")
SUFFIXES = (".py", ".md", ".json", ".toml", ".html", ".js", ".css")
# A code is a family's letter, a hyphen and a number; only R has no hyphen. "E-10 to E-14" cites all between.
# What a word, a number or another hyphen touches (UTF-8, SHA-256, ids) is none.
CITED = re.compile(
    r"(?<![\w-])(?P<family>[A-Z]-|R)(?P<first>\d{1,2})(?: to (?P=family)(?P<last>\d{1,2}))?(?!\w)"
)
CODE = re.compile(r"([A-Z])-?(\d{1,2})")
FAMILY = re.compile(r"^## (([A-Z]): .+)$", re.MULTILINE)
PROMISES = {f"R{number}" for number in range(1, 16)}

NOT_BUILT, NO_TEST = "not built yet", "no test yet"


def citations() -> Iterator[tuple[str, str]]:
    """Every code that is cited, and in which file; the two files about all of them cite none."""
    for path in tracked():
        where = name(path)
        if (
            where.split("/")[0] not in FOLDERS
            or path.suffix not in SUFFIXES
            or where in (DOCUMENT, THIS_FILE)
        ):
            continue
        for found in CITED.finditer(path.read_text(encoding="utf-8")):
            first, last = int(found["first"]), int(found["last"] or found["first"])
            for number in range(first, last + 1):
                yield f"{found['family']}{number}", where


def test_every_cited_rule_has_a_line() -> None:
    """Each code that a comment, a docstring or a document cites has exactly one line in docs/rules.md."""
    known = rows(DOCUMENT)
    assert sorted({f"{code} in {where}" for code, where in citations() if code not in known}) == []


def test_every_line_is_cited() -> None:
    """Each line of docs/rules.md is one of the product's promises R1 to R15, or cited somewhere in the repository."""
    assert sorted(set(rows(DOCUMENT)) - {code for code, _ in citations()} - PROMISES) == []
    assert sorted(PROMISES - set(rows(DOCUMENT))) == []


def test_lines_stand_under_their_family() -> None:
    """Each table of docs/rules.md holds the codes of its heading's letter, in the order of their numbers."""
    listed: list[str] = []
    for heading, letter in FAMILY.findall(section(DOCUMENT)):
        codes = list(rows(DOCUMENT, f"## {heading}"))
        numbers = [int(found[2]) for code in codes if (found := CODE.fullmatch(code)) and found[1] == letter]
        assert numbers == sorted(numbers), heading
        assert len(numbers) == len(codes), heading
        listed += codes
    assert listed == list(rows(DOCUMENT))


def test_every_place_and_test_exists() -> None:
    """Each file, function, class and test that a line of docs/rules.md points to is there under that name."""
    wrong = []
    for code, (rule, places, tests) in rows(DOCUMENT).items():
        assert rule.endswith("."), code
        wrong += [f"{code}: {pointer}" for pointer in (*dead(places, PLACE), *dead(tests, TEST))]
    assert wrong == []


def test_what_is_missing_is_said() -> None:
    """A line of docs/rules.md without a place says "not built yet", one without a test "no test yet"."""
    for code, (_, places, tests) in rows(DOCUMENT).items():
        said_of_places, said_of_tests = (IN_CODE.sub("", cell).strip(", ") for cell in (places, tests))
        assert said_of_places in (("", "partly built:") if "`" in places else (NOT_BUILT,)), code
        assert said_of_tests in (("", "partly proved:") if "`" in tests else (NO_TEST,)), code
        assert said_of_places != NOT_BUILT or said_of_tests == NO_TEST, code
