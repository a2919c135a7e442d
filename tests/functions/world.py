"""The app with two tenants over fresh stores in memory, for tests and for scripts that measure."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from shared import bootstrap
from shared.ops import create_storage, create_tenant
from shared.security.api_keys import SCOPES, ApiKeyring
from shared.services import Services
from shared.settings import Settings
from shared.state import keys
from shared.state.codec import Stored, encode
from shared.state.tenants import KEYS_PARTITION
from shared.storage.stores import Stores
from shared.storage.testing import MemoryBlobs, MemoryQueues, MemoryTables
from tests.builders import SeededRandom, StillClock, TurnsApart
from tests.functions.app import WEBHOOK_SECRET, App
from tests.functions.fake_mail import FakeMail
from tests.functions.fakes import FakeCrm, FakeFetcher, FakeSignIn

OLD_CLIENT_STATE_KEY = "client-state-key-of-before-the-rotation"
PEPPER = "pepper-of-more-than-enough-characters"


def settings(folder: Path) -> Settings:
    """Settings that the product can be built with; the key for sealing lies in that folder."""
    key = folder / "sealing.key"
    key.write_bytes(bytes(range(32)))
    key.chmod(0o600)
    return Settings.load(
        {
            "PROFILE": "local",
            "PUBLIC_BASE_URL": "http://localhost:7071",
            "DataStorage": "unused",
            "ENTRA_CLIENT_ID": "client",
            "ENTRA_CLIENT_SECRET": "secret",
            "ENTRA_AUTHORITY": "https://localhost:7443/common",
            "GRAPH_BASE_URL": "https://localhost:7443/v1.0",
            "SEALING_KEY_FILE": str(key),
            "GRAPH_WEBHOOK_SECRET": WEBHOOK_SECRET,
            "CLIENT_STATE_KEYS": f"client-state-key-of-enough-characters,{OLD_CLIENT_STATE_KEY}",
            "API_KEY_PEPPER": PEPPER,
            "LINK_SIGNING_KEYS": "link-signing-key-of-enough-characters",
        }
    )


async def _no_sleep(_: float) -> None:
    """Nobody waits in a test, but whoever runs at the same time has its turn."""
    await asyncio.sleep(0)


@asynccontextmanager
async def open_app(folder: Path) -> AsyncIterator[App]:
    """The app with two tenants."""
    clock, random = StillClock(), SeededRandom()
    tables, blobs, queues = MemoryTables(), MemoryBlobs(clock), MemoryQueues(clock)
    mail, sign_in, crm, fetcher = FakeMail(clock=clock), FakeSignIn(clock=clock), FakeCrm(), FakeFetcher()

    def wrap(built: Services) -> Services:
        return replace(built, mail=mail, sign_in=sign_in, crm=crm, fetcher=fetcher)

    stores = Stores(tables, blobs, queues)
    parts = bootstrap.Parts(
        clock=clock, random=random, sleep=_no_sleep, stores=stores, wrap=wrap, turns=TurnsApart()
    )
    services = bootstrap.build(settings(folder), parts)
    await create_storage(services)
    keyring = ApiKeyring(PEPPER)

    async def make_key(
        tenant_id: str, scopes: tuple[str, ...] = SCOPES, expires_at: datetime | None = None
    ) -> str:
        key, record = keyring.mint(tenant_id, random, scopes)
        kept = encode(Stored(replace(record, expires_at=expires_at)))
        await tables.insert(keys.TENANTS, KEYS_PARTITION, record.key_id, kept)
        return key

    northwind = await create_tenant(
        services, keyring, "Northwind", "https://crm.example/hooks", ["https://crm.example"]
    )
    contoso = await create_tenant(services, keyring, "Contoso", "https://other.example/hooks", [])
    with bootstrap.replaced(services):
        yield App(
            services, clock, tables, blobs, queues, mail, sign_in, crm, fetcher, northwind, contoso, make_key
        )
