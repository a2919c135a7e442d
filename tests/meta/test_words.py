"""One word for one thing (docs/words.md): words that were given up do not come back."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.meta.sources import ROOT, name, python_files, tracked
from tests.meta.tables import rows

HERE = ROOT / "tests/meta/test_words.py"
TEXTS = [
    path
    for path in tracked()
    if path.suffix in {".py", ".md", ".toml", ".html", ".js", ".css", ".sh", ".example"}
    or path.name == "Makefile"
    if path not in {HERE, ROOT / "CHANGELOG.md"}
]
RETIRED = {
    r"gates?|gatekeeping": "mailbox, mailbox row or fence",
    r"doorbells?|rings|rung|ringing|to ring": "job message, enqueue",
    r"todos?": "task",
    r"alarms?": "task",
    r"bury|buried|buries": "add a dead letter",
    r"errands?": "what carries a request",
    r"twins?": "in-memory store",
    r"lanes?": "timer",
    r"parked|parks?": "undelivered, held or waiting",
    r"neighbours?": "other worker",
    r"spares?": "duplicate",
    r"set_back\w*|let_go\w*|wake_parked": "reschedule_*, release_*, enqueue_waiting",
    r"(?-i:SystemChance|SeededChance|Chance)": "Random",
    r"(?:of|takes?|taking|take) care(?: of)?|work_care|queue `care`": "maintenance",
    r"last word|new letter|this page will notice": "what an engineer would say",
}


@pytest.mark.parametrize(("pattern", "instead"), list(RETIRED.items()))
def test_retired_words_do_not_come_back(pattern: str, instead: str) -> None:
    """No file says a word that was given up for the field's own."""
    word = re.compile(rf"(?<![\w]){pattern}(?![\w])".replace(pattern, f"(?:{pattern})"), re.IGNORECASE)
    found = []
    for path in TEXTS:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            found += [f"{name(path)}:{number}: {hit.group()}" for hit in word.finditer(line)]
    assert found == [], f"say instead: {instead}"


@pytest.mark.parametrize(
    "path", list(python_files("functions", "shared", "sandbox", "scripts", "tests")), ids=name
)
def test_one_is_no_name(path: Path) -> None:
    """A variable says what it holds; `one` says nothing."""
    names = [
        f"{name(path)}:{node.lineno}"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Name) and node.id == "one" and isinstance(node.ctx, ast.Store))
        or (isinstance(node, ast.arg) and node.arg == "one")
    ]
    assert names == []


def test_words_are_explained_in_a_sentence() -> None:
    """The glossary has a sentence for each of the words that this code uses in a sense of its own."""
    words = rows("docs/words.md")
    assert {"fence", "generation", "sweep", "cursor", "outline", "evidence", "echo"} <= set(words)
    assert {"staging", "outbox", "decision", "reason", "lease", "knob"} <= set(words)
    assert 20 <= len(words) <= 35
    assert [word for word, cells in words.items() if not cells[0].endswith(".")] == []
