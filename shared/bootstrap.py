"""Build everything once: the only place that sees adapters and use cases together.

Nothing is built at import and nothing here does I/O; clients connect at their first call. `replace_parts` lets the
development host hand in the world's clock, names and certificates before the first invocation; `replaced` is for tests.
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

from shared.domain.errors import Misconfigured
from shared.endpoint_watch import EndpointWatch
from shared.graph_clock import GraphClock
from shared.services import Addresses, Services
from shared.settings import LOCAL, Settings, SettingsError
from shared.state.catch_ups import CatchUps
from shared.state.chores import Chores
from shared.state.claims import Claims
from shared.state.connections import Connections
from shared.state.dead_letters import DeadLetters
from shared.state.due import DueIndex
from shared.state.ledger import Ledger
from shared.state.sessions import Sessions
from shared.state.subscription_trail import SubscriptionTrail
from shared.state.tenants import Tenants
from shared.storage.stores import Stores, open_stores
from shared.telemetry import Counters, log, set_up_logging
from shared.turns import Turns

if TYPE_CHECKING:
    import httpx

    from shared.graph.auth import Credential, EntraSignIn
    from shared.identity import Identity
    from shared.ports import Clock, Random
    from shared.security.guard import Resolve
    from shared.security.sealing import KeyWrapper
    from shared.transport import Dial, Transport


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
    """What may be handed in instead of the real thing.

    `ca_file` is trusted instead of the system's certificate authorities, `dial` says where a name is really connected
    to, `resolve` which addresses the guard sees behind it, `instance_discovery` whether MSAL asks Microsoft about the
    authority (None: not with PROFILE=local), `identity` who the app is at Azure.
    """

    clock: Clock = field(default_factory=SystemClock)
    random: Random = field(default_factory=SystemRandom)
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    stores: Stores | None = None
    turns: Turns = field(default_factory=Turns)
    http: httpx.AsyncBaseTransport | None = None
    ca_file: str | None = None
    dial: Dial | None = None
    resolve: Resolve | None = None
    instance_discovery: bool | None = None
    identity: Identity | None = None
    counters: Counters = field(default_factory=Counters)
    wrap: Callable[[Services], Services] | None = None


def build(settings: Settings, parts: Parts | None = None) -> Services:
    """Everything, wired. Nothing is connected yet. Raises SettingsError for a certificate that cannot be read.

    The adapters are imported here: a cold start should not pay for them before the first call needs them.
    """
    from shared.crm.generic import GenericCrm
    from shared.graph.provider import GraphMail
    from shared.identity import managed_identity
    from shared.security.api_keys import ApiKeyring
    from shared.security.client_state import ClientStateSigner
    from shared.security.fetch import GuardedFetcher
    from shared.security.guard import Guard, system_resolve
    from shared.security.links import LinkSigner
    from shared.security.sealing import EnvelopeSealer
    from shared.transport import Transport

    parts = parts or Parts()
    identity = parts.identity or managed_identity(settings.azure_client_id)
    ca_file = parts.ca_file or (str(settings.trusted_ca_file) if settings.trusted_ca_file else None)
    stores = parts.stores or _stores(settings, parts, identity)
    transport = Transport(ca_file=ca_file, inner=parts.http, dial=parts.dial, observe=parts.counters)
    due = DueIndex(stores.tables, parts.clock)
    graph_clock = GraphClock(parts.clock)
    tenants = Tenants(stores.tables, parts.clock)
    sealer = EnvelopeSealer(_key_wrapper(settings, parts, identity), tenants, parts.clock, parts.random)
    guard = Guard(settings.local_origins, _own_hosts(settings), parts.resolve or system_resolve)
    addresses = Addresses(settings.public_base_url, settings.graph_webhook_secret.reveal())
    built = Services(
        addresses=addresses,
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
        chores=Chores(stores.tables, parts.clock),
        catch_ups=CatchUps(stores.tables, parts.clock),
        dead_letters=DeadLetters(stores.tables, sealer),
        subscription_trail=SubscriptionTrail(stores.tables),
        sealer=sealer,
        mail=GraphMail(
            transport, settings.graph_base_url, f"{addresses.api}/health/live", told_time=graph_clock.note
        ),
        sign_in=_sign_in(settings, parts, transport, identity),
        crm=GenericCrm(transport, guard),
        fetcher=GuardedFetcher(transport, guard),
        client_states=ClientStateSigner([key.reveal() for key in settings.client_state_keys]),
        file_links=LinkSigner([key.reveal() for key in settings.link_signing_keys]),
        api_keys=ApiKeyring(settings.api_key_pepper.reveal()),
        turns=parts.turns,
        graph_clock=graph_clock,
        endpoints=EndpointWatch(),
    )
    return parts.wrap(built) if parts.wrap else built


def _stores(settings: Settings, parts: Parts, identity: Identity) -> Stores:
    if settings.data_storage is not None:
        return open_stores(connection_string=settings.data_storage.reveal(), observe=parts.counters)
    return open_stores(
        table_uri=settings.data_table_uri,
        queue_uri=settings.data_queue_uri,
        blob_uri=settings.data_blob_uri,
        credential=identity,
        observe=parts.counters,
        ca_file=parts.ca_file,
        dial=parts.dial,
    )


def _key_wrapper(settings: Settings, parts: Parts, identity: Identity) -> KeyWrapper:
    """The key-encryption key: a file on somebody's own machine (K-5), else Key Vault."""
    if settings.sealing_key_file is not None:
        from shared.security.sealing import LocalKeyWrapper

        return LocalKeyWrapper(settings.sealing_key_file)
    from shared.security.key_vault import VaultKeyWrapper

    def options() -> dict[str, Any]:
        from shared.azure_http import NO_RETRIES, AzureTransport

        return {"transport": AzureTransport(parts.ca_file, parts.dial), **NO_RETRIES}

    return VaultKeyWrapper(settings.key_encryption_key or "", identity, parts.counters, options)


