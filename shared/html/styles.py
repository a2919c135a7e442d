"""Inline styles: parsed, kept by a list, and written anew, so that nothing passes that was not understood (H-1).

The grammar is that of "CSS Syntax Module Level 3", read by tinycss2.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from shared.html.policy import COLOUR_FUNCTIONS, DISPLAYS, MAY_BE_NEGATIVE, PROPERTIES

MOST_STYLE_CHARACTERS: Final = 4_000
MOST_OF_A_NUMBER: Final = 1_000_000  # `1e999` is read as infinity
_WORD: Final = re.compile(r"-?[A-Za-z][A-Za-z0-9-]{0,60}")
_FAMILY: Final = re.compile(r"[\w .-]{1,80}")
_HASH: Final = re.compile(r"[0-9A-Fa-f]{3,8}")
_UNIT: Final = re.compile(r"[A-Za-z]{1,4}")
_COLOUR: Final = re.compile(r"#?[0-9A-Za-z]{1,30}")


def clean_style(text: str) -> str:
    """The declarations of a `style` attribute that may stay, written anew; "" where none may."""
    import tinycss2

    if len(text) > MOST_STYLE_CHARACTERS:
        return ""
    nodes = tinycss2.parse_blocks_contents(text, skip_comments=True, skip_whitespace=True)
    kept = [(node, _clean_value(node.lower_name, node.value)) for node in nodes if node.type == "declaration"]
    return "; ".join(
        f"{node.lower_name}: {value}{' !important' if node.important else ''}"
        for node, value in kept
        if value
    )


def clean_colour(text: str) -> str | None:
    """The value of an attribute that is a colour; None where it is none."""
    return text.strip() if _COLOUR.fullmatch(text.strip()) else None


def _clean_value(name: str, tokens: Sequence[Any]) -> str | None:
    """The value written anew; None where the property is not kept or anything in it is not understood."""
    if name not in PROPERTIES:
        return None
    pieces = [_write(name, token) for token in tokens if token.type != "comment"]
    if any(piece is None for piece in pieces):
        return None
    value = " ".join("".join(piece or "" for piece in pieces).split())
    if name == "display" and value.lower() not in DISPLAYS:
        return None
    return value or None


def _write(name: str, token: Any) -> str | None:
    """One part of a value as text; None for what may not stay: addresses, other functions, escapes, blocks."""
    written: str | None = None
    match token.type:
        case "whitespace":
            written = " "
        case "ident" if _WORD.fullmatch(token.value):
            written = token.value
        case "hash" if _HASH.fullmatch(token.value):
            written = f"#{token.value}"
        case "literal":
            written = {",": ", ", "/": " / "}.get(token.value)
        case "string" if name in {"font", "font-family"} and _FAMILY.fullmatch(token.value):
            written = f"'{token.value}'"
        case "number" | "percentage" | "dimension":
            written = _write_number(name, token)
        case "function" if token.lower_name in COLOUR_FUNCTIONS:
            written = _write_colour(token)
        case _:
            pass
    return written


def _write_number(name: str, token: Any) -> str | None:
    if (token.value < 0 and name not in MAY_BE_NEGATIVE) or abs(token.value) > MOST_OF_A_NUMBER:
        return None
    unit = "%" if token.type == "percentage" else token.unit if token.type == "dimension" else ""
    if unit not in {"", "%"} and not _UNIT.fullmatch(unit):
        return None
    return f"{_plain(token.value)}{unit}"


def _plain(value: float) -> str:
    """Without exponent, so that it reads the same again."""
    return str(int(value)) if value == int(value) else f"{value:.6f}".rstrip("0").rstrip(".")


def _write_colour(token: Any) -> str | None:
    parts = _colour_parts(token.arguments)
    return None if parts is None else f"{token.lower_name}({', '.join(parts)})"


def _colour_parts(arguments: Iterable[Any]) -> list[str] | None:
    """Three or four numbers; both ways of writing them, with commas and with spaces and a stroke."""
    parts = []
    for token in arguments:
        if token.type in {"whitespace", "comment"} or (token.type == "literal" and token.value in ",/"):
            continue
        if token.type not in {"number", "percentage", "dimension"} or abs(token.value) > MOST_OF_A_NUMBER:
            return None
        unit = "%" if token.type == "percentage" else getattr(token, "unit", "")
        if unit not in {"", "%", "deg"}:
            return None
        parts.append(f"{_plain(token.value)}{unit}")
    return parts if len(parts) in {3, 4} else None
