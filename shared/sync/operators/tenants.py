"""The CRM accounts of an installation, as operators see them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from shared.domain.model import Tenant
from shared.domain.silence import is_endpoint_silent
from shared.services import Services
from shared.sync.operators.times import to_the_second


async def describe_tenants(s: Services) -> list[dict[str, Any]]:
    """All tenants by id, with how many mailboxes each has had and how its endpoint stands; for commands."""
    return [
        {
            "tenant_id": tenant.tenant_id,
            "mailboxes": len(await s.tenants.mailboxes(tenant.tenant_id)),
            "endpoint": _endpoint(tenant, s.clock.now()),
            "webhook_url": tenant.webhook_url,
            "name": tenant.name,
        }
        async for tenant in s.tenants.all()
    ]


def _endpoint(tenant: Tenant, now: datetime) -> str:
    if tenant.endpoint_off_at is not None:
        return f"off since {to_the_second(tenant.endpoint_off_at)}"
    if tenant.endpoint_silent_since is not None and is_endpoint_silent(tenant, now):
        return f"takes nothing since {to_the_second(tenant.endpoint_silent_since)}"
    return "open"
