"""Convert plain text that a user types to the HTML of a mail."""

from __future__ import annotations

import re
from html import escape

_BLANK_LINES = re.compile(r"\n\s*\n")
_LINK = re.compile(r"https://[^\s<>\"']+[^\s<>\"'.,;:!?)]")


def html_from_text(text: str) -> str:
    """HTML with paragraphs at blank lines, lists from lines that begin with a hyphen, links for https addresses."""
    blocks = _BLANK_LINES.split(text.replace("\r\n", "\n").strip())
    return "".join(_block(block) for block in blocks if block.strip())


def _block(block: str) -> str:
    lines = [line.strip() for line in block.split("\n")]
    if all(line.startswith("- ") for line in lines):
        return "<ul>" + "".join(f"<li>{_inline(line[2:])}</li>" for line in lines) + "</ul>"
    return "<p>" + "<br>".join(_inline(line) for line in lines) + "</p>"


def _inline(line: str) -> str:
    parts, end = [], 0
    for found in _LINK.finditer(line):
        address = escape(found.group())
        parts += [escape(line[end : found.start()]), f'<a href="{address}">{address}</a>']
        end = found.end()
    return "".join([*parts, escape(line[end:])])
