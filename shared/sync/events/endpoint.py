"""A tenant's webhook endpoint: off as soon as it says 410, on again by an operator's command (C-8).

While it is off no call is made: events are held, which is parked for this one reason, and the feed has them all.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

from shared.domain.errors import RowChanged, RowExists, RowMissing
from shared.domain.ids import digest
from shared.domain.model import Event, MailboxRef, Task, TaskKind
from shared.services import Services
from shared.state import keys
from shared.state.codec import Stored
from shared.state.dead_letters import DeadLetter
from shared.state.ledger import new
from shared.telemetry import log

LOOK_BACK: Final = timedelta(days=35)  # older events have no content any more
PAGE: Final = 100


async def turn_off(s: Services, tenant_id: str) -> None:
    """No more calls to this endpoint; its owner finds a dead letter, and the log a line, once."""
    if not await s.tenants.set_endpoint_off(tenant_id, s.clock.now()):
        return
    letter = DeadLetter(keys.DELIVERIES, f'{{"tenant_id":"{tenant_id}"}}', "endpoint_gone", s.clock.now())
    await s.dead_letters.add(digest("endpoint", tenant_id), letter)
    log.error("endpoint.off", tenant=tenant_id)


async def open_endpoint(s: Services, tenant_id: str) -> int:
    """Call the endpoint again, and let what was held go out. Returns how many events that were. Raises NotFound.

    Harmless to repeat: a second run finds what a crash of the first left held.
    """
    await s.tenants.set_endpoint_off(tenant_id, None)
    let_go = 0
    for mailbox_id in await s.tenants.mailboxes(tenant_id):
        mailbox = MailboxRef(tenant_id, mailbox_id)
        after = keys.stamp(s.clock.now() - LOOK_BACK)
        while page := await s.ledger.events(mailbox, after, PAGE):
            let_go += sum([await release_event(s, mailbox, stored) for stored in page])
            after = page[-1].value.ref
    return let_go


async def release_event(s: Services, mailbox: MailboxRef, stored: Stored[Event]) -> bool:
    """Let an event that was held go out. Returns False for any other, and where somebody else was faster."""
    if not stored.value.held:
        return False
    due_at = s.clock.now()
    event = replace(stored.value, held=False, parked=False, due_at=due_at)
    try:
        await s.ledger.write(mailbox, stored.changed(event), new(Task(due_at, TaskKind.DELIVER, event.ref)))
    except (RowChanged, RowExists, RowMissing):
        return False  # another run was faster
    return True
