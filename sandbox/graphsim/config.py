"""What a simulator is started with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

# One work tenant for everybody who is not a personal account; any GUID would do.
HOME_TENANT_ID = "5f0c3a52-7d4e-4f0b-9a51-2f3c1f0a7e11"
# The tenant of all personal accounts of the world (Microsoft identity platform, "ID token claims reference").
PERSONAL_TENANT_ID = "9188040d-6c67-4c5b-b112-36a304b66dad"


class Clock(Protocol):
    """Where the simulator gets the time."""

    def now(self) -> datetime:
        """The present time, aware UTC."""
        ...


@dataclass(frozen=True, slots=True)
class Application:
    """One app registration in Entra; `redirect_uris` are compared exactly."""

    client_id: str
    client_secret: str
    redirect_uris: tuple[str, ...]
    display_name: str = "Registered application"


@dataclass(frozen=True, slots=True)
class SimulatorConfig:
    """`seed` decides every id and every chance; `knobs` overrides defaults of knobs.py.

    `concurrent` lets notification deliveries run beside each other as a server needs; without it they run
    one after the other, so that a run under a virtual clock can be repeated exactly.
    """

    seed: int = 1
    public_http_url: str = "http://localhost:7444"
    public_https_url: str = "https://localhost:7443"
    allow_http_loopback: bool = True
    concurrent: bool = False
    applications: tuple[Application, ...] = ()
    knobs: Mapping[str, str | float | bool] = field(default_factory=dict)
