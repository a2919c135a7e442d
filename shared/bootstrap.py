"""Build everything once: the only place that sees adapters and use cases together.

Nothing is built at import and nothing here does I/O; clients connect at their first call. `replace_parts` lets the
development host hand in the world's clock before the first invocation; `replaced` is for tests.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from shared.services import Services
from shared.settings import Settings
from shared.storage.stores import Stores
from shared.telemetry import Counters, set_up_logging

if TYPE_CHECKING:
    import httpx

    from shared.ports import Chance, Clock


class SystemClock:
    """The real time."""

    def now(self) -> datetime:
        """Aware UTC."""
        return datetime.now(UTC)


class SystemChance:
    """The operating system's randomness."""

    def token(self, size_bytes: int = 32) -> str:
        """base64url without padding."""
        return urlsafe_b64encode(secrets.token_bytes(size_bytes)).rstrip(b"=").decode()

    def data(self, size_bytes: int) -> bytes:
        """Unguessable bytes."""
        return secrets.token_bytes(size_bytes)

    def fraction(self) -> float:
        """A number in [0, 1)."""
        return secrets.randbelow(1 << 53) / (1 << 53)


@dataclass(slots=True)
class Parts:
    """What may be handed in instead of the real thing."""

    clock: Clock = field(default_factory=SystemClock)
    chance: Chance = field(default_factory=SystemChance)
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    stores: Stores | None = None
    http: httpx.AsyncBaseTransport | None = None
    counters: Counters = field(default_factory=Counters)
    wrap: Callable[[Services], Services] | None = None


_parts = Parts()
_built: list[Services] = []


def replace_parts(**parts: Any) -> None:
    """Hand in parts before the first invocation. Raises RuntimeError when it is too late."""
    if _built:
        msg = "the services are built already"
        raise RuntimeError(msg)
    for name, value in parts.items():
        setattr(_parts, name, value)


def services() -> Services:
    """The services of this process, built at the first call."""
    if not _built:
        settings = Settings.load(os.environ)
        set_up_logging(settings)
        _built.append(build(settings, _parts))
    return _built[0]


@contextmanager
def replaced(instead: Services) -> Iterator[Services]:
    """For tests: these services instead, until the block ends."""
    kept = _built[:]
    _built[:] = [instead]
    try:
        yield instead
    finally:
        _built[:] = kept
