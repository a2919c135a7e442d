"""HTML made harmless by a policy, and what was taken out of it (H-1, R15)."""

from __future__ import annotations

import html
import re
from collections import Counter
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import nh3

from shared.domain.controls import without_controls
from shared.html import effort, quotes, tags
from shared.html.documents import keep_body_styles
from shared.html.pictures import Pictures
from shared.html.policy import SCHEMES, TAGS, TAGS_WITHOUT_WORDS, Policy
from shared.html.styles import clean_colour, clean_style

MOST_INLINED_CHARACTERS: Final = 5_000_000
MOST_SIZE: Final = re.compile(r"\d{1,5}(\.\d{1,4})?(%|px|\*)?")
SIZES: Final = frozenset(
    [
        "width",
        "height",
        "border",
        "cellpadding",
        "cellspacing",
        "colspan",
        "rowspan",
        "hspace",
        "vspace",
        "span",
    ]
)
COLOURS: Final = frozenset(["bgcolor", "color"])

# Of broken tables a parser builds links in links or entries in entries, and never reads them as they are written then.
_MAY_NEST: Final = re.compile(r"<table\b|<h[1-6]\b(?:(?!</h[1-6]>).)*?<h[1-6]\b", re.DOTALL)
_FIRST_LINE: Final = re.compile(r"(<pre(?: [^<>]*)?>)\n")
# The cleaner puts it in the place of an attribute that it has taken out; a second pass would put it last.
_REL: Final = ' rel="noopener noreferrer"'
_REL_BEFORE: Final = re.compile(rf'(<a(?: [^\s=>"]+="[^"]*")*?){_REL}((?: [^\s=>"]+="[^"]*")+)>')
_SHEET: Final = re.compile(r"<style\b", re.IGNORECASE)
# Only what stands around a mail's content: no loss that anybody would want to be told of.
_AROUND: Final = frozenset(["html", "head", "body", "meta", "title", "style", "link"])
_UNREMARKABLE: Final = _AROUND | {"xml"}
_OWN: Final = re.compile(r"\s*(mso-|-)")
MOST_KINDS: Final = 10
MOST_PASSES: Final = 4


@dataclass(frozen=True, slots=True)
class Cleaned:
    """Clean HTML, and what was taken out: each kind with how often, in words for people."""

    html: str
    removed: tuple[str, ...] = ()


def clean_html(text: str, policy: Policy, pictures: Pictures | None = None) -> Cleaned:
    """Harmless HTML; a second pass changes nothing more. What takes the cleaner too long becomes plain words.

    `pictures` takes those that stand in the text as `data:` addresses; without it they are taken out.
    """
    text = without_controls(text)
    if effort.takes_long(text):
        words = html.escape(html.unescape(effort.TAG.sub(" ", text)), quote=False)
        return Cleaned(
            without_controls(words).replace("\u00a0", "&nbsp;"), ("formatting (too deep or too long)",)
        )
    removed = _Removed(text, pictures)
    marked = keep_body_styles(_inline_sheets(text))
    if policy.folds_quotes:
        marked = quotes.mark_quotes(marked)
    cleaned = _pass(marked, policy, removed)
    # What stood in an element that is gone may nest otherwise now, as a browser reads it; so may what stood in a table.
    for _ in range(MOST_PASSES if removed.elements or _MAY_NEST.search(cleaned) else 0):
        again = _pass(cleaned, policy, removed)
        if again == cleaned:
            break
        cleaned = again
    return Cleaned(quotes.wrap_quotes(cleaned) if policy.folds_quotes else cleaned, removed.said())


def _pass(text: str, policy: Policy, removed: _Removed) -> str:
    cleaned = nh3.clean(
        text,
        tags=set(TAGS),
        attributes={tag: set(names) for tag, names in policy.attributes.items()},
        attribute_filter=lambda tag, name, value: _keep(policy, removed, tag, name, value),
        url_schemes={*SCHEMES, "data"},
        url_relative="deny",
        clean_content_tags=set(TAGS_WITHOUT_WORDS),
        link_rel="noopener noreferrer",
    )
    # Again after entities were decoded: `&#1;` is a control by now.
    # A line break right after <pre> is none (HTML, 13.2.6.4.7): one that was written second is the first now.
    ordered = _REL_BEFORE.sub(rf"\1\2{_REL}>", without_controls(cleaned))
    return _FIRST_LINE.sub(r"\1\n\n", ordered).lstrip("\ufeff")


