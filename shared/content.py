"""Bodies of mail: text as HTML, quotations, pictures in the text, and where bodies are cut (H-4)."""

from __future__ import annotations

import codecs
import html
import re
from typing import Final
from urllib.parse import unquote

from shared.domain.controls import without_controls
from shared.html import Policy, clean_html

MAX_BODY_BYTES: Final = 1_048_576
SNIPPET_CHARACTERS: Final = 255
_CID: Final = re.compile(r"""cid:([^"'\s>)]+)""", re.IGNORECASE)
_CID_END: Final = re.compile(r"""["'\s>)]""")
# Those that mail is written in; Python knows others that are none, and one that takes minutes.
_CHARSET: Final = re.compile(
    rb"""charset\s*=\s*["']?(utf-8|us-ascii|iso-8859-\d+|windows-125\d|koi8-[ru]|big5|gb(?:2312|k|18030)"""
    rb"""|shift_jis|iso-2022-jp|euc-(?:jp|kr))\b""",
    re.IGNORECASE,
)
_BODY_OPEN: Final = re.compile(r"<body\b[^<>]*>", re.IGNORECASE)  # to the next tag: no text is read twice


def text_to_html(text: str) -> str:
    """Plain text as HTML: paragraphs at empty lines, breaks at the others; no text is no paragraph."""
    if not text:
        return ""
    paragraphs = re.split(r"\n\s*\n", without_controls(text.replace("\r\n", "\n")))
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
    shown = html.escape(without_controls(text.replace("\r\n", "\n")), quote=False)
    return f'<pre style="white-space: pre-wrap; font-family: inherit">\n{shown}</pre>'


def snippet(text: str) -> str:
    """The first words, on one line."""
    return " ".join(text.split())[:SNIPPET_CHARACTERS]


def find_cids(text: str) -> frozenset[str]:
    """The Content-IDs that the HTML shows. RFC 2392: in a URL they are percent-encoded, though few programs do so."""
    # An entity may also be the quote that ends it: Outlook writes style="background:url(&quot;cid:x&quot;)".
    written = [_CID_END.split(html.unescape(cid))[0] for cid in _CID.findall(text)]
    return frozenset(written) | frozenset(unquote(cid) for cid in written)


def prepend_html(own: str, quoted: str) -> str:
    """Our HTML before the quoted original, inside its body where it has one."""
    body = _BODY_OPEN.search(quoted)
    if body is None:
        return f"{own}{quoted}"
    return f"{quoted[: body.end()]}{own}{quoted[body.end() :]}"


def truncate_html(text: str, policy: Policy, limit_bytes: int = MAX_BODY_BYTES) -> tuple[str, bool]:
    """Clean HTML cut to about so many bytes; whole again after the cut, so that what follows it stays outside."""
    cut, was_cut = truncate_text(text, limit_bytes)
    return (clean_html(cut, policy).html if was_cut else cut), was_cut


def truncate_text(text: str, limit_bytes: int = MAX_BODY_BYTES) -> tuple[str, bool]:
    """The text cut to so many bytes of UTF-8, at a character; and whether it was cut."""
    raw = text.encode()
    if len(raw) <= limit_bytes:
        return text, False
    return raw[:limit_bytes].decode(errors="ignore"), True
