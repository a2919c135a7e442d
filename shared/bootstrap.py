"""Build everything once: the only place that sees adapters and use cases together.

Nothing is built at import and nothing here does I/O; clients connect at their first call. `replace_parts` lets the
development host hand in the world's clock before the first invocation; `replaced` is for tests.
"""

from __future__ import annotations

import asyncio
import builtins
import os
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from shared.services import Addresses, Services
from shared.settings import Settings, SettingsError
from shared.state.claims import Claims
from shared.state.connections import Connections
from shared.state.dead_letters import DeadLetters
from shared.state.due import DueIndex
from shared.state.ledger import Ledger
from shared.state.sessions import Sessions
from shared.state.subscription_trail import SubscriptionTrail
from shared.state.tenants import Tenants
from shared.storage.stores import Stores, open_stores
from shared.telemetry import Counters, set_up_logging

if TYPE_CHECKING:
    import httpx

    from shared.graph.auth import EntraSignIn
    from shared.ports import Clock, Random
    from shared.security.sealing import LocalKeyWrapper
    from shared.transport import Transport


class SystemClock:
    """The real time."""

    def now(self) -> datetime:
        """Aware UTC."""
        return datetime.now(UTC)


class SystemRandom:
    """The operating system's randomness."""

    def token(self, size_bytes: int = 32) -> str:
        """base64url without padding."""
        return urlsafe_b64encode(secrets.token_bytes(size_bytes)).rstrip(b"=").decode()

    def bytes(self, size_bytes: int) -> builtins.bytes:
        """Unguessable bytes."""
        return secrets.token_bytes(size_bytes)

    def jitter(self) -> float:
        """A number in [0, 1)."""
        return secrets.randbelow(1 << 53) / (1 << 53)


@dataclass(slots=True)
class Parts:
    """What may be handed in instead of the real thing."""

    clock: Clock = field(default_factory=SystemClock)
    random: Random = field(default_factory=SystemRandom)
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    stores: Stores | None = None
    http: httpx.AsyncBaseTransport | None = None
    counters: Counters = field(default_factory=Counters)
    wrap: Callable[[Services], Services] | None = None


def build(settings: Settings, parts: Parts | None = None) -> Services:
    """Everything, wired. Nothing is connected yet.

    The adapters are imported here: a cold start should not pay for them before the first call needs them.
    """
    from shared.crm.generic import GenericCrm
    from shared.graph.provider import GraphMail
    from shared.security.api_keys import ApiKeyring
    from shared.security.client_state import ClientStateSigner
    from shared.security.fetch import GuardedFetcher
    from shared.security.guard import Guard
    from shared.security.links import LinkSigner
    from shared.security.sealing import EnvelopeSealer
    from shared.transport import Transport

    parts = parts or Parts()
    stores = parts.stores or _stores(settings, parts.counters)
    transport = Transport(ca_file=_ca(settings), inner=parts.http, observe=parts.counters)
    due = DueIndex(stores.tables, parts.clock)
    tenants = Tenants(stores.tables, parts.clock)
    sealer = EnvelopeSealer(_wrapper(settings), tenants, parts.clock, parts.random)
    guard = Guard(settings.local_origins, _own_hosts(settings))
    built = Services(
        addresses=Addresses(settings.public_base_url, settings.graph_webhook_secret.reveal()),
        clock=parts.clock,
        random=parts.random,
        sleep=parts.sleep,
        tables=stores.tables,
        blobs=stores.blobs,
        queues=stores.queues,
        ledger=Ledger(stores.tables, due, parts.random),
        connections=Connections(stores.tables, sealer, parts.clock),
        claims=Claims(stores.tables),
        sessions=Sessions(stores.tables, parts.clock),
        tenants=tenants,
        due=due,
        dead_letters=DeadLetters(stores.tables),
        subscription_trail=SubscriptionTrail(stores.tables),
        sealer=sealer,
        mail=GraphMail(transport, settings.graph_base_url),
        sign_in=_sign_in(settings, transport, parts.clock),
        crm=GenericCrm(transport, guard),
        fetcher=GuardedFetcher(transport, guard),
        client_states=ClientStateSigner([key.reveal() for key in settings.client_state_keys]),
        file_links=LinkSigner([key.reveal() for key in settings.link_signing_keys]),
        api_keys=ApiKeyring(settings.api_key_pepper.reveal()),
    )
    return parts.wrap(built) if parts.wrap else built


def _stores(settings: Settings, observe: Counters) -> Stores:
    if settings.data_storage is not None:
        return open_stores(connection_string=settings.data_storage.reveal(), observe=observe)
    return open_stores(
        table_uri=settings.data_table_uri,
        queue_uri=settings.data_queue_uri,
        blob_uri=settings.data_blob_uri,
        client_id=settings.azure_client_id,
        observe=observe,
    )


def _ca(settings: Settings) -> str | None:
    return str(settings.trusted_ca_file) if settings.trusted_ca_file else None


def _wrapper(settings: Settings) -> LocalKeyWrapper:
    """The key-encryption key. Key Vault comes with deployment; until then PROFILE=azure cannot seal, and says so."""
    from shared.security.sealing import LocalKeyWrapper

    if settings.sealing_key_file is None:
        raise SettingsError(
            "SEALING_KEY_FILE: the only key-encryption key there is so far, and it is for PROFILE=local"
        )
    return LocalKeyWrapper(settings.sealing_key_file)


def _own_hosts(settings: Settings) -> list[str]:
    addresses = (
        settings.public_base_url,
        settings.data_table_uri,
        settings.data_queue_uri,
        settings.data_blob_uri,
    )
    return [host for address in addresses if address and (host := urlsplit(address).hostname)]


def _sign_in(settings: Settings, transport: Transport, clock: Clock) -> EntraSignIn:
    from shared.graph.auth import EntraSignIn

    secret = settings.entra_client_secret
    return EntraSignIn(
        transport,
        client_id=settings.entra_client_id,
        client_credential=secret.reveal() if secret else None,
        authority=settings.entra_authority,
        redirect_uri=f"{settings.public_base_url}/api/oauth/callback",
        consent_uri=f"{settings.public_base_url}/api/oauth/admin-consent",
        instance_discovery=not settings.local,
        clock=clock,
    )


_parts = Parts()
_built: list[Services] = []


def replace_parts(**parts: Any) -> None:
    """Hand in parts before the first invocation. Raises RuntimeError when it is too late."""
    if _built:
        msg = "the services are built already"
        raise RuntimeError(msg)
    known = {part.name for part in fields(Parts)}
    for name, value in parts.items():
        if name not in known:
            msg = f"there is no part {name}"
            raise TypeError(msg)
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
