"""An event as it is kept: rendered once, in its row or, where it is too large for that, in staging (E-19)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from shared.domain import ids
from shared.domain.controls import without_nul
from shared.domain.model import Event
from shared.mailbox_context import MailboxContext
from shared.sync.staging import INLINE_CHARACTERS, stage

FIRST_ATTEMPT_WITHIN: Final = timedelta(seconds=60)


def small_event(
    ctx: MailboxContext, event_type: str, subject: str, message_id: str | None, data: Mapping[str, Any]
) -> Event:
    """The event to record, its body in its row. `subject` and type make its id: the same again is the same event."""
    return _event(ctx, event_type, subject, message_id, _render(event_type, ctx.now(), data), None)


async def stage_event(
    ctx: MailboxContext, event_type: str, message_id: str, data: Mapping[str, Any]
) -> Event:
    """The event to record; a body that does not fit its row lies in staging, so that the row stays small."""
    body = _render(event_type, ctx.now(), data)
    if len(body) <= INLINE_CHARACTERS:
        return _event(ctx, event_type, message_id, message_id, body, None)
    blob = await stage(ctx.services, ctx.ref.tenant_id, message_id, body.encode(), "application/json")
    return _event(ctx, event_type, message_id, message_id, None, blob)


def told_again(ctx: MailboxContext, event: Event, telling: int) -> Event:
    """The event of a message that the CRM is told of for the second time, or a later one: it has an id of its own."""
    subject = event.message_id or ""
    return replace(event, event_id=ids.event_id(ctx.ref.tenant_id, event.type, subject, telling))


def iso_time(at: datetime | None) -> str | None:
    """A time as the events write it, in UTC with a Z."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z") if at else None


def _render(event_type: str, at: datetime, data: Mapping[str, Any]) -> str:
    event = {"type": event_type, "timestamp": iso_time(at), "data": data}
    body = msgspec.json.encode(event).decode()
    # Also where a backslash is meant; then nothing changes.
    return msgspec.json.encode(without_nul(event)).decode() if "\\u0000" in body else body


def _event(
    ctx: MailboxContext,
    event_type: str,
    subject: str,
    message_id: str | None,
    body: str | None,
    blob: str | None,
) -> Event:
    """The event to record. Delivery is due in a minute, should the worker die before its own attempt is noted."""
    now = ctx.now()
    event_id = ids.event_id(ctx.ref.tenant_id, event_type, subject)
    return Event(event_id, event_type, now, message_id, body, blob, now + FIRST_ATTEMPT_WITHIN)
