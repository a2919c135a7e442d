"""What a whole document says of its looks in `<body>`: a mail's HTML stands in another body, so a block says it."""

from __future__ import annotations

import html
import re
from typing import Final

from shared.html.styles import clean_colour, clean_style
from shared.html.tags import read_tags

_BODY: Final = re.compile(r"<body\s", re.IGNORECASE)
_COLOURS: Final = (("bgcolor", "background-color"), ("text", "color"))


def keep_body_styles(text: str) -> str:
    """The HTML with a `<div>` in place of its first `<body>`, where that has colours, styles or a direction.

    Margins alone are none: those around a mail are the mail program's own.
    """
    if not _BODY.search(text):
        return text
    direction = ""
    for tag, attributes, at in read_tags(text):
        if tag == "html":
            direction = attributes.get("dir", "")
        if tag == "body":
            style = _style_of(attributes)
            direction = attributes.get("dir", direction)
            if not style and not direction:
                return text
            # Of an attribute that comes twice the first counts (HTML, 13.2.5.33).
            told = "".join(
                f' {name}="{html.escape(value)}"'
                for name, value in (("style", style), ("dir", direction))
                if value
            )
            return f"{text[: at - len(tag)]}div{told}{text[at:]}"
    return text


def _style_of(attributes: dict[str, str]) -> str:
    """The looks of a body as declarations that may stay; "" where there are margins at most."""
    colours = [(name, clean_colour(attributes.get(attribute, ""))) for attribute, name in _COLOURS]
    old = [f"{name}: {colour}" for name, colour in colours if colour]
    style = "; ".join([*old, *filter(None, [clean_style(attributes.get("style", ""))])])
    if all(piece.strip().startswith("margin") for piece in style.split(";") if piece):
        return ""
    # Else its background would end where the margin of its first words begins.
    return f"display: flow-root; {style}" if "background" in style else style
