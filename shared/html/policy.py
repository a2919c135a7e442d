"""What HTML keeps: one table for mail that leaves the user's mailbox and one for what a CRM shows (H-1, R15).

The two differ in little. What leaves may keep `class` and `id`, which mean nothing without a sheet; in a CRM's page
they would take the CRM's own styles. What a CRM shows may lose its remote pictures, as the tenant chooses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

SCHEMES: Final = frozenset(["http", "https", "mailto", "tel", "cid"])

# Only what mail is made of: no script, style sheets, forms, frames, SVG or MathML.
TAGS: Final = frozenset(
    [
        *[
            "a",
            "abbr",
            "address",
            "article",
            "aside",
            "b",
            "bdi",
            "bdo",
            "big",
            "blockquote",
            "br",
            "caption",
        ],
        *["center", "cite", "code", "col", "colgroup", "dd", "del", "dfn", "div", "dl", "dt", "em"],
        *["figcaption", "figure", "font", "footer", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr"],
        *[
            "i",
            "img",
            "ins",
            "kbd",
            "li",
            "main",
            "mark",
            "nav",
            "ol",
            "p",
            "pre",
            "q",
            "s",
            "samp",
            "section",
        ],
        *["small", "span", "strike", "strong", "sub", "sup", "table", "tbody", "td", "tfoot", "th", "thead"],
        *["time", "tr", "tt", "u", "ul", "var", "wbr"],
    ]
)
# These go with everything inside; of other elements that are not kept the words stay.
TAGS_WITHOUT_WORDS: Final = frozenset(
    [
        *[
            "script",
            "style",
            "title",
            "svg",
            "math",
            "iframe",
            "object",
            "template",
            "xml",
            "noembed",
            "noframes",
        ],
        *["select", "datalist"],
    ]
)

_CELL: Final = frozenset(
    ["align", "bgcolor", "colspan", "headers", "height", "nowrap", "rowspan", "scope", "valign", "width"]
)
_BASE: Final[Mapping[str, frozenset[str]]] = {
    "*": frozenset(["align", "dir", "lang", "style", "title"]),
    "a": frozenset(["href", "name"]),
    "img": frozenset(["alt", "border", "height", "hspace", "src", "vspace", "width"]),
    "td": _CELL,
    "th": _CELL,
    "tr": frozenset(["align", "bgcolor", "height", "valign"]),
    "table": frozenset(
        ["align", "bgcolor", "border", "cellpadding", "cellspacing", "height", "role", "width"]
    ),
    "col": frozenset(["span", "width"]),
    "colgroup": frozenset(["span", "width"]),
    "font": frozenset(["color", "face", "size"]),
    "br": frozenset(["clear"]),
    "hr": frozenset(["color", "noshade", "size", "width"]),
    "ol": frozenset(["start", "type"]),
    "ul": frozenset(["type"]),
    "li": frozenset(["type", "value"]),
    "time": frozenset(["datetime"]),
}

# Properties that can neither load anything nor lie over what stands beside the mail.
PROPERTIES: Final = frozenset(
    [
        *["color", "background", "background-color", "direction", "display", "letter-spacing", "line-height"],
        *["font", "font-family", "font-size", "font-stretch", "font-style", "font-variant", "font-weight"],
        *["text-align", "text-decoration", "text-decoration-color", "text-decoration-line"],
        *["text-decoration-style", "text-indent", "text-transform", "white-space", "vertical-align"],
        *["word-break", "word-spacing", "word-wrap", "overflow-wrap", "list-style", "list-style-type"],
        *["padding", "padding-top", "padding-right", "padding-bottom", "padding-left"],
        *["margin", "margin-top", "margin-right", "margin-bottom", "margin-left"],
        *["width", "height", "max-width", "max-height", "table-layout", "border-collapse", "border-spacing"],
        *["min-width", "min-height", "box-sizing", "overflow", "opacity", "visibility"],
        *["border", "border-color", "border-style", "border-width", "border-radius"],
        *(f"border-{side}" for side in ("top", "right", "bottom", "left")),
        *(
            f"border-{side}-{part}"
            for side in ("top", "right", "bottom", "left")
            for part in ("color", "style", "width")
        ),
        *(f"border-{corner}-radius" for corner in ("top-left", "top-right", "bottom-left", "bottom-right")),
    ]
)
DISPLAYS: Final = frozenset(
    [
        *[
            "none",
            "block",
            "inline",
            "inline-block",
            "flow-root",
            "list-item",
            "table",
            "inline-table",
            "table-row",
        ],
        *["table-cell", "table-caption", "table-column", "table-column-group", "table-row-group"],
        *["table-header-group", "table-footer-group"],
    ]
)
# Below nought these only draw letters together; others would move what is shown over what stands beside it.
MAY_BE_NEGATIVE: Final = frozenset(["letter-spacing", "word-spacing"])
COLOUR_FUNCTIONS: Final = frozenset(["rgb", "rgba", "hsl", "hsla"])


@dataclass(frozen=True, slots=True)
class Policy:
    """What one receiver of HTML gets.

    `attributes`: what stays by tag ("*" for all). `remote_pictures`: whether those stay. `folds_quotes`: whether the
    quoted part is wrapped in `<div data-quoted="true">`.
    """

    attributes: Mapping[str, frozenset[str]]
    remote_pictures: bool = True
    folds_quotes: bool = False


LEAVING: Final = Policy({**_BASE, "*": _BASE["*"] | {"class", "id"}})
SHOWN: Final = Policy(
    {**_BASE, "*": _BASE["*"] | {"data-quoted-from"}, "div": frozenset(["data-quoted"])}, folds_quotes=True
)
SHOWN_WITHOUT_REMOTE: Final = replace(SHOWN, remote_pictures=False)
