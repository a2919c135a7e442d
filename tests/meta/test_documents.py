"""What the documents promise exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.meta.sources import ROOT, name, tracked

DOCUMENTS = [path for path in tracked() if path.suffix == ".md"]
IN_CODE = re.compile(r"`make ([a-z0-9]+)|^make ([a-z0-9]+)", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z0-9]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_commands_exist(document: Path) -> None:
    """Every `make` command that a document names is a target of the Makefile."""
    named = {first or second for first, second in IN_CODE.findall(document.read_text(encoding="utf-8"))}
    assert named <= make_targets()


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_links_lead_somewhere(document: Path) -> None:
    """Every relative link of a document leads to a file."""
    links = LINK.findall(document.read_text(encoding="utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_the_readme_map_is_true() -> None:
    """Every path in the README's map exists."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[^|]*) \|", text, re.MULTILINE)
    paths = [path for row in rows for path in re.findall(r"`([^`]+)`", row)]
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_readme_is_short() -> None:
    """A newcomer reads at most 120 lines before trying it."""
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120


def test_every_target_says_what_it_does() -> None:
    """Targets meant for people have a sentence in `make help`, and help comes first."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^[a-z0-9]+:.*## .+$", text, re.MULTILINE)
    assert targets[0].startswith("help:")
    steps = {"lint", "format", "types", "imports", "locks"}  # parts of `check`
    assert {target.split(":")[0] for target in targets} == make_targets() - steps


def test_ci_runs_targets_that_exist() -> None:
    """CI calls the targets that people use."""
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    (called,) = re.findall(r"for target in ([a-z ]+);", script)
    assert set(called.split()) <= make_targets()
