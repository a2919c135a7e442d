"""What the host hands to a bootstrap hook before it imports the app."""

from __future__ import annotations

import importlib
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """The one thing the host asks of time."""

    def now(self) -> datetime:
        """The present, aware UTC."""
        ...


class RealClock:
    """The computer's own time."""

    def now(self) -> datetime:
        """The present, aware UTC."""
        return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class HostContext:
    """The process the hook runs in: its clock, its group (`http`, a function's name, or `all-in-one`), its settings."""

    clock: Clock
    group: str
    environ: MutableMapping[str, str]


class BadHook(ValueError):
    """`--bootstrap` names nothing that can be called."""


def run_hooks(names: Sequence[str], context: HostContext) -> None:
    """Call each `package.module:function` in turn with the context."""
    for name in names:
        _load(name)(context)


def _load(name: str) -> Callable[[HostContext], object]:
    module, colon, attribute = name.partition(":")
    if not colon:
        raise BadHook(f"a hook is written package.module:function, not {name!r}")
    hook = getattr(importlib.import_module(module), attribute, None)
    if not callable(hook):
        raise BadHook(f"{name!r} is not a function")
    return hook  # type: ignore[no-any-return]  # whatever the hook returns is ignored
