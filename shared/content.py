"""Bodies of mail: HTML made harmless, text made from it, and the bits around (H-1, H-4)."""

from __future__ import annotations

import codecs
import html
import re
from html.parser import HTMLParser
from typing import Final
from urllib.parse import unquote

import nh3

MAX_BODY_BYTES: Final = 1_048_576
SNIPPET_CHARACTERS: Final = 255
MAX_TAGS_TIMES_DEPTH: Final = 10**8
MAX_LENGTH_TIMES_AMPERSANDS: Final = 10**11
SCHEMES: Final = {"http", "https", "mailto", "cid"}

# Only what mail is made of: no script, style sheets, forms, frames, SVG or MathML, and no event attributes.
TAGS: Final = {
    *[
        "a",
        "abbr",
        "address",
        "b",
        "big",
        "blockquote",
        "br",
        "caption",
        "center",
        "cite",
        "code",
        "col",
        "colgroup",
        "dd",
        "del",
        "div",
        "dl",
        "dt",
        "em",
        "font",
    ],
    *[
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "i",
        "img",
        "ins",
        "kbd",
        "li",
        "ol",
        "p",
        "pre",
        "q",
        "s",
        "samp",
        "small",
        "span",
        "strike",
        "strong",
        "sub",
        "sup",
    ],
    *["table", "tbody", "td", "tfoot", "th", "thead", "tr", "tt", "u", "ul", "var"],
}
ATTRIBUTES: Final = {
    "*": {"dir", "lang", "title", "align"},
    "a": {"href", "name"},
    "img": {"src", "alt", "width", "height"},
    "td": {"colspan", "rowspan", "valign", "width"},
    "th": {"colspan", "rowspan", "valign", "width"},
    "table": {"border", "cellpadding", "cellspacing", "width"},
    "font": {"color", "face", "size"},
    "ol": {"start", "type"},
}
# Void, or closed by whatever follows.
LEFT_OPEN: Final = frozenset(
    [
        *["area", "base", "br", "col", "dd", "dt", "embed", "hr", "img", "input", "li", "link", "meta"],
        *["option", "p", "source", "td", "tfoot", "th", "tr", "wbr"],
    ]
)
BREAKING: Final = frozenset(
    [
        "address",
        "blockquote",
        "br",
        "caption",
        "dd",
        "div",
        "dl",
        "dt",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "li",
        "ol",
        "p",
        "pre",
        "table",
        "tr",
        "ul",
    ]
)
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_CID: Final = re.compile(r"""cid:([^"'\s>)]+)""", re.IGNORECASE)
# Those that mail is written in; Python knows others that are none, and one that takes minutes.
_CHARSET: Final = re.compile(
    rb"""charset\s*=\s*["']?(utf-8|us-ascii|iso-8859-\d+|windows-125\d|koi8-[ru]|big5|gb(?:2312|k|18030)"""
    rb"""|shift_jis|iso-2022-jp|euc-(?:jp|kr))\b""",
    re.IGNORECASE,
)
_TAG: Final = re.compile(r"<(/?)([a-z][a-z0-9]*)[^>]*>?", re.IGNORECASE)
_BODY_OPEN: Final = re.compile(r"<body\b[^>]*>", re.IGNORECASE)


def clean_html(text: str) -> str:
    """Harmless HTML; a second pass changes nothing more. What takes the cleaner too long becomes plain words."""
    text = _CONTROLS.sub("", text)
    if _takes_long(text):
        words = html.escape(html.unescape(_TAG.sub(" ", text)), quote=False)
        return _CONTROLS.sub("", words).replace("\u00a0", "&nbsp;")
    return nh3.clean(
        text,
        tags=TAGS,
        attributes=ATTRIBUTES,
        url_schemes=SCHEMES,
        clean_content_tags={"script", "style", "title", "svg", "math", "iframe", "object", "template"},
        link_rel="noopener noreferrer",
    )


