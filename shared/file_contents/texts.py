"""Whether bytes are text, in whatever code page (F-2): that one decoding fails proves nothing, controls do."""

from __future__ import annotations

import unicodedata
from typing import Final

from shared.file_contents.headers import name_of_header

# Tab, line breaks, form feed, escape (ISO-2022 writes Japanese with it), and DOS's end of file.
CONTROLS_OF_TEXT: Final = frozenset(b"\t\n\x0b\x0c\r\x1a\x1b\x08")
# Compressed or compiled bytes hold about one control in nine; a text in a code page of DOS has a few signs there.
MOST_CONTROLS: Final = 0.05
# Characters without meaning, in a text that was decoded as UTF-16 or UTF-32.
MOST_MEANINGLESS: Final = 0.02
SAMPLE_CHARACTERS: Final = 200_000
# Alphabets, their punctuation and arrows stand before the first sign of U+2300.
SIGNS_BEGIN: Final = "\u2300"
ENOUGH_ALPHABETIC: Final = 0.9
MOST_TWO_LETTERS: Final = 0.5
STOPS: Final = frozenset(" \n\r\u3000\u3001\u3002\uff0c\uff0e")

_TABLE: Final = bytes(range(256))
_OTHER_CONTROLS: Final = bytes(
    byte for byte in (*range(ord(" ")), ord("\x7f")) if byte not in CONTROLS_OF_TEXT
)
_WIDE: Final = ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")
_MARKS: Final = (
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)


def is_text(content: bytes) -> bool:
    """Text of any code page, or UTF-16 or UTF-32 with or without a mark; not the whole header of another type."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            text = _decode(content[len(mark) :], encoding)
            if text is not None and _means_something(text):
                return True
    if name_of_header(content) is not None:
        return False
    if b"\x00" not in content and _has_few_controls(content):
        return True
    return any(_is_wide_without_mark(content, encoding) for encoding in _WIDE)


def _has_few_controls(content: bytes) -> bool:
    others = len(content) - len(content.translate(_TABLE, _OTHER_CONTROLS))
    return others <= max(1, len(content) * MOST_CONTROLS)


def _decode(content: bytes, encoding: str) -> str | None:
    """The beginning of it; None where it is nothing of that encoding. A cut last character is forgiven."""
    width = 4 if "32" in encoding else 2
    try:
        return content[: len(content) // width * width].decode(encoding)[:SAMPLE_CHARACTERS]
    except UnicodeDecodeError:
        return None


def _is_wide_without_mark(content: bytes, encoding: str) -> bool:
    """Nearly any two letters of ASCII make one sign of Chinese, so more is asked of what has no mark.

    Either nearly all of it is of an alphabet, or few of its signs would be two letters, and it has spaces or stops.
    """
    text = _decode(content, encoding)
    if not text or len(content) % 2 or not _means_something(text):
        return False
    if "32" in encoding:
        return True
    alphabetic = sum(letter < SIGNS_BEGIN for letter in text)
    if alphabetic >= len(text) * ENOUGH_ALPHABETIC:
        return True
    two_letters = sum(
        _is_printable(ord(letter) >> 8) and _is_printable(ord(letter) & 0xFF) for letter in text
    )
    stops = any(letter in STOPS for letter in text)
    return stops and two_letters <= (len(text) - alphabetic) * MOST_TWO_LETTERS


def _is_printable(byte: int) -> bool:
    return ord(" ") <= byte < ord("\x7f")


def _means_something(text: str) -> bool:
    meaningless = sum(
        unicodedata.category(letter) in {"Cn", "Co", "Cc"} and letter not in "\t\n\x0b\x0c\r\x1a\x1b\ufeff"
        for letter in text
    )
    return meaningless <= len(text) * MOST_MEANINGLESS
