"""ASP.NET Core's inline route templates: `items/{id:int}/{rest?}`, `{name=default}`, `{*all}`.

Facts: Microsoft, "Routing in ASP.NET Core", "Route templates". Matching ignores case and a trailing slash.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from sandbox.devhost.constraints import Constraint, UnknownConstraint, constraint

_NAME = re.compile(r"\*{0,2}(?P<name>[^:=?*{}/]+)")


class BadTemplate(ValueError):
    """A route template that ASP.NET Core refuses."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One `{…}` of a template."""

    name: str
    optional: bool = False
    default: str | None = None
    catch_all: bool = False
    constraints: tuple[Constraint, ...] = ()

    @property
    def may_be_missing(self) -> bool:
        """Whether a path may end before this parameter."""
        return self.optional or self.default is not None or self.catch_all

    def value(self, raw: str | None) -> str | None:
        """The value in the path, else the default, else None; raises LookupError when a constraint fails."""
        value = raw or self.default
        if value is not None and not all(check(value) for check in self.constraints):
            raise LookupError(self.name)
        return value


Part = str | Parameter


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled template: a pattern for the whole path, and the parameters in the order of its groups."""

    text: str
    pattern: re.Pattern[str]
    parameters: tuple[Parameter, ...]

    def match(self, path: str) -> dict[str, str] | None:
        """The parameters found in a decoded path (see `decoded`) without leading slash, or None."""
        found = self.pattern.fullmatch(path)
        if found is None:
            return None
        try:
            values = {
                parameter.name: parameter.value(raw)
                for parameter, raw in zip(self.parameters, found.groups(), strict=True)
            }
        except LookupError:
            return None
        return {name: value for name, value in values.items() if value is not None}


def parse_template(text: str) -> Template:
    """Compile a template; raises BadTemplate."""
    segments = [_parts(segment) for segment in _split(text.strip("/"))]
    parameters = [part for segment in segments for part in segment if isinstance(part, Parameter)]
    names = [parameter.name.lower() for parameter in parameters]
    if len(set(names)) < len(names):
        raise BadTemplate(f"a parameter appears twice in {text!r}")
    if any(parameter.catch_all for parameter in parameters[:-1]) or _catch_all_inside(segments):
        raise BadTemplate(f"a catch-all parameter must be the last segment of {text!r}")
    return Template(text, re.compile(_expression(segments), re.IGNORECASE | re.DOTALL), tuple(parameters))


def _catch_all_inside(segments: list[list[Part]]) -> bool:
    return any(
        isinstance(part, Parameter) and part.catch_all for segment in segments[:-1] for part in segment
    )


def _expression(segments: list[list[Part]]) -> str:
    """The pattern of the path; segments at the end that may be missing are nested optional groups."""
    first_missing = len(segments)
    while first_missing and _may_be_missing(segments[first_missing - 1]):
        first_missing -= 1
    pattern = "/".join(_segment(segment) for segment in segments[:first_missing])
    tail = ""
    for number in range(len(segments) - 1, first_missing - 1, -1):
        slash = "/" if number else ""
        tail = f"(?:{slash}{_segment(segments[number])}{tail})?"
    return f"{pattern}{tail}/?"


def _may_be_missing(segment: list[Part]) -> bool:
    return len(segment) == 1 and isinstance(segment[0], Parameter) and segment[0].may_be_missing


def _segment(parts: list[Part]) -> str:
    if len(parts) == 1 and isinstance(parts[0], Parameter):
        return "(.*)" if parts[0].catch_all else "([^/]+)"
    return "".join(re.escape(part) if isinstance(part, str) else "([^/]+?)" for part in parts)


def _split(text: str) -> Iterator[str]:
    """The segments; a slash inside braces (in a regex constraint) does not separate."""
    depth, begin = 0, 0
    for position, character in enumerate(text):
        depth += {"{": 1, "}": -1}.get(character, 0)
        if character == "/" and depth == 0:
            yield text[begin:position]
            begin = position + 1
    if depth:
        raise BadTemplate(f"the braces in {text!r} do not match")
    if text:
        yield text[begin:]


def _parts(segment: str) -> list[Part]:
    parts: list[Part] = []
    position = 0
    while position < len(segment):
        opening = segment.find("{", position)
        if opening != position:
            parts.append(segment[position : opening if opening > 0 else None])
        if opening < 0:
            break
        closing = _closing(segment, opening)
        parts.append(_parameter(segment[opening + 1 : closing]))
        position = closing + 1
    if not parts:
        raise BadTemplate("a template has an empty segment")
    return parts


def _closing(segment: str, opening: int) -> int:
    depth = 0
    for position in range(opening, len(segment)):
        depth += {"{": 1, "}": -1}.get(segment[position], 0)
        if depth == 0:
            return position
    raise BadTemplate(f"the braces in {segment!r} do not match")


def _parameter(text: str) -> Parameter:
    found = _NAME.match(text)
    if found is None:
        raise BadTemplate(f"a parameter has no name: {{{text}}}")
    rest = text[found.end() :]
    checks: list[Constraint] = []
    while rest.startswith(":"):
        end = _constraint_end(rest)
        try:
            # Braces are doubled in a template, also inside regex(...).
            checks.append(constraint(rest[1:end].replace("{{", "{").replace("}}", "}")))
        except UnknownConstraint as error:
            raise BadTemplate(str(error)) from error
        rest = rest[end:]
    default = rest[1:] if rest.startswith("=") else None
    if default is None and rest not in {"", "?"}:
        raise BadTemplate(f"cannot read the parameter {{{text}}}")
    return Parameter(found["name"], rest == "?", default, text.startswith("*"), tuple(checks))


def _constraint_end(rest: str) -> int:
    """The index where a `:constraint(…)` ends: the next `:`, `=` or `?` outside its parentheses."""
    depth = 0
    for position, character in enumerate(rest[1:], start=1):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth == 0 and character in ":=?":
            return position
    return len(rest)


def decoded(raw_path: str) -> str:
    """A path percent-decoded as Kestrel does it: an encoded slash stays encoded."""
    pieces = re.split("(%2[Ff])", raw_path)
    return "".join(piece if piece.lower() == "%2f" else unquote(piece) for piece in pieces)
