"""Tables in memory and on Azurite."""

from __future__ import annotations

import pytest

from shared.storage.api import TableStore
from shared.storage.stores import open_stores
from shared.storage.testing import MemoryTables
from tests.contract.storage.table_cases import TableStoreCases


class TestMemoryTables(TableStoreCases):
    """The in-memory store."""

    @pytest.fixture
    def opened(self) -> TableStore:
        return MemoryTables()


@pytest.mark.azurite
class TestAzuriteTables(TableStoreCases):
    """The real client."""

    @pytest.fixture
    def opened(self, azurite: str) -> TableStore:
        return open_stores(connection_string=azurite).tables
