"""Everything a use case may reach, in one frozen value; built only by `shared.bootstrap`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from shared.endpoint_watch import EndpointWatch
from shared.graph_clock import GraphClock
from shared.ports import (
    ApiKeys,
    ClientStates,
    Clock,
    Crm,
    Fetcher,
    FileLinks,
    MailProvider,
    Random,
    Sealer,
    SignIn,
)
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
from shared.storage.api import BlobStore, QueueStore, TableStore
from shared.turns import Turns


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where this deployment is reached. `public_base_url` has no trailing slash; routes live under its /api."""

    public_base_url: str
    webhook_secret: str = field(repr=False)

    @property
    def api(self) -> str:
        """Base of every route."""
        return f"{self.public_base_url}/api"

    @property
    def notifications(self) -> str:
        """Graph's change notifications (G-2: the path carries a secret)."""
        return f"{self.api}/graph/notifications/{self.webhook_secret}"

    @property
    def lifecycle(self) -> str:
        """Graph's lifecycle notifications."""
        return f"{self.api}/graph/lifecycle/{self.webhook_secret}"


@dataclass(frozen=True, slots=True)
class Services:
    """Ports and repositories."""

    addresses: Addresses
    clock: Clock
    random: Random
    sleep: Callable[[float], Awaitable[None]]
    tables: TableStore
    blobs: BlobStore
    queues: QueueStore
    ledger: Ledger
    connections: Connections
    claims: Claims
    sessions: Sessions
    tenants: Tenants
    due: DueIndex
    chores: Chores
    catch_ups: CatchUps
    dead_letters: DeadLetters
    subscription_trail: SubscriptionTrail
    sealer: Sealer
    mail: MailProvider
    sign_in: SignIn
    crm: Crm
    fetcher: Fetcher
    client_states: ClientStates
    file_links: FileLinks
    api_keys: ApiKeys
    turns: Turns
    graph_clock: GraphClock
    endpoints: EndpointWatch
