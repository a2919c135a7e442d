"""What the host passes to a bootstrap hook before it imports the app."""

from __future__ import annotations

import importlib
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sandbox.names import Names


class Clock(Protocol):
    """The source of the time."""

    def now(self) -> datetime:
        """The present time, aware UTC."""
        ...


class RealClock:
    """The time of this machine."""

    def now(self) -> datetime:
        """The present time, aware UTC."""
        return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class HostContext:
    """The process that the hook runs in: its clock, its settings, its group, and the names of its world if it has some.

    The group is `http`, the name of a function, or `all-in-one`.
    """

    clock: Clock
    group: str
    environ: MutableMapping[str, str]
    names: Names | None = None


class BadHook(ValueError):
    """A `--bootstrap` argument does not name a function."""


def run_hooks(names: Sequence[str], context: HostContext) -> None:
    """Call each `package.module:function` in turn with the context; raises BadHook."""
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
