"""Files as programs write them, judged as F-2 asks; `make_corpus.py` says how each was made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shared.file_contents import judge_content

CORPUS = Path(__file__).parent / "corpus"
MANIFEST = json.loads(CORPUS.joinpath("manifest.json").read_text())


@pytest.mark.parametrize("row", MANIFEST, ids=[row["file"] for row in MANIFEST])
def test_a_file_is_judged_as_the_manifest_says(row: dict[str, str]) -> None:
    """Each file of the corpus passes, or is refused with the words that say what it is."""
    fault = judge_content(row["file"], CORPUS.joinpath(row["file"]).read_bytes())
    said = "passes" if fault is None else fault.found or "unknown"
    assert said == row["verdict"]


def test_no_file_is_unused() -> None:
    """Every file of the corpus stands in the manifest, with its tool and command."""
    there = {path.name for path in CORPUS.iterdir()} - {"manifest.json"}
    assert there == {row["file"] for row in MANIFEST}
    assert all(row["tool"] and row["command"] for row in MANIFEST)
