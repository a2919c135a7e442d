"""Where a mail's own words end and the quoted ones begin, so that a CRM can fold them; their content is untouched.

The marks are those that the programs write (field knowledge; none of them is specified): Outlook's `appendonsend`,
`divRplyFwdMsg` and the line above its From, Gmail's and Yahoo's classes, Apple's and Thunderbird's
`blockquote type=cite`; in text the line before a quotation in the languages that Outlook and Gmail write.
"""

from __future__ import annotations

import re
from typing import Final

from shared.html.tags import read_tags

MARK: Final = "data-quoted-from"
OPENED: Final = '<div data-quoted="true">'
# A tag as the cleaner writes it.
_TAG: Final = re.compile(r'<(/?)([a-z][a-z0-9]*)((?: [^\s=>"]+="[^"]*")*)>')
_VOID: Final = frozenset(["br", "col", "hr", "img", "wbr"])
# Where a `<div>` may stand; within others the parser of a browser would move it.
_TAKES_BLOCKS: Final = frozenset(
    [
        "article",
        "aside",
        "blockquote",
        "center",
        "dd",
        "div",
        "footer",
        "header",
        "li",
        "main",
        "section",
        "td",
        "th",
    ]
)
_SERIALISED: Final = re.compile(rf' {MARK}="[^"]*"')
_CLASSES: Final = frozenset(
    [
        "gmail_quote",
        "gmail_quote_container",
        "yahoo_quoted",
        "protonmail_quote",
        "moz-cite-prefix",
        "zmail_extra",
    ]
)
_IDS: Final = frozenset(
    ["appendonsend", "divrplyfwdmsg", "mail-editor-reference-message-container", "replysplit"]
)
_OUTLOOK_LINE: Final = re.compile(
    r"border:\s*none;\s*border-top:\s*solid #(e1e1e1|b5c4df) 1(\.0)?pt", re.IGNORECASE
)

_WROTE: Final = (
    r"wrote|schrieb|a écrit|ha scritto|escribió|escreveu|schreef|skrev|napisał\(a\)|kirjoitti"
    r"|\u043f\u0438\u0448\u0435\u0442|\u043d\u0430\u043f\u0438\u0441\u0430\u043b\(\u0430\)"
)
_ORIGINAL: Final = (
    r"Original Message|Ursprüngliche Nachricht|Message d'origine|Mensaje original|Messaggio originale"
    r"|Oorspronkelijk bericht|Mensagem original|Forwarded message|Weitergeleitete Nachricht"
)
_FROM: Final = r"From|Von|De|Da|Van|Från|Fra|Lähettäjä|Od|\u041e\u0442"
_SENT: Final = (
    r"Sent|Date|Gesendet|Datum|Envoyé|Enviado(?: el)?|Inviato|Data|Verzonden|Skickat|Sendt|Lähetetty|Wysłano"
    r"|\u041e\u0442\u043f\u0440\u0430\u0432\u043b\u0435\u043d\u043e"
)
_TEXT_MARKS: Final = (
    re.compile(rf"^[ \t]*-{{2,}} ?(?:{_ORIGINAL}) ?-{{2,}}[ \t\r]*$", re.MULTILINE | re.IGNORECASE),
    re.compile(
        rf"^(?!>)[^\n]{{6,240}}(?:\n(?!>)[^\n]{{0,120}})?\b(?:{_WROTE})[^\n]{{0,100}}:[ \t]*[\r\n]+(?=[ \t]*>)",
        re.MULTILINE,
    ),
    re.compile(
        rf"^(?:_{{10,}}\n)?[ \t]*\*?(?:{_FROM}) ?:\*? [^\n]+\n[ \t]*\*?(?:{_SENT}) ?:\*? [^\n]+$",
        re.MULTILINE,
    ),
)


def _begins(tag: str, attributes: dict[str, str]) -> bool:
    return (
        not _CLASSES.isdisjoint(attributes.get("class", "").split())
        or attributes.get("id", "").lower().removeprefix("x_") in _IDS
        or (tag == "blockquote" and attributes.get("type", "").lower() == "cite")
        or (tag == "div" and _OUTLOOK_LINE.match(attributes.get("style", "")) is not None)
    )


def mark_quotes(text: str) -> str:
    """The HTML with a mark on the element that begins the quoted part, which the cleaner lets pass.

    What is wrapped already stays as it is.
    """
    for tag, attributes, at in read_tags(text):
        if tag == "div" and attributes.get("data-quoted") == "true":
            return text
        if _begins(tag, attributes):
            return f'{text[:at]} {MARK}="" {text[at:]}'
    return text


def wrap_quotes(clean: str) -> str:
    """Cleaned HTML whose quoted part is wrapped: from the marked element to the end of what it stands in.

    Where it stands in something that takes no blocks, from the beginning of that.
    """
    opened: list[tuple[str, int]] = []
    depth = start = end = -1
    pieces: list[str] = []
    copied = removed = 0
    for found in _TAG.finditer(clean):
        closing, tag, attributes = found.groups()
        if closing:
            if start >= 0 and end < 0 and len(opened) == depth:
                end = found.start() - removed
            del opened[-1:]
            continue
        if mark := _SERIALISED.search(attributes):
            pieces.append(clean[copied : found.start(3) + mark.start()])
            copied = found.start(3) + mark.end()
            removed += len(mark[0])
            if start < 0:
                outer = [at for at, (name, _) in enumerate(opened) if name not in _TAKES_BLOCKS]
                depth, start = (outer[0], opened[outer[0]][1]) if outer else (len(opened), found.start())
        if tag not in _VOID:
            opened.append((tag, found.start()))
    if start < 0:
        return clean
    without_marks = "".join([*pieces, clean[copied:]])
    return _wrap(without_marks, start, end if end >= 0 else len(without_marks))


def _wrap(text: str, start: int, end: int) -> str:
    return f"{text[:start]}{OPENED}{text[start:end]}</div>{text[end:]}"


def quote_in_text(text: str) -> int | None:
    """Where in plain text the quoted part begins, in characters; None where nothing is quoted."""
    starts = [found.start() for mark in _TEXT_MARKS if (found := mark.search(text))]
    ending = _quoted_lines_at_the_end(text)
    return min([*starts, ending] if ending is not None else starts, default=None)


def _quoted_lines_at_the_end(text: str) -> int | None:
    """Where nothing but lines with `>` and empty ones follows; read from the end, so that each line is read once."""
    at, begins = len(text), None
    for line in reversed(text.split("\n")):
        at -= len(line)
        if line.startswith(">"):
            begins = at
        elif line.strip():
            break
        at -= 1
    return begins
