"""A step of a send failed: when it is tried again, and what is said when it cannot be."""

from __future__ import annotations

from dataclasses import replace

from shared.domain import outbound
from shared.domain.errors import AccessRefused, GrantDead, MailboxUnusable
from shared.domain.model import MailboxRef, OutboxItem, Phase, Reason
from shared.domain.retries import GiveUp, waits_for_somebody
from shared.services import Services
from shared.state.codec import Stored
from shared.sync.mailbox.failures import Failed
from shared.sync.outbound.ask_mailbox import stop_looking, tell_unknown
from shared.sync.outbound.send_row import Sending, fail, postpone, tidied


async def reschedule_send(s: Services, mailbox: MailboxRef, key: str, failed: Failed) -> None:
    """A step of the send failed: try later. Given up, it ends while nothing can have left; after that it is watched.

    While the grant is dead, or Graph asks for a pause, its hour does not run. Tidying up does not wait for a grant.
    """
    stored = await s.ledger.find(mailbox, OutboxItem, key)
    if stored is None or stored.value.due_at is None:
        return
    item = stored.value
    if item.phase.final and isinstance(failed.error, GrantDead | MailboxUnusable | AccessRefused):
        await tidied(s, mailbox, stored)
        return
    if isinstance(failed.verdict, GiveUp):
        if item.phase.final:
            await tidied(s, mailbox, stored)
        elif item.phase in {Phase.NEW, Phase.BUILDING}:
            await fail(s, mailbox, stored, Reason.GAVE_UP)
        else:
            await _unanswered(s, mailbox, stored, failed)
        return
    counts = not waits_for_somebody(failed.error)
    failing_since = (item.failing_since or failed.at) if counts else None
    awaited_since = None if waits_for_somebody(failed.error) else item.awaited_since
    rescheduled = replace(
        item, attempts=failed.verdict.attempts, failing_since=failing_since, awaited_since=awaited_since
    )
    await postpone(s, mailbox, replace(stored, value=rescheduled), failed.until)


async def _unanswered(s: Services, mailbox: MailboxRef, stored: Stored[OutboxItem], failed: Failed) -> None:
    """The mailbox cannot even be asked what became of the send: that counts as not found, so that it ends as well."""
    gate = await s.ledger.gate(mailbox)
    if gate is None:
        return
    item = replace(stored.value, awaited_since=stored.value.awaited_since or failed.at)
    work = Sending(s, mailbox, stored.changed(item), gate.value)
    match outbound.by_whereabouts(item, None, (), failed.at):
        case outbound.TellUnknown():
            await tell_unknown(work)
        case outbound.StopLooking():
            await stop_looking(work)
        case _:
            await postpone(s, mailbox, work.stored, failed.at + outbound.LOOK_UP_EVERY)
