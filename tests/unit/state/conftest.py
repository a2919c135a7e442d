"""The repositories over fresh in-memory stores."""

from __future__ import annotations

import pytest

from shared.state.claims import Claims
from shared.state.connections import Connections
from shared.state.due import DueIndex
from shared.state.ledger import Ledger
from shared.state.sessions import Sessions
from shared.state.tenants import Tenants
from shared.storage.testing import MemoryTables
from tests.builders import NamedSealer, SeededRandom, StillClock, ready_tables


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
async def tables() -> MemoryTables:
    return await ready_tables()


@pytest.fixture
def due(tables: MemoryTables, clock: StillClock) -> DueIndex:
    return DueIndex(tables, clock)


@pytest.fixture
def ledger(tables: MemoryTables, due: DueIndex) -> Ledger:
    return Ledger(tables, due, SeededRandom())


@pytest.fixture
def connections(tables: MemoryTables, clock: StillClock) -> Connections:
    return Connections(tables, NamedSealer(), clock)


@pytest.fixture
def claims(tables: MemoryTables) -> Claims:
    return Claims(tables)


@pytest.fixture
def sessions(tables: MemoryTables, clock: StillClock) -> Sessions:
    return Sessions(tables, clock)


@pytest.fixture
def tenants(tables: MemoryTables, clock: StillClock) -> Tenants:
    return Tenants(tables, clock)
