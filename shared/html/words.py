"""The words of HTML as plain text: lines of `<pre>`, lists and tables stay readable, hidden text stays out."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Final

BLOCKS: Final = frozenset(
    [
        *[
            "address",
            "article",
            "aside",
            "blockquote",
            "caption",
            "center",
            "dd",
            "div",
            "dl",
            "dt",
            "figcaption",
        ],
        *[
            "figure",
            "footer",
            "h1",
            "h2",
            "h3",
            "h4",
            "h5",
            "h6",
            "header",
            "hr",
            "main",
            "nav",
            "ol",
            "p",
            "pre",
        ],
        *["section", "table", "ul"],
    ]
)
VOID: Final = frozenset(["br", "col", "hr", "img", "wbr"])
_HIDDEN: Final = re.compile(r"display:\s*none", re.IGNORECASE)
# Nobody's character: it marks where the quoted part begins until the lines are in order.
_MARK: Final = "\ufdd0"


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._lists: list[int | None] = []
        self._pre = 0
        self._hidden: list[str] = []
        self._first_cell = True

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A block begins a line, an entry its dash or number, a cell after the first a tab."""
        given = dict(attrs)
        if self._hidden or _HIDDEN.search(given.get("style") or ""):
            if tag not in VOID:
                self._hidden.append(tag)
            return
        if given.get("data-quoted") == "true" and _MARK not in self.pieces:
            self.pieces.append(f"\n{_MARK}\n")
        if (tag in BLOCKS and not (tag in {"ol", "ul"} and self._lists)) or tag == "br":
            self.pieces.append("\n")
        if tag == "pre":
            self._pre += 1
        elif tag == "img" and given.get("alt"):
            self.pieces.append(f"[{given['alt']}]")
        elif tag in {"ol", "ul", "li"}:
            self._begin_list(tag, given.get("start") or "1")
        elif tag in {"tr", "td", "th"}:
            self._begin_cells(tag)

    def handle_endtag(self, tag: str) -> None:
        """A block ends a line."""
        if self._hidden:
            if self._hidden[-1] == tag:
                self._hidden.pop()
            return
        if tag == "pre":
            self._pre = max(0, self._pre - 1)
        if tag in {"ol", "ul"} and self._lists:
            self._lists.pop()
            tag = "li" if self._lists else tag
        if tag in BLOCKS:
            self.pieces.append("\n")

    def handle_data(self, data: str) -> None:
        """Words; HTML's own line breaks are spaces, except in `<pre>`."""
        if not self._hidden:
            data = data.replace(_MARK, "")
            self.pieces.append(
                data.replace("\r", "") if self._pre else re.sub(r"[ \t\r\n\f\xa0]+", " ", data)
            )

    def _begin_list(self, tag: str, start: str) -> None:
        if tag != "li":
            first = int(start) if re.fullmatch("[0-9]{1,8}", start) else 1
            self._lists.append(first if tag == "ol" else None)
            return
        number = self._lists[-1] if self._lists else None
        if number is not None:
            self._lists[-1] = number + 1
        self._begin_line()
        indent = "  " * (len(self._lists) - 1)
        self.pieces.append(f"{indent}{f'{number}.' if number is not None else '-'} ")

    def _begin_cells(self, tag: str) -> None:
        if tag == "tr":
            self._begin_line()
        elif not self._first_cell:
            self.pieces.append("\t")
        self._first_cell = tag == "tr"

    def _begin_line(self) -> None:
        if not "".join(self.pieces[-2:]).rstrip(" ").endswith("\n"):
            self.pieces.append("\n")


def words_of(clean: str) -> tuple[str, int | None]:
    """The words of clean HTML, and where the quoted part begins in them (None where nothing is quoted)."""
    parser = _Words()
    parser.feed(clean)
    parser.close()
    lines = [_tidy(line) for line in "".join(parser.pieces).split("\n")]
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines))
    own, marked, quoted = text.partition(_MARK)
    own, quoted = own.strip("\n"), quoted.strip("\n")
    if not marked or not quoted:
        return own, None
    return (f"{own}\n\n{quoted}", len(own) + 2) if own else (quoted, 0)


def _tidy(line: str) -> str:
    """Without spaces at its end, and at its beginning only those of an indented entry or of `<pre>`."""
    line = line.rstrip()
    return line if line.startswith("  ") else line.lstrip(" ")
