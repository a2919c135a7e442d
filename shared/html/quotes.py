"""Where a mail's own words end and the quoted ones begin, so that a CRM can fold them; their content is untouched.

The marks are those that the programs write (field knowledge; none of them is specified): Outlook's `appendonsend`,
`divRplyFwdMsg` and the line above its From, Gmail's and Yahoo's classes, Apple's and Thunderbird's
`blockquote type=cite`, eM Client's `cite="mid:…"`; in text the line before a quotation in the languages that Outlook
and Gmail write. A `<blockquote>` without a mark is a quotation behind such a line, or where the mail ends with it.
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
        rf"^(?:_{{10,}}[ \t]*\r?\n)?[ \t]*\*?(?:{_FROM}) ?:\*? [^\n]+\n[ \t]*\*?(?:{_SENT}) ?:\*? [^\n]+$",
        re.MULTILINE,
    ),
)


_LINE_BEFORE: Final = re.compile(rf"\b(?:{_WROTE})[^\n]{{0,100}}:$")
_LINE_ENDS: Final = re.compile(r"<(?:br|p|div|table|[uo]l|li|h[1-6r]|blockquote|img|section)\b")
_LONGEST_LINE: Final = 600
_MOST_LOOKED_AT: Final = 20
_WORD: Final = re.compile(r"<(?!img\b)[^>]*>|&nbsp;|\s+|(<img\b[^>]*>|[^<&\s]+|.)", re.DOTALL)


def _begins(tag: str, attributes: dict[str, str]) -> bool:
    return (
        not _CLASSES.isdisjoint(name.removeprefix("x_") for name in attributes.get("class", "").split())
        or attributes.get("id", "").lower().removeprefix("x_") in _IDS
        or (
            tag == "blockquote"
            and (
                attributes.get("type", "").lower() == "cite"
                or attributes.get("cite", "").lower().startswith("mid:")
            )
        )
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
        return _wrap_unmarked(clean)
    without_marks = "".join([*pieces, clean[copied:]])
    return _wrap(without_marks, start, end if end >= 0 else len(without_marks))


def _wrap(text: str, start: int, end: int) -> str:
    return f"{text[:start]}{OPENED}{text[start:end]}</div>{text[end:]}"


def _wrap_unmarked(clean: str) -> str:
    """The first `<blockquote>` that no program has marked, where it is a quotation by what stands around it."""
    if OPENED in clean or "<blockquote" not in clean:
        return clean
    opened: list[tuple[str, int]] = []
    before: dict[int, int] = {}  # by depth: where the element begins that ended right before
    begin, end = _words_between(clean)
    begins, looked_at = -1, 0
    for found in _TAG.finditer(clean):
        closing, tag, _ = found.groups()
        if closing:
            _, start = opened.pop() if opened else ("", -1)
            before[len(opened)] = start
            if 0 <= start == begins:
                if begin < begins and end < found.end():
                    return _wrap(clean, begins, found.end())
                begins = -1
            continue
        if tag == "blockquote" and begins < 0 and all(name in _TAKES_BLOCKS for name, _ in opened):
            begins, looked_at = found.start(), looked_at + 1
            line = _line_before(clean, before.get(len(opened), -1), begins)
            if line is not None and looked_at <= _MOST_LOOKED_AT:
                return _wrap_to_the_end(clean, line, len(opened))
        if tag not in _VOID:
            opened.append((tag, found.start()))
            before.pop(len(opened), None)
    return clean


def _line_before(clean: str, sibling: int, begins: int) -> int | None:
    """Where a quotation begins that has the line before it: with the element that holds this line alone, if any."""
    near = clean[max(0, begins - _LONGEST_LINE) : begins]
    if _LINE_BEFORE.search(_words(near)) is None:
        return None
    holds_it_alone = (
        begins - sibling <= _LONGEST_LINE and len(_LINE_ENDS.findall(clean, sibling, begins)) <= 1
    )
    return sibling if sibling >= 0 and holds_it_alone else begins


def _wrap_to_the_end(clean: str, start: int, depth: int) -> str:
    """From there to the end of the element that it stands in."""
    deep = depth
    for found in _TAG.finditer(clean, start):
        closing, tag, _ = found.groups()
        deep += 0 if tag in _VOID else -1 if closing else 1
        if deep < depth:
            return _wrap(clean, start, found.start())
    return _wrap(clean, start, len(clean))


def _words_between(clean: str) -> tuple[int, int]:
    """Where the words of clean HTML begin and where the last of them stands, tags apart; a picture counts as one."""
    words = [found.start() for found in _WORD.finditer(clean) if found[1]]
    return (words[0], words[-1]) if words else (len(clean), -1)


def _words(clean: str) -> str:
    """What is left of clean HTML without its tags."""
    return re.sub(r"<[^>]*>?", " ", clean).replace("&nbsp;", " ").strip()


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
