"""After a send is over: drafts of ours that its other builds left in the user's Drafts go (E-11)."""

from __future__ import annotations

from shared.domain import outbound
from shared.domain.model import FenceState, Mailbox, MailboxRef, OutboxItem
from shared.services import Services
from shared.state.codec import Stored
from shared.sync.mailbox.access import access_for
from shared.sync.mailbox.unit_of_work import respect_pause
from shared.sync.outbound.send_row import tidied


async def tidy_drafts(
    s: Services, mailbox: MailboxRef, stored: Stored[OutboxItem], gate: Mailbox | None
) -> None:
    """Look once for what carries the send's key, delete the drafts among it that nobody needs.

    Raises what the provider raises: the caller sets the send back.
    """
    item = stored.value
    if gate is not None and gate.state is FenceState.OPEN and gate.generation == item.generation:
        respect_pause(gate, s.clock.now())
        access = access_for(s, mailbox, gate)
        found = await s.mail.find_by_key(access, item.key)
        for one in found:
            if outbound.is_left_over(item, one):
                await s.mail.delete_draft(access, one.outline.graph_message_id)
    await tidied(s, mailbox, stored)
