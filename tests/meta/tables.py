"""Tables of the documents, row by row."""

from __future__ import annotations

import re

from tests.meta.sources import ROOT

_ROW = re.compile(r"^\| `([^`|]+)` \|(.*)\|$", re.MULTILINE)


def section(document: str, heading: str = "") -> str:
    """The text of a document, or of the part under one heading with everything below it."""
    text = (ROOT / document).read_text(encoding="utf-8")
    if not heading:
        return text
    level = heading.split(" ", 1)[0]
    start = text.index(f"\n{heading}\n")
    end = re.search(rf"^#{{1,{len(level)}}} ", text[start + len(heading) + 2 :], re.MULTILINE)
    return text[start : start + len(heading) + 2 + end.start()] if end else text[start:]


def rows(document: str, heading: str = "") -> dict[str, list[str]]:
    """Rows whose first cell is one word in code: that word and the other cells."""
    found = _ROW.findall(section(document, heading))
    assert found, f"no table in {document} {heading}"
    names = [name for name, _ in found]
    assert len(names) == len(set(names)), f"a row stands twice in {document} {heading}"
    return {name: [cell.strip() for cell in cells.split("|")] for name, cells in found}
