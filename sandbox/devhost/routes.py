"""Which function answers a request: functions in the order of their names, first match of template and method wins.

Facts: azure-functions-host, `WebScriptHostHttpRoutesManager.cs` and `ScriptHost.cs`. There is no preference for
literal routes, a wrong method is a plain 404, and HEAD or OPTIONS are never derived from GET.
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
    """A function the host leaves out at start, and why; the rest of the app runs."""

    function: str
    reason: str


@dataclass(frozen=True, slots=True)
class Route:
    """One HTTP function's address."""

    function: IndexedFunction
    template: Template
    methods: frozenset[str]

    @property
    def auth_level(self) -> str:
        """`anonymous`, `function` or `admin`."""
        return self.function.trigger.text("authLevel", "FUNCTION").lower()

    def answers(self, method: str) -> bool:
        """Whether it takes this method; no methods named means all."""
        return not self.methods or method.upper() in self.methods

    def clashes_with(self, other: Route) -> bool:
        """Whether some request would fit both texts alike."""
        same = self.template.text.lower() == other.template.text.lower()
        return same and (not self.methods or not other.methods or bool(self.methods & other.methods))


@dataclass(frozen=True, slots=True)
class RouteTable:
    """All routes under the prefix, in the order in which they are tried."""

    prefix: str
    routes: tuple[Route, ...]

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """The route for a decoded path and the values in it."""
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


def sort_functions(functions: Iterable[IndexedFunction]) -> list[IndexedFunction]:
    """In the host's order: by name, ignoring case."""
    return sorted(functions, key=lambda one: one.name.upper())


def valid_names(functions: Iterable[IndexedFunction]) -> tuple[list[IndexedFunction], list[Dropped]]:
    """Functions whose names the host takes, in its order, and the others."""
    kept: list[IndexedFunction] = []
    dropped: list[Dropped] = []
    for one in sort_functions(functions):
        if FUNCTION_NAME.fullmatch(one.name) and one.name.lower() != "host":
            kept.append(one)
        else:
            dropped.append(Dropped(one.name, "is not a valid function name"))
    return kept, dropped


def build_routes(functions: Iterable[IndexedFunction], prefix: str) -> tuple[RouteTable, list[Dropped]]:
    """The table for the HTTP functions, and those that had to be left out."""
    routes: list[Route] = []
    dropped: list[Dropped] = []
    for function in sort_functions(one for one in functions if one.is_http):
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
