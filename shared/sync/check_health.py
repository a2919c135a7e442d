"""Can this deployment work: one cheap call of each store."""

from __future__ import annotations

from shared.services import Services
from shared.state import keys


async def check_health(s: Services) -> None:
    """Raises StoreUnavailable when a store does not answer."""
    await s.tables.get(keys.TENANTS, "health", "ping")
    await s.blobs.get(keys.STAGING, "health/ping")
    await s.queues.count(keys.CHANGES)
