"""The event feed of a tenant, for a CRM that was down.

Events of all its mailboxes are merged by their time. The cursor never passes what is younger than SETTLED: a
transaction that began earlier may still land before it. So an event may come twice (its id tells), never not at all.
"""

from __future__ import annotations

import heapq
import re
from datetime import timedelta
from typing import Any, Final

import msgspec

from shared.domain.errors import FieldError, InvalidRequest
from shared.domain.model import Event, MailboxRef
from shared.domain.stamps import PATTERN
from shared.services import Services
from shared.state import keys
from shared.sync.events.deliver_event import read_event_body

# A writer may take this long from the time it gives its event to the end of its transaction: a blob, a due row, a
# fence that others change meanwhile.
SETTLED: Final = timedelta(minutes=5)
CURSOR: Final = re.compile(rf"({PATTERN}\|evt_[a-z2-7]{{26}})?", re.ASCII)


async def list_events(s: Services, tenant_id: str, after: str, limit: int) -> dict[str, Any]:
    """Events behind the cursor `after` ("" for all), oldest first. Raises InvalidRequest for a foreign cursor."""
    if CURSOR.fullmatch(after) is None:
        raise InvalidRequest(
            "The cursor is not one of ours.", (FieldError("/after", "not a `next` of ours"),)
        )
    pages = []
    for mailbox_id in await s.tenants.mailboxes(tenant_id):
        stored = await s.ledger.events(MailboxRef(tenant_id, mailbox_id), after, limit + 1)
        pages.append([event.value for event in stored])
    merged = list(heapq.merge(*pages, key=lambda event: event.ref))
    page = merged[:limit]
    cursor = _cursor(s, page, after)
    return {
        "events": [await _show(s, event) for event in page],
        "next": cursor,
        "has_more": len(merged) > limit and cursor != after,
    }


def _cursor(s: Services, page: list[Event], after: str) -> str:
    settled = keys.stamp(s.clock.now() - SETTLED)
    passed = [event.ref for event in page if event.ref <= settled]
    return passed[-1] if passed else after


async def _show(s: Services, event: Event) -> dict[str, Any]:
    """The event as it was told; when its content is gone its place stays, so that the feed goes on behind it."""
    body = await read_event_body(s, event)
    if body is None:
        gone = {"type": event.type, "timestamp": event.at, "expired": True, "data": None}
        return {"id": event.event_id, **gone}
    return {"id": event.event_id, **msgspec.json.decode(body)}
