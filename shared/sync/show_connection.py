"""The status of a user's connection, true at the time of asking."""

from __future__ import annotations

import re
from typing import Any, Final

from shared.domain.errors import NotFound
from shared.domain.model import ConnectionStatus
from shared.services import Services
from shared.state.connections import mailbox_ref

TENANT_ID: Final = re.compile(r"ten_[a-z0-9]{1,60}")


async def show_connection(s: Services, tenant_id: str, user_id: str) -> dict[str, Any]:
    """Status and mailbox. A user who never connected is `not_connected`, known or not."""
    stored = await s.connections.current(tenant_id, user_id)
    if stored is None:
        return {"user_id": user_id, "status": "not_connected", "mailbox": None, "connected_at": None}
    connection = stored.value
    gate = await s.ledger.gate(mailbox_ref(tenant_id, connection))
    status = connection.status
    if status is ConnectionStatus.CONNECTED and gate is not None and gate.value.degraded:
        status = ConnectionStatus.DEGRADED
    return {
        "user_id": user_id,
        "status": status.value,
        "mailbox": {"id": connection.mailbox_id, "address": connection.address},
        "connected_at": connection.connected_at,
    }


async def frame_origins(s: Services, tenant_id: str | None) -> tuple[str, ...]:
    """The origins that may frame the settings page for this tenant (W-4); none without a tenant."""
    if tenant_id is None or TENANT_ID.fullmatch(tenant_id) is None:
        return ()
    try:
        return (await s.tenants.get(tenant_id)).value.frame_origins
    except NotFound:
        return ()
