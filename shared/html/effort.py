"""Whether HTML would hold a worker: judged by what can be counted in one pass, never too low.

Measured: the cleaner's time grows with tags times depth and with length times `&`, that of inlining sheets with tags
times the length of the sheets, which is also what it may write: a rule of 10 kB for every element.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from typing import Final

MAX_TAGS_TIMES_DEPTH: Final = 10**8
MAX_LENGTH_TIMES_AMPERSANDS: Final = 10**11
MAX_TAGS_TIMES_SHEETS: Final = 10**8
MOST_SHEET_CHARACTERS: Final = 200_000

# Void, or closed by whatever follows.
LEFT_OPEN: Final = frozenset(
    [
        *["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta"],
        *["option", "p", "source", "td", "tfoot", "th", "tr", "wbr"],
    ]
)
# An entry closes the one before it of its own kind; one of the other kind lies within it.
_ENTRIES: Final = {"li": "li", "dd": "dd", "dt": "dd"}
TAG: Final = re.compile(r"<(/?)([a-z][a-z0-9]*)[^>]*>?", re.IGNORECASE)
_RAW: Final = [
    *["style", "script", "title", "textarea", "xmp", "iframe", "noembed", "noframes", "noscript"],
    *["svg", "math", "template", "select"],
]
_SHEET: Final = re.compile(r"<style\b[^<]*+(?:<(?!/style)[^<]*+)*+", re.IGNORECASE)


# No end tag in here surely closes anything: values of attributes, comments of all kinds, and elements whose content is
# no HTML or HTML of its own. Each is looked for by itself, so that none hides where another begins.
@cache
def _no_ends() -> tuple[re.Pattern[str], ...]:
    """Compiled at the first mail: a start of the app that reads none does not pay for it."""
    return (
        re.compile(r'(?==\s*+("[^"]*+))'),
        re.compile(r"(?==\s*+('[^']*+))"),
        re.compile(r"(<!--[^-]*+(?:-(?!->)[^-]*+)*+)"),
        re.compile(r"(<(?:[!?]|/[^a-zA-Z>])[^>]*+)"),
        *(re.compile(rf"(<{name}\b[^<]*+(?:<(?!/{name})[^<]*+)*+)", re.IGNORECASE) for name in _RAW),
    )


def takes_long(text: str) -> bool:
    """Whether the cleaner would need more than seconds."""
    count, deepest = _count_tags(text)
    return count * deepest > MAX_TAGS_TIMES_DEPTH or len(text) * text.count("&") > MAX_LENGTH_TIMES_AMPERSANDS


def _count_tags(text: str) -> tuple[int, int]:
    """(tags, depth): the depth is at most that. An end tag counts only where it surely ends something open."""
    no_ends = sorted(found.span(1) for pattern in _no_ends() for found in pattern.finditer(text))
    opened: Counter[str] = Counter()
    count = deepest = level = at = hidden_until = 0
    kind = ""
    for found in TAG.finditer(text):
        count += 1
        name = found[2].lower()
        if found[1]:
            while at < len(no_ends) and no_ends[at][0] <= found.start():
                hidden_until = max(hidden_until, no_ends[at][1])
                at += 1
            if opened[name] and found.start() >= hidden_until:
                opened[name] -= 1
                level -= 1
        elif name not in LEFT_OPEN and (name not in _ENTRIES or _ENTRIES[name] != kind):
            kind = _ENTRIES.get(name, kind)
            opened[name] += 1
            level += 1
            deepest = max(deepest, level)
    return count, deepest


def sheets_take_long(text: str) -> bool:
    """Whether its sheets are too long for so many tags."""
    sheets = sum(len(found[0]) for found in _SHEET.finditer(text))
    return len(text) > MOST_SHEET_CHARACTERS or sheets * text.count("<") > MAX_TAGS_TIMES_SHEETS
