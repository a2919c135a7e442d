"""OData options of reads, parsed strictly: `$select`, `$expand`, `$filter`, `$orderby`, `$top`, `$skip`, `$count`.

Sources: Microsoft Graph, "Use query parameters" and "List messages" (page of 10, `$top` up to 1000; with `$filter`,
the properties of `$orderby` must come first in the filter, in the same order).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from sandbox.graphsim import schema
from sandbox.graphsim.errors import GraphError, bad_query, not_simulated
from sandbox.graphsim.extended import normal_property_id
from sandbox.graphsim.filters import PROPERTIES, Filter, parse_filter

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sandbox.graphsim.knobs import Knobs
    from sandbox.graphsim.store import Message

DEFAULT_PAGE = 10
MAX_PAGE = 1000
NOT_BY_DEFAULT = frozenset({"internetMessageHeaders", "uniqueBody"})
_NAVIGATION = frozenset({"attachments", "singleValueExtendedProperties", "multiValueExtendedProperties"})
_ALL = schema.properties_of("message") - _NAVIGATION
_BY_LOWER = {name.lower(): name for name in _ALL}
_EXPANSION = re.compile(r"^\s*([A-Za-z]+)\s*(?:\((.*)\))?\s*$", re.DOTALL)
_PROPERTY_FILTER = re.compile(r"^\s*id\s+eq\s+'((?:[^']|'')*)'\s*$", re.IGNORECASE)
_BODIES = frozenset({"body", "uniqueBody", "bodyPreview"})
CONTENT_ID_CAST = "microsoft.graph.fileAttachment/contentId"


@dataclass(frozen=True, slots=True)
class Expansion:
    """What `$expand` adds: attachments (with their `$select`), and extended properties by normal id."""

    attachments: bool = False
    attachment_select: tuple[str, ...] = ()
    single: tuple[tuple[str, str], ...] = ()
    multi: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Shape:
    """Which properties of messages to return: `fields` all of them, `selected` those that the caller listed."""

    fields: frozenset[str]
    selected: tuple[str, ...]
    expansion: Expansion

    @property
    def reads_body(self) -> bool:
        """Whether any part of the body is returned."""
        return bool(self.fields & _BODIES)


@dataclass(frozen=True, slots=True)
class Page:
    """Filter, order and limits of a list of messages."""

    filter: Filter | None
    order: tuple[tuple[str, bool], ...]
    top: int
    skip: int
    count: bool


def parse_select(text: str | None) -> tuple[str, ...]:
    """The property names of a `$select` in their own spelling; empty when there is none."""
    if text is None:
        return ()
    names = [part.strip() for part in text.split(",")]
    for name in names:
        if name.lower() not in _BY_LOWER:
            raise bad_query(f"Could not find a property named '{name}' on type 'microsoft.graph.message'.")
    return tuple(_BY_LOWER[name.lower()] for name in names)


def parse_shape(query: Mapping[str, str]) -> Shape:
    """Parse `$select` and `$expand`; raises Graph's 400."""
    selected = parse_select(query.get("$select"))
    fields = frozenset(selected) | {"id"} if selected else _ALL - NOT_BY_DEFAULT
    return Shape(frozenset(fields), selected, parse_expand(query.get("$expand")))


def parse_expand(text: str | None) -> Expansion:
    """Parse an `$expand`; messages have only attachments and extended properties to expand."""
    attachments, select, single, multi = False, (), [], []  # type: bool, tuple[str, ...], list[tuple[str, str]], list[tuple[str, str]]
    for part in _split(text or "", ","):
        found = _EXPANSION.match(part)
        name, inside = (found[1].lower(), found[2]) if found else ("", None)
        if name == "attachments":
            attachments, select = True, _attachment_select(inside)
        elif name == "singlevalueextendedproperties":
            single += _property_ids(inside)
        elif name == "multivalueextendedproperties":
            multi += _property_ids(inside)
        elif name == "extensions":
            raise not_simulated("open extensions")
        else:
            raise bad_query(f"Could not find a property named '{part}' on type 'microsoft.graph.message'.")
    return Expansion(attachments, select, tuple(single), tuple(multi))


def _attachment_select(inside: str | None) -> tuple[str, ...]:
    if not inside:
        return ()
    name, _, value = inside.partition("=")
    if name.strip() != "$select":
        raise bad_query(f"'{inside}' cannot be used when expanding attachments.")
    return parse_attachment_select(value)


def parse_attachment_select(text: str | None) -> tuple[str, ...]:
    """`$select` on attachments: properties of the base type, and contentId by a cast, so never contentBytes."""
    if text is None:
        return ()
    names = tuple(part.strip() for part in text.split(","))
    for name in names:
        if name != CONTENT_ID_CAST and name not in schema.properties_of("attachment"):
            raise bad_query(f"Could not find a property named '{name}' on type 'microsoft.graph.attachment'.")
    return names


