"""Which function answers a request: the first in the order of names whose template and method match.

Facts: azure-functions-host, `WebScriptHostHttpRoutesManager.cs` and `ScriptHost.cs`. The host does not prefer
literal routes, answers 404 to a wrong method, and never derives HEAD or OPTIONS from GET.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from sandbox.devhost.functions import IndexedFunction
from sandbox.devhost.templates import BadTemplate, Template, parse_template

FUNCTION_NAME = re.compile(r"[a-z][a-z0-9_\-]{0,127}", re.IGNORECASE)
RESERVED = ("admin", "runtime")


@dataclass(frozen=True, slots=True)
class Dropped:
    """A function that the host leaves out, and why; the rest of the app runs."""

    function: str
    reason: str


@dataclass(frozen=True, slots=True)
class Route:
    """The route of an HTTP function; empty `methods` means all."""

    function: IndexedFunction
    template: Template
    methods: frozenset[str]

    @property
    def auth_level(self) -> str:
        """`anonymous`, `function` or `admin`."""
        return self.function.trigger.text("authLevel", "FUNCTION").lower()

    def answers(self, method: str) -> bool:
        """Whether it takes this method."""
        return not self.methods or method.upper() in self.methods

    def clashes_with(self, other: Route) -> bool:
        """Whether both have the same template text and a method in common."""
        same = self.template.text.lower() == other.template.text.lower()
        return same and (not self.methods or not other.methods or bool(self.methods & other.methods))


@dataclass(frozen=True, slots=True)
class RouteTable:
    """All routes under the prefix, in the order in which they are tried."""

    prefix: str
    routes: tuple[Route, ...]

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """The route for a decoded path with its parameters' values, or None."""
        inside = self._inside(path.removeprefix("/"))
        if inside is None:
            return None
        for route in self.routes:
            values = route.template.match(inside) if route.answers(method) else None
            if values is not None:
                return route, values
        return None

    def _inside(self, path: str) -> str | None:
        if not self.prefix:
            return path
        start = f"{self.prefix}/"
        return path[len(start) :] if path.lower().startswith(start.lower()) else None


def in_host_order(functions: Iterable[IndexedFunction]) -> list[IndexedFunction]:
    """The functions in the host's order: by name, without case."""
    return sorted(functions, key=lambda function: function.name.upper())


def with_valid_names(functions: Iterable[IndexedFunction]) -> tuple[list[IndexedFunction], list[Dropped]]:
    """The functions whose names the host accepts, in its order, and those it drops."""
    kept: list[IndexedFunction] = []
    dropped: list[Dropped] = []
    for function in in_host_order(functions):
        if FUNCTION_NAME.fullmatch(function.name) and function.name.lower() != "host":
            kept.append(function)
        else:
            dropped.append(Dropped(function.name, "is not a valid function name"))
    return kept, dropped


def build_routes(functions: Iterable[IndexedFunction], prefix: str) -> tuple[RouteTable, list[Dropped]]:
    """The route table of the HTTP functions, and the functions it leaves out."""
    routes: list[Route] = []
    dropped: list[Dropped] = []
    for function in in_host_order(function for function in functions if function.is_http):
        try:
            route = _route(function)
            _check_free(route, routes)
        except BadTemplate as error:
            dropped.append(Dropped(function.name, str(error)))
        else:
            routes.append(route)
    return RouteTable(prefix, tuple(routes)), dropped


def _route(function: IndexedFunction) -> Route:
    text = function.trigger.text("route", function.name).strip("/")
    if text.lower().startswith(RESERVED):
        raise BadTemplate(f"the route '{text}' conflicts with one or more built in routes")
    methods = function.trigger.raw.get("methods") or ()
    return Route(function, parse_template(text), frozenset(str(method).upper() for method in methods))


def _check_free(route: Route, earlier: Iterable[Route]) -> None:
    for other in earlier:
        if route.clashes_with(other):
            raise BadTemplate(
                f"the route '{route.template.text}' conflicts with the route of function '{other.function.name}'"
            )
