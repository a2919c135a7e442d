"""Tags as they stand in any HTML, read in one pass whose time grows with the length alone.

No parser: it serves to look for what is there, never to judge what may stay.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Final

_TAG: Final = re.compile(r"<([A-Za-z][^\s/>]{0,60})([^>]{0,4000})")
_ATTRIBUTE: Final = re.compile(
    r"""([A-Za-z][\w:-]{0,60})\s{0,9}=\s{0,9}(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))"""
)


def read_tags(text: str) -> Iterator[tuple[str, dict[str, str], int]]:
    """(name, attributes, where its name ends) of every start tag; names in lower case, values decoded."""
    for found in _TAG.finditer(text):
        attributes = {
            name.lower(): html.unescape(double or single or bare)
            for name, double, single, bare in _ATTRIBUTE.findall(found[2])
        }
        yield found[1].lower(), attributes, found.end(1)
