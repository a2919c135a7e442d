"""The app with two tenants, over fresh in-memory stores."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.functions.app import App
from tests.functions.world import open_app


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[App]:
    async with open_app(tmp_path) as opened:
        yield opened


@pytest.fixture
async def ready(app: App) -> App:
    """The app with Ann's mailbox connected."""
    await app.connect()
    return app


@pytest.fixture
async def begun(ready: App) -> App:
    """The app with Ann's mailbox connected, and a thread with Bea begun from the CRM."""
    await ready.sent()
    return ready
