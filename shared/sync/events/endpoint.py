"""A tenant's webhook endpoint: off as soon as it says 410, on again by an operator's command (C-8).

While it is off no call is made: events are held, and the feed has them all.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Final

from shared.domain.errors import NotFound, RowChanged, RowMissing
from shared.domain.model import Event, MailboxRef, Tenant
from shared.domain.retention import KEPT_AT_MOST
from shared.domain.silence import is_endpoint_silent
from shared.hashing import digest
from shared.mailbox_context import MailboxContext
from shared.services import Services
from shared.state import keys
from shared.state.codec import Stored
from shared.state.dead_letters import DeadLetter
from shared.sync.queueing.jobs import enqueue_all
from shared.telemetry import log

LOOK_BACK: Final = KEPT_AT_MOST  # older events have no content any more
PAGE: Final = 100
ENDPOINT: Final = "endpoint"


async def turn_off(s: Services, tenant_id: str) -> None:
    """No more calls to this endpoint; its owner finds a dead letter, and the log a line, once."""
    if not await s.tenants.set_endpoint_off(tenant_id, s.clock.now()):
        return
    letter = DeadLetter(keys.DELIVERIES, "endpoint_gone", s.clock.now(), tenant_id, work=ENDPOINT)
    await s.dead_letters.add(digest("endpoint", tenant_id), letter, tenant_id)
    log.error("endpoint.off", tenant=tenant_id)


async def note_answer(s: Services, tenant: Tenant, event: Event, *, taken: bool) -> None:
    """Note that the endpoint begins or ceases to take nothing; a line of the log while it has for an hour.

    Costs a write at the second try of an event that is not taken, where none was known, and when one is taken again.
    """
    since = tenant.endpoint_silent_since
    with suppress(RowChanged, NotFound):  # many workers note the same
        if taken and since is not None:
            await s.tenants.set_endpoint_silent(tenant.tenant_id, None)
        elif not taken and since is None and event.attempts > 0:
            await s.tenants.set_endpoint_silent(tenant.tenant_id, event.at)
    if not taken and is_endpoint_silent(tenant, s.clock.now()):
        minutes = int((s.clock.now() - (since or event.at)).total_seconds() // 60)
        log.error("endpoint.silent", tenant=tenant.tenant_id, minutes=minutes)


async def open_endpoint(s: Services, tenant_id: str) -> int:
    """Call the endpoint again, and let what was held go out. Returns how many events that were. Raises NotFound.

    Harmless to repeat: a second run finds what a crash of the first left held.
    """
    await s.tenants.set_endpoint_off(tenant_id, None)
    released = 0
    for mailbox_id in await s.tenants.mailboxes(tenant_id):
        ctx = MailboxContext(s, MailboxRef(tenant_id, mailbox_id))
        after = keys.stamp(s.clock.now() - LOOK_BACK)
        while page := await s.ledger.events(ctx.ref, after, PAGE):
            released += sum([await release_event(ctx, stored) for stored in page])
            after = page[-1].value.ref
    return released


async def release_event(ctx: MailboxContext, stored: Stored[Event]) -> bool:
    """Let an event that was held go out. Returns False for any other, and where somebody else was faster."""
    if not stored.value.held:
        return False
    event = replace(stored.value, held=False, undelivered=False, due_at=ctx.now())
    try:
        # Loses to another run of the same command.
        written = await ctx.services.ledger.write(ctx.ref, stored.changed(event))
    except (RowChanged, RowMissing):
        return False
    await enqueue_all(ctx, written.tasks)
    return True
