"""The settings of a simulator."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

# The tenant of all work accounts; any GUID would do.
HOME_TENANT_ID = "5f0c3a52-7d4e-4f0b-9a51-2f3c1f0a7e11"
# The tenant of all personal accounts at Microsoft (Microsoft identity platform, "ID token claims reference").
PERSONAL_TENANT_ID = "9188040d-6c67-4c5b-b112-36a304b66dad"


class Clock(Protocol):
    """The source of the time."""

    def now(self) -> datetime:
        """The present time, aware UTC."""
        ...


@dataclass(frozen=True, slots=True)
class FederatedCredential:
    """Whose tokens may stand for an application; all three are compared exactly."""

    issuer: str
    subject: str
    audience: str = "api://AzureADTokenExchange"


@dataclass(frozen=True, slots=True)
class Application:
    """An app registration in Entra; `redirect_uris` are compared exactly.

    It proves itself by a secret, by one of its certificates (PEM) or by a federated credential, whichever it has.
    """

    client_id: str
    client_secret: str | None
    redirect_uris: tuple[str, ...]
    display_name: str = "Registered application"
    certificates: tuple[str, ...] = ()
    federated: tuple[FederatedCredential, ...] = ()


@dataclass(frozen=True, slots=True)
class SimulatorConfig:
    """`seed` determines all ids and random choices; `knobs` overrides the defaults in knob_tables.

    With `concurrent`, notifications are posted concurrently, as a server needs; without it one after the other, so
    that a run under a virtual clock can be repeated exactly.
    """

    seed: int = 1
    public_http_url: str = "http://localhost:7444"
    public_https_url: str = "https://localhost:7443"
    entra_url: str | None = None
    """Where Entra is; None: at `public_https_url`, as Graph is."""
    uploads_url: str | None = None
    """Where upload sessions are; None: at `public_https_url`."""
    allow_http_loopback: bool = True
    concurrent: bool = False
    applications: tuple[Application, ...] = ()
    knobs: Mapping[str, str | float | bool] = field(default_factory=dict)

    @property
    def entra(self) -> str:
        """The address of Entra."""
        return self.entra_url or self.public_https_url

    @property
    def uploads(self) -> str:
        """The address of upload sessions."""
        return self.uploads_url or self.public_https_url
