"""Tables in memory and on Azurite."""

from __future__ import annotations

import pytest

from shared.storage.api import TableStore
from shared.storage.memory import MemoryTables
from shared.storage.stores import Address, open_stores
from tests.contract.storage.table_cases import TableStoreCases


class TestMemoryTables(TableStoreCases):
    """The twin."""

    @pytest.fixture
    def opened(self) -> TableStore:
        return MemoryTables()


@pytest.mark.azurite
class TestAzuriteTables(TableStoreCases):
    """The real client."""

    @pytest.fixture
    def opened(self, azurite: str) -> TableStore:
        return open_stores(Address(connection_string=azurite)).tables