def _own_hosts(settings: Settings) -> list[str]:
    addresses = (
        settings.public_base_url,
        settings.data_table_uri,
        settings.data_queue_uri,
        settings.data_blob_uri,
        settings.key_encryption_key,
    )
    return [host for address in addresses if address and (host := urlsplit(address).hostname)]


def _sign_in(settings: Settings, parts: Parts, transport: Transport, identity: Identity) -> EntraSignIn:
    from shared.graph.auth import EntraSignIn

    discovery = parts.instance_discovery
    return EntraSignIn(
        transport,
        client_id=settings.entra_client_id,
        client_credential=_client_credential(settings, identity),
        authority=settings.entra_authority,
        redirect_uri=f"{settings.public_base_url}/api/oauth/callback",
        consent_uri=f"{settings.public_base_url}/api/oauth/admin-consent",
        instance_discovery=not settings.local if discovery is None else discovery,
        clock=parts.clock,
    )


def _client_credential(settings: Settings, identity: Identity) -> Credential:
    """A secret on somebody's own machine; else a certificate where there is one, else the identity's word (K-6)."""
    if settings.local:
        return settings.entra_client_secret.reveal() if settings.entra_client_secret else None
    if settings.entra_client_certificate is None:
        return identity.assertion
    from shared.security.certificates import read_certificate

    try:
        return read_certificate(settings.entra_client_certificate.reveal())
    except ValueError as err:
        raise SettingsError([f"ENTRA_CLIENT_CERTIFICATE: {err}"]) from None


_parts = Parts()
_built: list[Services] = []
_told: list[tuple[str, ...]] = []


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


def handed_in() -> Parts:
    """The parts that were handed in, for a command that builds its own services."""
    return _parts


def services() -> Services:
    """The services of this process, built at the first call.

    Raises Misconfigured when a setting is missing or wrong; the log names all of them, once.
    """
    if not _built:
        set_up_logging(local=os.environ.get("PROFILE") == LOCAL)
        try:
            _built.append(build(Settings.load(os.environ), _parts))
        except SettingsError as err:
            if err.faults not in _told:
                log.error("misconfigured", faults="; ".join(err.faults))
                _told.append(err.faults)
            raise Misconfigured(faults=err.faults) from None
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