def _takes_long(text: str) -> bool:
    """The cleaner's time grows with tags times depth and with length times `&`: seconds at the bounds, then minutes.

    The depth is at most what is counted: tags that people leave open are not.
    """
    tags = deepest = level = 0
    for found in _TAG.finditer(text):
        tags += 1
        if found[2].lower() not in LEFT_OPEN:
            level = max(0, level - 1) if found[1] else level + 1
            deepest = max(deepest, level)
    return tags * deepest > MAX_TAGS_TIMES_DEPTH or len(text) * text.count("&") > MAX_LENGTH_TIMES_AMPERSANDS


class _Text(HTMLParser):
    """Collects words, with a line break wherever a block begins or ends."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A block begins a line; a picture is told by its alternative text."""
        if tag in BREAKING:
            self.pieces.append("\n")
        if tag == "img" and (alt := dict(attrs).get("alt")):
            self.pieces.append(f"[{alt}]")

    def handle_endtag(self, tag: str) -> None:
        """A block ends a line."""
        if tag in BREAKING:
            self.pieces.append("\n")

    def handle_data(self, data: str) -> None:
        """Words; HTML's own line breaks are spaces."""
        self.pieces.append(re.sub(r"\s+", " ", data))


def html_to_text(text: str) -> str:
    """The words of some HTML as plain text, paragraphs kept apart by at most one empty line."""
    parser = _Text()
    parser.feed(clean_html(text))
    parser.close()
    lines = [line.strip() for line in "".join(parser.pieces).split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def text_to_html(text: str) -> str:
    """Plain text as HTML: paragraphs at empty lines, breaks at the others; no text is no paragraph."""
    if not text:
        return ""
    paragraphs = re.split(r"\n\s*\n", _CONTROLS.sub("", text.replace("\r\n", "\n")))
    return "".join(f"<p>{html.escape(paragraph).replace(chr(10), '<br>')}</p>" for paragraph in paragraphs)


def decode_text(content: bytes) -> str:
    """The text in some bytes: by their mark, by the charset that HTML names in its head, UTF-8, or Windows-1252."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", errors="replace")
    named = _CHARSET.search(content[:1024])
    for encoding in (named[1].decode("ascii") if named else "utf-8", "utf-8"):
        try:
            return content.decode(encoding).removeprefix("\ufeff")
        except (UnicodeError, LookupError):
            continue
    return content.decode("cp1252", errors="replace")


def preformatted_html(text: str) -> str:
    """Plain text as HTML that shows every sign, line and space as it was written.

    HTML drops a line break right after `<pre>`, so one is put there.
    """
    shown = html.escape(_CONTROLS.sub("", text.replace("\r\n", "\n")), quote=False)
    return f'<pre style="white-space: pre-wrap; font-family: inherit">\n{shown}</pre>'


def snippet(text: str) -> str:
    """The first words, on one line."""
    return " ".join(text.split())[:SNIPPET_CHARACTERS]


def find_cids(text: str) -> frozenset[str]:
    """The Content-IDs that the HTML shows. RFC 2392: in a URL they are percent-encoded, though few programs do so."""
    written = [html.unescape(cid) for cid in _CID.findall(text)]
    return frozenset(written) | frozenset(unquote(cid) for cid in written)


def prepend_html(own: str, quoted: str) -> str:
    """Our HTML before the quoted original, inside its body where it has one."""
    body = _BODY_OPEN.search(quoted)
    if body is None:
        return f"{own}{quoted}"
    return f"{quoted[: body.end()]}{own}{quoted[body.end() :]}"


def truncate_html(text: str, limit_bytes: int = MAX_BODY_BYTES) -> tuple[str, bool]:
    """Clean HTML cut to about so many bytes; whole again after the cut, so that what follows it stays outside."""
    cut, was_cut = truncate_text(text, limit_bytes)
    return (clean_html(cut) if was_cut else cut), was_cut


def truncate_text(text: str, limit_bytes: int = MAX_BODY_BYTES) -> tuple[str, bool]:
    """The text cut to so many bytes of UTF-8, at a character; and whether it was cut."""
    raw = text.encode()
    if len(raw) <= limit_bytes:
        return text, False
    return raw[:limit_bytes].decode(errors="ignore"), True
