"""Message-IDs as programs really write them, in one form for keys and comparisons.

RFC 5322, 3.6.4: a msg-id is `<left@right>`; In-Reply-To and References hold several, between white space or comments.
Programs leave the brackets out, fold inside them, part ids by commas, and put words or quotation marks around them
(RFC 822, 4.6.2 let In-Reply-To be a phrase: `Your message of Monday <id@x>`). Case matters and is kept.

What Graph is asked for by `$filter` is the id as it was stored, so records keep what was given; only keys and
comparisons use the normal form.
"""

from __future__ import annotations

import re
from typing import Final

# The newest ids of References stand last. No honest header is longer (RFC 5322, 2.1.1: 998 characters a line).
MOST_CHARACTERS: Final = 32_768
MOST_OF_ONE: Final = 998
_BRACKETED: Final = re.compile(rf'<((?:"[^"<>]{{0,{MOST_OF_ONE}}}"|[^<>"]){{1,{MOST_OF_ONE}}})>')
_BETWEEN_WORDS: Final = re.compile(r'[\s,;<>()"]+')
_NO_PART: Final = re.compile(r'[\s<>"]')
_QUOTED_FOR_NOTHING: Final = re.compile(r'"([A-Za-z0-9!#$%&\'*+/=?^_`{|}~.-]+)"@')
_SPACE_OUTSIDE_QUOTES: Final = re.compile(r'("[^"]*")|\s+')


def message_ids(header: str | None) -> tuple[str, ...]:
    """The Message-IDs of an In-Reply-To or References value in normal form and in their order.

    What stands in angle brackets; where nothing does, every word with an @; else a value of one word.
    """
    text = (header or "")[-MOST_CHARACTERS:].strip()
    found = [_inside(match) for match in _BRACKETED.findall(text)]
    if not any(found):
        words = [word.strip("'.:") for word in _BETWEEN_WORDS.split(text)]
        found = [
            word for word in words if "@" in word[1:-1]
        ]  # `"left"@right` falls apart: one side names no mail
    if not any(found) and not re.search(r"\s", text):
        found = [_word(text)]
    return tuple(f"<{each}>" for each in found if each)


def normal_message_id(given: str) -> str:
    """The one form of a Message-ID: `<left@right>` without spaces, or the text in brackets where it is no such id."""
    found = message_ids(given)
    return found[0] if found else f"<{_word(given)}>"


def is_same_message_id(first: str | None, second: str | None) -> bool:
    """Whether both name the same message; a missing one names none."""
    return first is not None and second is not None and normal_message_id(first) == normal_message_id(second)


def _word(text: str) -> str:
    return _NO_PART.sub("", text).strip("'()[],;")


def _inside(text: str) -> str:
    """What stands inside the brackets, unfolded, and its left side unquoted where quotes are of no need there.

    RFC 5322, 3.2.4: quotation marks are no part of what they quote.
    """
    unfolded = _SPACE_OUTSIDE_QUOTES.sub(
        lambda found: found[1] or "", text.replace("\r", "").replace("\n", "")
    )
    return _QUOTED_FOR_NOTHING.sub(r"\1@", unfolded, count=1) if unfolded.startswith('"') else unfolded
