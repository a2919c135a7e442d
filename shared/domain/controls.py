"""Characters that are no words: controls, ends of lines, marks that turn the direction of what follows (H-3).

One rule for both ways. What the CRM or an operator writes is refused where it holds one; in what a mailbox holds they
become a space. NUL is in no event: PostgreSQL takes it neither in `text` nor in `jsonb` (its documentation, 8.14).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any, Final

NO_CONTROLS: Final = "no line breaks or other controls"

# Unicode's categories: C0, DEL and C1; half a character; U+2028 and U+2029. Spaces and joiners of scripts are none.
_CATEGORIES: Final = frozenset(["Cc", "Cs", "Zl", "Zp"])
_TURNING: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# C0 but tab and line breaks, DEL, and C1: a text of several lines holds none.
_IN_TEXT: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def has_controls(text: str) -> bool:
    """Whether a subject, a name or another text of one line holds what it may not."""
    return any(letter in _TURNING or _is_control(letter) for letter in text)


def on_one_line(text: str) -> str:
    """A received subject, name or address on one line: line breaks and other controls become a space.

    Marks that turn the direction of what follows are taken out.
    """
    shown = (letter for letter in text if letter not in _TURNING)
    plain = "".join("\n" if _is_control(letter) else letter for letter in shown)
    return " ".join(part.strip() for part in plain.split("\n") if part.strip())


def without_controls(text: str) -> str:
    """A text of several lines, or HTML, without controls; tabs and line breaks stay."""
    return _IN_TEXT.sub("", text)


def has_nul(value: object) -> bool:
    """Whether NUL stands anywhere in a decoded JSON value, names of members included."""
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, Mapping):
        return any(has_nul(part) for member in value.items() for part in member)
    return isinstance(value, list | tuple) and any(has_nul(part) for part in value)


def without_nul(value: Any) -> Any:
    """A JSON value with a space for every NUL, so that offsets into its texts stay true."""
    if isinstance(value, str):
        return value.replace("\x00", " ")
    if isinstance(value, Mapping):
        return {without_nul(name): without_nul(part) for name, part in value.items()}
    return [without_nul(part) for part in value] if isinstance(value, list | tuple) else value


def _is_control(letter: str) -> bool:
    return unicodedata.category(letter) in _CATEGORIES