def refuse_by_knobs(knobs: Knobs, select: Iterable[str], *, nested: bool) -> None:
    """Raise Graph's 400 for a `$select` on attachments that the knobs do not let pass."""
    if nested and select and knobs.text("expand_attachments") == "refused":
        raise bad_query("$select cannot be used when expanding attachments.")
    if CONTENT_ID_CAST in select and knobs.text("content_id_cast") == "refused":
        raise bad_query("Could not find a property named 'contentId' on type 'microsoft.graph.attachment'.")


def parse_attachment_page(query: Mapping[str, str], size: int) -> tuple[int, int]:
    """(most, first) attachments of a list by `$top`, at most a page of `size` (0: any number), and `$skip`."""
    most = size or MAX_PAGE
    return min(_number(query, "$top", most, 1, MAX_PAGE), most), _number(query, "$skip", 0, 0, 1_000_000)


def _property_ids(inside: str | None) -> list[tuple[str, str]]:
    """(id as written, normal id) of each in `($filter=id eq '...' or id eq '...')`, which Graph requires."""
    name, _, value = (inside or "").partition("=")
    if name.strip() != "$filter":
        raise GraphError(
            400, "ErrorInvalidUrlQueryFilter", "Expanding extended properties needs a $filter on their id."
        )
    ids = []
    for part in re.split(r"\s+or\s+", value):
        found = _PROPERTY_FILTER.match(part)
        text = found[1].replace("''", "'") if found else ""
        normal = normal_property_id(text)
        if normal is None:
            raise GraphError(
                400, "ErrorInvalidUrlQueryFilter", f"'{part}' does not name an extended property."
            )
        ids.append((text, normal))
    return ids


def _split(text: str, separator: str) -> list[str]:
    """The parts between separators that are outside parentheses and quotes."""
    parts, depth, quoted, current = [], 0, False, ""
    for letter in text:
        quoted ^= letter == "'"
        depth += 0 if quoted else (letter == "(") - (letter == ")")
        if letter == separator and depth == 0 and not quoted:
            parts.append(current)
            current = ""
        else:
            current += letter
    return [part for part in [*parts, current] if part.strip()]


def parse_page(query: Mapping[str, str], *, any_value: bool = False) -> Page:
    """Parse `$filter` (`any_value`: see `parse_filter`), `$orderby`, `$top`, `$skip`, `$count`; raises Graph's 400."""
    if "$search" in query:
        raise not_simulated("$search")
    flt = parse_filter(query["$filter"], any_value=any_value) if "$filter" in query else None
    order = _parse_order(query.get("$orderby"))
    if flt and order:
        names = [name for name, _ in order]
        if list(flt.names[: len(names)]) != names:
            raise GraphError(
                400, "InefficientFilter", "The restriction or sort order is too complex for this operation."
            )
    top = _number(query, "$top", DEFAULT_PAGE, 1, MAX_PAGE)
    count = query.get("$count", "false")
    if count not in {"true", "false"}:
        raise bad_query("$count must be true or false.")
    return Page(flt, order, top, _number(query, "$skip", 0, 0, 1_000_000), count == "true")


def _number(query: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
        raise bad_query(f"Invalid value '{text}' for {name} query option; {low} to {high} are permitted.")
    return int(text)


def _rank(name: str, message: Message) -> tuple[bool, Any]:
    """The sort key of a message by one property; a missing value comes first."""
    value = PROPERTIES[name](message)
    return value is not None, value


def _parse_order(text: str | None) -> tuple[tuple[str, bool], ...]:
    """Pairs of property and whether it descends."""
    order = []
    for part in (text or "").split(",") if text is not None else []:
        words = part.split()
        if not words or words[0].lower() not in PROPERTIES or words[1:] not in ([], ["asc"], ["desc"]):
            raise bad_query(
                f"Could not find a property named '{part.strip()}' on type 'microsoft.graph.message'."
            )
        order.append((words[0].lower(), words[1:] == ["desc"]))
    return tuple(order)


def arrange(messages: Iterable[Message], page: Page, *, arbitrary: bool) -> list[Message]:
    """All messages that match, in the requested order; `$skip` and `$top` are not applied."""
    found = [m for m in messages if page.filter is None or page.filter.matches(m)]
    if page.order:
        for name, descending in reversed(page.order):
            found.sort(key=partial(_rank, name), reverse=descending)
        return found
    if page.filter and arbitrary:
        return sorted(found, key=lambda m: hashlib.sha256(m.immutable_id.encode()).digest())
    return sorted(found, key=lambda m: m.received_at, reverse=True)
