"""`$filter` on messages: the part of OData that mail clients use, parsed strictly.

Sources: Microsoft Graph, "Use the $filter query parameter", "List messages" and "Outlook extended properties
overview": string values compare without regard to case, property names do.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sandbox.graphsim.errors import GraphError, bad_query, not_simulated
from sandbox.graphsim.extended import normal_property_id, value_of

if TYPE_CHECKING:
    from sandbox.graphsim.store import Message

Value = str | bool | datetime | None
Predicate = Callable[["Message"], bool]

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<time>\d{4}-\d\d-\d\dT[0-9:.]+(?:Z|[+-]\d\d:\d\d))"
    r"|(?P<word>[A-Za-z@][A-Za-z0-9_@.]*(?:/[A-Za-z][A-Za-z0-9_]*)*)|(?P<mark>[(),:]))"
)
_COMPARE: dict[str, Callable[[Value, Value], bool]] = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "gt": lambda a, b: _ordered(a, b) and a > b,  # type: ignore[operator] # _ordered checked that both are times
    "ge": lambda a, b: _ordered(a, b) and a >= b,  # type: ignore[operator] # as above
    "lt": lambda a, b: _ordered(a, b) and a < b,  # type: ignore[operator] # as above
    "le": lambda a, b: _ordered(a, b) and a <= b,  # type: ignore[operator] # as above
}
_FUNCTIONS: dict[str, Callable[[str, str], bool]] = {
    "startswith": lambda text, part: text.startswith(part),
    "contains": lambda text, part: part in text,
}

PROPERTIES: dict[str, Callable[[Message], Value]] = {
    "isread": lambda m: m.is_read,
    "isdraft": lambda m: m.is_draft,
    "hasattachments": lambda m: m.has_attachments,
    "subject": lambda m: m.subject.lower(),
    "importance": lambda m: m.importance.lower(),
    "inferenceclassification": lambda m: m.inference.lower(),
    "conversationid": lambda m: m.conversation_id,
    "internetmessageid": lambda m: m.internet_message_id.lower(),
    "parentfolderid": lambda m: m.folder_id,
    "receiveddatetime": lambda m: m.received_at,
    "sentdatetime": lambda m: m.sent_at,
    "createddatetime": lambda m: m.created_at,
    "lastmodifieddatetime": lambda m: m.modified_at,
    "from/emailaddress/address": lambda m: m.from_.key if m.from_ else None,
    "sender/emailaddress/address": lambda m: m.sender.key if m.sender else None,
}
_CASE_SENSITIVE = {"conversationid", "parentfolderid"}
_TIMES = {name for name in PROPERTIES if name.endswith("datetime")}
# A comparison is three. ASP.NET's OData refuses more than 100 nodes; what Graph takes is on no page (?).
MOST_TOKENS = 300
_BOOLEANS = {"isread", "isdraft", "hasattachments"}


@dataclass(frozen=True, slots=True)
class Filter:
    """A parsed filter. `names`: its properties in order of appearance, lower case, to check $orderby with."""

    matches: Predicate
    names: tuple[str, ...]


def parse_filter(text: str, *, any_value: bool = False) -> Filter:
    """Parse a `$filter`; raises Graph's 400 for what it does not accept.

    With `any_value` a comparison of an extended property lets every value through (knob `property_filter`).
    """
    tokens = _tokens(text)
    if len(tokens) > MOST_TOKENS:
        raise bad_query("The node count limit of '100' has been exceeded.")
    parser = _Parser(tokens, any_value)
    matches = parser.parse_or()
    if parser.tokens:
        raise bad_query(f"Syntax error at '{parser.tokens[0][1]}' in '{text}'.")
    return Filter(matches, tuple(parser.names))


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens, position, text = [], 0, text.rstrip()
    while position < len(text):
        found = _TOKEN.match(text, position)
        if not found or not found.lastgroup:
            raise bad_query(f"Syntax error at position {position} in '{text}'.")
        tokens.append((found.lastgroup, found[found.lastgroup]))
        position = found.end()
    return tokens


def _ordered(a: Value, b: Value) -> bool:
    return isinstance(a, datetime) and isinstance(b, datetime)


@dataclass(slots=True)
class _Parser:
    """A recursive descent parser; each method removes its tokens from the front."""

    tokens: list[tuple[str, str]]
    any_value: bool
    names: list[str] = field(default_factory=list)

    def take(self, kind: str | None = None, text: str | None = None) -> str:
        if not self.tokens:
            raise bad_query("Syntax error: the filter ends too early.")
        found_kind, found = self.tokens.pop(0)
        if (kind and found_kind != kind) or (text and found.lower() != text):
            raise bad_query(f"Syntax error at '{found}' in the filter.")
        return found

    def next_is(self, text: str) -> bool:
        return bool(self.tokens) and self.tokens[0][1].lower() == text

    def parse_or(self) -> Predicate:
        left = self.parse_and()
        while self.next_is("or"):
            self.take()
            left = _any_of(left, self.parse_and())
        return left

    def parse_and(self) -> Predicate:
        left = self.parse_not()
        while self.next_is("and"):
            self.take()
            left = _all_of(left, self.parse_not())
        return left

    def parse_not(self) -> Predicate:
        if self.next_is("not"):
            self.take()
            inner = self.parse_not()
            return lambda m: not inner(m)
        if self.next_is("("):
            self.take()
            inner = self.parse_or()
            self.take(text=")")
            return inner
        return self.parse_term()

    def parse_term(self) -> Predicate:
        word = self.take("word")
        lowered = word.lower()
        if lowered in _FUNCTIONS:
            return self.parse_function(lowered)
        if lowered == "singlevalueextendedproperties/any":
            return self.parse_any_property()
        if lowered not in PROPERTIES:
            raise _unknown(word)
        return self.parse_comparison(lowered)

    def parse_comparison(self, name: str) -> Predicate:
        compare = _COMPARE.get(operator := self.take("word").lower())
        if compare is None:
            raise bad_query(f"'{operator}' is no comparison in a filter.")
        wanted, read = self.parse_literal(name), PROPERTIES[name]
        self.names.append(name)
        return lambda m: compare(read(m), wanted)

    def parse_literal(self, name: str) -> Value:
        kind, text = self.tokens.pop(0) if self.tokens else ("", "")
        if name in _TIMES and kind == "time":
            return _moment(text)
        if name in _BOOLEANS and text in {"true", "false"}:
            return text == "true"
        if text == "null":
            return None
        if kind == "text" and name not in _TIMES | _BOOLEANS:
            plain = text[1:-1].replace("''", "'")
            return plain if name in _CASE_SENSITIVE else plain.lower()
        raise bad_query(f"A binary operator with incompatible types was detected: '{name}' and '{text}'.")

    def parse_function(self, name: str) -> Predicate:
        self.take(text="(")
        word = self.take("word").lower()
        if word not in PROPERTIES or word in _TIMES | _BOOLEANS:
            raise _unknown(word)
        self.take(text=",")
        part, call, read = str(self.parse_literal(word)), _FUNCTIONS[name], PROPERTIES[word]
        self.take(text=")")
        self.names.append(word)
        return lambda m: call(str(read(m) or ""), part)

    def parse_any_property(self) -> Predicate:
        """Parse `Any(ep: ep/id eq '...' and ep/value eq '...')`, in either order; ne, contains and startswith too."""
        self.take(text="(")
        variable = self.take("word").lower()
        self.take(text=":")
        conditions = [self.parse_property_condition(variable)]
        while self.next_is("and"):
            self.take()
            conditions.append(self.parse_property_condition(variable))
        self.take(text=")")
        self.names.append("singlevalueextendedproperties")
        ids = [c for what, c in conditions if what == "id" and isinstance(c, str)]
        values = [c for what, c in conditions if what == "value" and not isinstance(c, str)]
        if len(ids) != 1:
            raise GraphError(
                400, "ErrorInvalidUrlQueryFilter", "The filter must name one extended property by id."
            )
        tests = [] if self.any_value else values
        return lambda m: (
            (found := value_of(m, ids[0])) is not None and all(test(found.lower()) for test in tests)
        )

    def parse_property_condition(self, variable: str) -> tuple[str, str | Callable[[str], bool]]:
        word = self.take("word").lower()
        if word in _FUNCTIONS:
            self.take(text="(")
            self.take(text=f"{variable}/value")
            self.take(text=",")
            part, call = self.parse_text().lower(), _FUNCTIONS[word]
            self.take(text=")")
            return "value", lambda text: call(text, part)
        operator = self.take("word").lower()
        wanted = self.parse_text()
        if word == f"{variable}/id" and operator == "eq":
            return "id", _property_id(wanted)
        if word == f"{variable}/value" and operator in {"eq", "ne"}:
            return "value", lambda text: (text == wanted.lower()) == (operator == "eq")
        raise bad_query(f"'{word} {operator}' cannot be used in a filter on extended properties.")

    def parse_text(self) -> str:
        return self.take("text")[1:-1].replace("''", "'")


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise bad_query(f"The time '{text}' is not valid.") from error


def _property_id(text: str) -> str:
    normal = normal_property_id(text)
    if normal is None:
        raise GraphError(400, "ErrorInvalidProperty", f"Extended property id '{text}' is not valid.")
    return normal


def _any_of(left: Predicate, right: Predicate) -> Predicate:
    return lambda m: left(m) or right(m)


def _all_of(left: Predicate, right: Predicate) -> Predicate:
    return lambda m: left(m) and right(m)


def _unknown(word: str) -> GraphError:
    if "/any" in word.lower() or "/all" in word.lower():
        return not_simulated(f"a filter with '{word}'")
    return bad_query(f"Could not find a property named '{word}' on type 'microsoft.graph.message'.")
