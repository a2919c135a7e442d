"""The functions that indexing an app finds, their triggers and the types of their parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ParamType:
    """The binding type whose converter serves a parameter (`generic` for plain str and bytes), and its annotation."""

    binding: str
    annotation: Any = None


@dataclass(frozen=True, slots=True)
class Binding:
    """One binding; `raw` is the metadata that its decorator made."""

    type: str
    name: str
    is_output: bool
    raw: Mapping[str, Any]

    def text(self, key: str, default: str = "") -> str:
        """A property of the metadata, as text."""
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
        """The binding that starts the function."""
        return next(binding for binding in self.bindings if binding.type.lower().endswith("trigger"))

    def output(self, name: str) -> Binding:
        """The output binding of that name."""
        return next(binding for binding in self.bindings if binding.is_output and binding.name == name)

    @property
    def is_http(self) -> bool:
        """Whether it has an HTTP trigger."""
        return self.trigger.type == "httpTrigger"

    @property
    def is_queue(self) -> bool:
        """Whether it has a queue trigger."""
        return self.trigger.type == "queueTrigger"

    @property
    def is_timer(self) -> bool:
        """Whether it has a timer trigger."""
        return self.trigger.type == "timerTrigger"
