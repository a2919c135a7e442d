"""The status of a user's connection, true at the time of asking."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from shared.domain.connection import is_open_for
from shared.domain.connection_status import current_status
from shared.domain.errors import NotFound
from shared.domain.ids import is_tenant_id
from shared.domain.model import Connection, ConnectionStatus, Mailbox
from shared.domain.sign_ins import present_outcome
from shared.services import Services
from shared.state.connections import mailbox_ref
from shared.sync.events.announce_standing import TROUBLED, trouble_data


async def show_connection(s: Services, tenant_id: str, user_id: str) -> dict[str, Any]:
    """Status and mailbox, as the mailbox's rows have them, and what became of the newest sign-in.

    Who never connected is `not_connected`, known or not.
    """
    stored = await s.connections.current(tenant_id, user_id)
    read = await s.ledger.mailbox(mailbox_ref(tenant_id, stored.value)) if stored else None
    mailbox, now = read.value if read else None, s.clock.now()
    status = current_status(stored.value if stored else None, mailbox, now)
    shown: dict[str, Any] = {
        "user_id": user_id,
        "status": status.value,
        "reason": trouble_data(mailbox, now) if mailbox is not None and status in TROUBLED else None,
        "mailbox": None,
        "connected_at": None,
        "last_synced_at": None,
        "completeness": None,
        "sign_in": await show_sign_in(s, tenant_id, user_id),
    }
    if stored is None or status is ConnectionStatus.NOT_CONNECTED:
        return shown
    return {
        **shown,
        "mailbox": {"id": stored.value.mailbox_id, "address": stored.value.address},
        "connected_at": stored.value.connected_at,
        "last_synced_at": _last_synced(stored.value, mailbox),
        "completeness": _completeness(stored.value, mailbox),
    }


def _last_synced(connection: Connection, mailbox: Mailbox | None) -> datetime | None:
    """When mail last synced; unknown once the mailbox is another connection's, who may be another user's."""
    is_its_own = mailbox is not None and mailbox.connection_id == connection.connection_id
    return mailbox.last_thread_activity_at if mailbox is not None and is_its_own else None


def _completeness(connection: Connection, mailbox: Mailbox | None) -> dict[str, Any] | None:
    """What the last audit counted of this connection's threads; None before the first."""
    audit = mailbox.audited if mailbox is not None and is_open_for(mailbox, connection) else None
    if audit is None or audit.generation != connection.generation:
        return None
    return {
        "audited_at": audit.ended_at,
        "threads": audit.threads,
        "in_mailbox": audit.in_mailbox,
        "told": audit.told,
        "synced": audit.told - audit.not_synced,
        "not_synced": audit.not_synced,
        "missing": audit.missing,
        "found_late": audit.found_late,
    }


async def show_sign_in(s: Services, tenant_id: str, user_id: str) -> dict[str, Any] | None:
    """The user's newest sign-in: how far it has come, or how it ended; None when there was none lately."""
    attempt = await s.sessions.attempt(tenant_id, user_id)
    if attempt is None:
        return None
    outcome = present_outcome(attempt.outcome, attempt.at, s.clock.now())
    return {"outcome": outcome.value, "at": attempt.at}


async def find_frame_origins(s: Services, tenant_id: str | None) -> tuple[str, ...]:
    """The origins that may frame the settings page for this tenant (W-4); none without a tenant."""
    if tenant_id is None or not is_tenant_id(tenant_id):
        return ()
    try:
        return (await s.tenants.get(tenant_id)).value.frame_origins
    except NotFound:
        return ()
