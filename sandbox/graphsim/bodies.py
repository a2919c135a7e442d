"""How Exchange changes HTML bodies: a whole document, no scripts, a text preview.

Sources: Microsoft Graph, "Create message" (a fragment comes back inside a full document) and
"Automate creating, sending and processing messages" (unsafe HTML is removed unless asked for).
"""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from typing import Literal

BodyType = Literal["html", "text"]
PREVIEW_CHARACTERS = 255
_META = '<meta http-equiv="Content-Type" content="text/html; charset=utf-8">'
_DROPPED = {"script", "iframe", "object", "applet"}
_UNWRAPPED = {"embed", "form", "base", "link"}
_VOID = {"br", "hr", "img", "meta", "input", "link", "base", "col", "wbr", "area", "source"}
_BLOCKS = {"p", "div", "br", "tr", "li", "h1", "h2", "h3", "h4", "hr", "blockquote", "table"}
_QUOTES = re.compile(
    r'<hr[^>]*>\s*<div id="divRplyFwdMsg"|<div[^>]*class="gmail_quote|<blockquote|-{4,}\s*Original Message'
    r"|_{10,}\s*From:",
    re.IGNORECASE,
)


class _Cleaner(HTMLParser):
    """Rewrites a document without active content; the spelling of tags and quotes is normalised too."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.parts: list[str] = []
        self.dropping = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _DROPPED:
            self.dropping += 1
        elif not self.dropping and tag not in _UNWRAPPED:
            self.parts.append(f"<{tag}{''.join(_attribute(n, v) for n, v in attrs)}>")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _DROPPED:
            self.handle_starttag(tag, attrs)
            if tag not in _VOID:
                self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in _DROPPED:
            self.dropping = max(0, self.dropping - 1)
        elif not self.dropping and tag not in _UNWRAPPED:
            self.parts.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if not self.dropping:
            self.parts.append(data)

    def handle_entityref(self, name: str) -> None:
        self.handle_data(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self.handle_data(f"&#{name};")

    def handle_comment(self, data: str) -> None:
        """Comments are dropped."""


def _attribute(name: str, value: str | None) -> str:
    if name.startswith("on") or (value or "").strip().lower().startswith("javascript:"):
        return ""
    return f' {name}="{html.escape(value or "", quote=True)}"'


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {"style", "script", "title"}:
            self.hidden += 1
        if tag in _BLOCKS:
            self.parts.append("\n")
        if tag == "img" and (source := dict(attrs).get("src") or "").startswith("cid:"):
            self.parts.append(f"[{source}]")

    def handle_endtag(self, tag: str) -> None:
        if tag in {"style", "script", "title"}:
            self.hidden = max(0, self.hidden - 1)

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.parts.append(data)


def without_active_content(document: str) -> str:
    """The document with scripts, frames, forms and event handlers taken out."""
    cleaner = _Cleaner()
    cleaner.feed(document)
    cleaner.close()
    return "".join(cleaner.parts)


def to_text(document: str) -> str:
    """The readable text of an HTML document; inline images become `[cid:...]`."""
    reader = _Text()
    reader.feed(document)
    reader.close()
    lines = (re.sub(r"[ \t\r\f\v\xa0]+", " ", line).strip() for line in "".join(reader.parts).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def to_document(content: str) -> str:
    """A fragment wrapped into the document that Exchange stores; a whole document keeps its parts."""
    lowered = content.lower()
    if "<html" not in lowered:
        return f"<html><head>\r\n{_META}</head><body>{content}</body></html>"
    if "http-equiv" not in lowered:
        return re.sub(r"(<head[^>]*>)", rf"\1\r\n{_META}", content, count=1, flags=re.IGNORECASE)
    return content


def inner(document: str) -> str:
    """The content of `<body>`."""
    found = re.search(r"<body[^>]*>(.*)</body>", document, re.IGNORECASE | re.DOTALL)
    return found.group(1) if found else document


def preview(body_type: BodyType, content: str) -> str:
    """The `bodyPreview`: the first 255 characters as text."""
    text = to_text(content) if body_type == "html" else content
    return re.sub(r"\s+", " ", text).strip()[:PREVIEW_CHARACTERS]


def unique_part(body_type: BodyType, content: str) -> str:
    """The `uniqueBody`: the part above the first quoted message; a heuristic, as in Exchange."""
    found = _QUOTES.search(content)
    if not found:
        return content
    head = content[: found.start()]
    return head + "</body></html>" if body_type == "html" else head
