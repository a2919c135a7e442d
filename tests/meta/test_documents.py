"""What the documents add exists, and what exists can be found from the README."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.meta.sources import ROOT, name, tracked
from tests.meta.tables import section

DOCUMENTS = [path for path in tracked() if path.suffix == ".md"]
IN_CODE = re.compile(r"`make ([a-z0-9]+)|^make ([a-z0-9]+)", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(#[^)\s]+)?\)")
# A path of the repository, as documents write it in code.
PATH = re.compile(r"`((?:functions|shared|sandbox|tests|scripts|docs)/[\w./-]*)`")
MODULE = re.compile(r"python -m ((?:sandbox|shared)[\w.]*)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def text_of(document: Path) -> str:
    """The document's text."""
    return document.read_text(encoding="utf-8")


def make_targets() -> set[str]:
    """Every target that has a name of its own."""
    return set(re.findall(r"^([a-z0-9]+):", text_of(ROOT / "Makefile"), re.MULTILINE))


def targets_for_people() -> list[str]:
    """Targets with a sentence in `make help`."""
    return re.findall(r"^([a-z0-9]+):.*## .+$", text_of(ROOT / "Makefile"), re.MULTILINE)


def anchors(document: Path) -> set[str]:
    """The names under which a document's headings are reached."""
    headings = HEADING.findall(FENCED.sub("", text_of(document)))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_commands_exist(document: Path) -> None:
    """Every `make` command and every module to run that a document names exists."""
    named = {first or second for first, second in IN_CODE.findall(text_of(document))}
    assert named <= make_targets()
    modules = {ROOT / module.replace(".", "/") for module in MODULE.findall(text_of(document))}
    missing = [
        module
        for module in modules
        if not (module.with_suffix(".py").exists() or (module / "__main__.py").exists())
    ]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_links_lead_somewhere(document: Path) -> None:
    """Every relative link of a document leads to a file, and to a heading in it where it names one."""
    dead = []
    for target, anchor in LINK.findall(text_of(document)):
        path = document.parent / target if target else document
        if not path.exists() or (anchor and anchor[1:] not in anchors(path)):
            dead.append(target + anchor)
    assert dead == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_paths_exist(document: Path) -> None:
    """Every file or folder of the repository that a document names is kept in it."""
    kept = {name(path) for path in tracked()}
    named = {found.rstrip("/") for found in PATH.findall(text_of(document))}
    assert [
        said for said in named if not any(path == said or path.startswith(f"{said}/") for path in kept)
    ] == []


def test_the_readme_map_is_true() -> None:
    """Every path in the README's map exists, and no folder of the repository is missing in it."""
    text = section("README.md", "## Map")
    rows = re.findall(r"^\| (`[^|]*) \|", text, re.MULTILINE)
    paths = [path for row in rows for path in re.findall(r"`([^`]+)`", row)]
    assert [path for path in paths if not (ROOT / path).exists()] == []
    folders = {name(path).split("/")[0] for path in tracked() if "/" in name(path)}
    assert {folder for folder in folders if not folder.startswith(".")} - {
        path.split("/")[0] for path in paths
    } == set()


def test_the_readme_is_short() -> None:
    """The README has at most 120 lines."""
    assert len(text_of(ROOT / "README.md").splitlines()) <= 120


def test_every_document_is_found_from_the_readme() -> None:
    """Every document in docs/ is reached by links from the README."""
    reached, waiting = set[Path](), [ROOT / "README.md"]
    while waiting:
        document = waiting.pop().resolve()
        if document not in reached:
            reached.add(document)
            links = [document.parent / target for target, _ in LINK.findall(text_of(document)) if target]
            waiting += [link for link in links if link.suffix == ".md"]
    assert [
        name(page) for page in DOCUMENTS if name(page).startswith("docs/") and page.resolve() not in reached
    ] == []


def test_decisions_are_listed_by_their_titles() -> None:
    """The list of decisions has every page of docs/adr in order, under the page's own title."""
    pages = [document for document in DOCUMENTS if re.match(r"docs/adr/\d{4}-", name(document))]
    listed = re.findall(r"^(\d+)\. \[(.+)\]\((.+)\)$", text_of(ROOT / "docs/adr/README.md"), re.MULTILINE)
    titles = [(text_of(page).splitlines()[0].removeprefix("# "), page.name) for page in pages]
    assert [(f"{number}. {title}", file) for number, title, file in listed] == titles
    assert [int(file[:4]) for _, _, file in listed] == list(range(1, len(pages) + 1))


def test_decisions_have_their_parts() -> None:
    """Each page of docs/adr says what was decided, why, what it costs and where it is seen, in 60 lines."""
    for page in (document for document in DOCUMENTS if re.match(r"docs/adr/\d{4}-", name(document))):
        text = text_of(page)
        assert "**Decision" in text, name(page)
        assert re.search(r"\*\*(Why|Decision and why)\.\*\*", text), name(page)
        assert "**What it costs.**" in text, name(page)
        assert "**Where.**" in text, name(page)
        assert len(text.splitlines()) <= 60, name(page)


def test_every_target_says_what_it_does() -> None:
    """Every target of the Makefile that is meant for people has a sentence in `make help`."""
    targets = targets_for_people()
    assert targets[0] == "help"
    steps = {"lint", "format", "types", "imports", "locks"}  # parts of `check`
    assert set(targets) == make_targets() - steps


def test_every_target_is_explained() -> None:
    """docs/testing.md explains every target of `make help`."""
    text = section("docs/testing.md")
    assert [target for target in targets_for_people() if f"`make {target}`" not in text] == []


def test_ci_runs_targets_that_exist() -> None:
    """The targets that CI runs exist in the Makefile."""
    (called,) = re.findall(r"for target in ([a-z ]+);", text_of(ROOT / ".ci/run"))
    assert set(called.split()) <= make_targets()