def _inline_sheets(text: str) -> str:
    """The rules of `<style>` sheets as inline styles, where there are any and they do not grow too much by it."""
    if not _SHEET.search(text) or effort.sheets_take_long(text):
        return text
    import css_inline

    try:
        inlined = css_inline.inline(text, load_remote_stylesheets=False, keep_style_tags=False)
    except css_inline.InlineError:
        return text
    return inlined if len(inlined) <= MOST_INLINED_CHARACTERS else text


def _keep(policy: Policy, removed: _Removed, tag: str, name: str, value: str) -> str | None:
    """The value that an attribute keeps; None takes the attribute out."""
    value = without_controls(value)
    if name == "style":
        cleaned = clean_style(value)
        removed.styles(value, cleaned)
        return cleaned or None
    if name in COLOURS:
        return clean_colour(value)
    if name in SIZES:
        return value.strip() if MOST_SIZE.fullmatch(value.strip()) else None
    if name in {"href", "src"}:
        return _keep_address(policy, removed, tag, name, value)
    return value


def _keep_address(policy: Policy, removed: _Removed, tag: str, name: str, value: str) -> str | None:
    """Absolute addresses of a scheme of the list: the cleaner has judged what was written, this what it means."""
    try:
        scheme = urlsplit(value.strip()).scheme.lower()
    except ValueError:
        scheme = ""
    if tag == "img" and name == "src" and scheme == "data":
        return removed.take_picture(value)
    allowed = {"http", "https", "cid"} if name == "src" else SCHEMES
    if scheme not in allowed:
        return None
    if tag == "img" and scheme != "cid" and not policy.remote_pictures:
        removed.count("remote pictures")
        return None
    return value.strip()


class _Removed:
    """Counts what of a mail does not stay, by looking at its tags before the cleaner does."""

    def __init__(self, text: str, pictures: Pictures | None) -> None:
        self._pictures = pictures
        self._counts: Counter[str] = Counter()
        self.elements = False
        for tag, attributes, _ in tags.read_tags(text):
            self._look_at(tag, attributes)

    def take_picture(self, address: str) -> str | None:
        """The address of a picture that is a file now; None, and counted, where it is none."""
        taken = self._pictures.take(address) if self._pictures is not None else None
        if taken is None:
            self.count("pictures in the text")
        return taken

    def count(self, what: str) -> None:
        """One more of a kind."""
        self._counts[what] += 1

    def styles(self, before: str, after: str) -> None:
        """Compare how many declarations there were with how many there are; what one program adds for itself apart."""
        wanted = sum(1 for piece in before.split(";") if piece.strip() and not _OWN.match(piece))
        lost = wanted - sum(1 for piece in after.split(";") if piece)
        if lost > 0:
            self._counts["styles that are not kept"] += lost

    def said(self) -> tuple[str, ...]:
        """Each kind with its number, the most frequent first."""
        return tuple(f"{what}: {number}" for what, number in self._counts.most_common(MOST_KINDS))

    def _look_at(self, tag: str, attributes: dict[str, str]) -> None:
        """An element off the list, and attributes that run or lead somewhere else."""
        self.elements = self.elements or (tag not in TAGS and tag not in _AROUND)
        if tag not in TAGS and tag not in _UNREMARKABLE and ":" not in tag:
            self.count(f"<{tag[:20]}>")
        for name, value in attributes.items():
            if name.startswith("on"):
                self.count("scripts in attributes")
            elif name in {"href", "src"} and tag in TAGS and not self._leads_well(tag, name, value):
                self.count("addresses")

    @staticmethod
    def _leads_well(tag: str, name: str, address: str) -> bool:
        schemes = {*SCHEMES, "data"} if (tag, name) == ("img", "src") else SCHEMES
        return address.strip().lower().startswith(tuple(f"{scheme}:" for scheme in schemes))
