"""The functions of the app as the host finds them, and how it calls them."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache

import azure.functions as func

import function_app
from sandbox.devhost.functions import IndexedFunction
from sandbox.devhost.indexing import index_app
from shared.storage.api import QueueMessage


@dataclass(frozen=True, slots=True)
class Route:
    """One HTTP function."""

    name: str
    template: str
    methods: frozenset[str]
    handler: Callable[..., Awaitable[func.HttpResponse]]
    output: str | None

    def match(self, path: str) -> dict[str, str] | None:
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(f"/{self.template}"))
        found = re.fullmatch(pattern, path)
        return found.groupdict() if found else None


class Out:
    """The host's output binding."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def set(self, texts: list[str]) -> None:
        self.texts = texts


class TimerRequest(func.TimerRequest):
    """The request of a timer's tick."""

    def __init__(self, *, past_due: bool = False) -> None:
        self._past_due = past_due

    @property
    def past_due(self) -> bool:
        return self._past_due


class QueueJob(func.QueueMessage):
    """A message of a queue, with how often it was received."""

    def __init__(self, message: QueueMessage) -> None:
        super().__init__(id=message.id, body=message.text)
        self._count = message.dequeue_count

    @property
    def dequeue_count(self) -> int:
        return self._count


@cache
def routes() -> tuple[Route, ...]:
    """Every HTTP function."""
    return tuple(_route(function) for function in _functions() if function.is_http)


def _route(function: IndexedFunction) -> Route:
    outputs = [binding.name for binding in function.bindings if binding.type == "queue"]
    methods = frozenset(str(method) for method in function.trigger.raw["methods"])
    return Route(
        function.name, function.trigger.text("route"), methods, function.call, outputs[0] if outputs else None
    )


def find_route(method: str, path: str) -> tuple[Route, dict[str, str]]:
    """The function that the host would call."""
    for route in routes():
        found = route.match(path)
        if found is not None and method in route.methods:
            return route, found
    raise LookupError(f"{method} {path}")


@cache
def workers() -> dict[str, Callable[..., Awaitable[None]]]:
    """Queue functions by queue."""
    return {
        function.trigger.text("queueName"): function.call for function in _functions() if function.is_queue
    }


@cache
def timers() -> dict[str, Callable[..., Awaitable[None]]]:
    """Timer functions by name."""
    return {function.name: function.call for function in _functions() if function.is_timer}


def _functions() -> list[IndexedFunction]:
    """Found by the development host, since an app may be asked for its functions once only."""
    return index_app(function_app.app)
