"""What the CRM is told of connections and threads: how they stand now (types and messages: `announce`)."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec

from shared.domain.connection_status import find_trouble, told_status
from shared.domain.model import Connection, ConnectionStatus, Event, Mailbox, Thread
from shared.domain.reasons import trouble_text
from shared.mailbox_context import MailboxContext
from shared.sync.events.announce import (
    CONNECTION_TYPES,
    RECOVERED,
    THREAD_RESUMED,
    THREAD_STOPPED,
    UPDATED,
)
from shared.sync.events.rendering import iso_time, small_event

TROUBLED: Final = (ConnectionStatus.RECONNECT_REQUIRED, ConnectionStatus.DEGRADED)


def connection_event(
    ctx: MailboxContext, connection: Connection, mailbox: Mailbox, *, recovered: bool = False
) -> Event:
    """The connection's status is now what this mailbox row says; `recovered`: it was degraded until now."""
    status = told_status(connection, mailbox)
    data = {
        "user_id": connection.user.user_id,
        "status": status.value,
        "reason": trouble_data(mailbox, ctx.now()) if status in TROUBLED else None,
        "mailbox": {"id": ctx.ref.mailbox_id, "address": mailbox.address},
    }
    subject = f"{connection.connection_id}|{status.value}|{iso_time(ctx.now())}"
    event_type = RECOVERED if recovered and status is ConnectionStatus.CONNECTED else CONNECTION_TYPES[status]
    return small_event(ctx, event_type, subject, None, data)


def trouble_data(mailbox: Mailbox, now: datetime) -> dict[str, str] | None:
    """Why a connection is not simply connected, as events and the API tell it."""
    trouble = find_trouble(mailbox, now)
    return {"code": trouble.value, "detail": trouble_text(trouble)} if trouble is not None else None


def updated_event(ctx: MailboxContext, connection: Connection, mailbox: Mailbox, former: Connection) -> Event:
    """Another mailbox has taken the place of the user's former one (R6)."""
    data = {
        "user_id": connection.user.user_id,
        "status": told_status(connection, mailbox).value,
        "reason": None,
        "mailbox": {"id": ctx.ref.mailbox_id, "address": mailbox.address},
        "previous_mailbox": {"id": former.mailbox_id, "address": former.address},
    }
    subject = f"{connection.connection_id}|updated|{iso_time(ctx.now())}"
    return small_event(ctx, UPDATED, subject, None, data)


def stopped_event(ctx: MailboxContext, mailbox: Mailbox, thread: Thread) -> Event:
    """A thread was stopped (R12)."""
    by = thread.stopped_by.value if thread.stopped_by else None
    more = {"stopped_at": iso_time(thread.stopped_at), "stopped_by": by}
    return _thread_event(ctx, THREAD_STOPPED, mailbox, thread, more)


def resumed_event(ctx: MailboxContext, mailbox: Mailbox, thread: Thread) -> Event:
    """A stopped thread goes on (R12)."""
    return _thread_event(ctx, THREAD_RESUMED, mailbox, thread, {"resumed_at": iso_time(thread.active_from)})


def _thread_event(
    ctx: MailboxContext, event_type: str, mailbox: Mailbox, thread: Thread, more: dict[str, Any]
) -> Event:
    data = {
        "thread_id": thread.thread_id,
        "crm_thread_id": thread.crm_thread_id,
        "user_id": mailbox.user_id,
        "mailbox": {"id": ctx.ref.mailbox_id, "address": mailbox.address},
        "crm_context": msgspec.json.decode(thread.crm_context),
        "contact_ids": list(thread.contact_ids),
        **more,
    }
    return small_event(ctx, event_type, f"{thread.thread_id}|{iso_time(ctx.now())}", None, data)
