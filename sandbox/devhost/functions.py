"""What indexing an app finds: functions, their triggers and the types of their parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ParamType:
    """Which converter serves a parameter (`generic` for plain str and bytes) and what it is annotated with."""

    binding: str
    annotation: Any = None


@dataclass(frozen=True, slots=True)
class Binding:
    """One binding as the host sees it: the decorator's metadata."""

    type: str
    name: str
    is_output: bool
    raw: Mapping[str, Any]

    def text(self, key: str, default: str = "") -> str:
        """A text property of the metadata."""
        return str(self.raw.get(key, default))


@dataclass(frozen=True, slots=True)
class IndexedFunction:
    """One function, checked and ready to be called."""

    name: str
    call: Callable[..., Any]
    is_async: bool
    directory: str
    bindings: tuple[Binding, ...]
    inputs: Mapping[str, ParamType]
    outputs: Mapping[str, ParamType]
    returns: ParamType | None
    wants_context: bool

    @property
    def trigger(self) -> Binding:
        """The one binding that starts the function."""
        return next(one for one in self.bindings if one.type.lower().endswith("trigger"))

    def output(self, name: str) -> Binding:
        """The output binding of that name."""
        return next(one for one in self.bindings if one.is_output and one.name == name)

    @property
    def is_http(self) -> bool:
        """Whether a request starts it."""
        return self.trigger.type == "httpTrigger"

    @property
    def is_queue(self) -> bool:
        """Whether a queue message starts it."""
        return self.trigger.type == "queueTrigger"

    @property
    def is_timer(self) -> bool:
        """Whether the time starts it."""
        return self.trigger.type == "timerTrigger"
