"""Work through the hints of Graph's notifications: each looks at one message, or takes care of the subscription."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from shared.domain import inbound
from shared.domain.errors import MailboxClosed
from shared.domain.model import ChangeHint, FenceState, MailboxRef, Reason
from shared.domain.retries import PutOff
from shared.services import Services
from shared.sync.inbound.import_message import Found, import_later, import_message
from shared.sync.mailbox.failures import Failed, attempt
from shared.sync.mailbox.subscriptions import (
    care_by,
    mailbox_of_key,
    recreate_subscription,
    renew_subscription,
    sweep_now,
)
from shared.sync.queueing.jobs import enqueue
from shared.sync.tasks.do_task import do_due_sweep

NO_FAILURES: Final = 0
MAINTENANCE: Final = "maintenance"
NOTHING: Final = "nothing"


async def receive_change(s: Services, hint: ChangeHint) -> str:
    """One hint; returns a word for the log, what was decided.

    A failure becomes a task; only a failing store lets the queue message come again.
    """
    mailbox = mailbox_of_key(hint.mailbox_key)
    if mailbox is None:
        return NOTHING
    try:
        if hint.lifecycle_event is not None:
            await _lifecycle(s, mailbox, hint)
            return MAINTENANCE
        if hint.graph_message_id is not None:
            return await _message(s, mailbox, Found(hint.graph_message_id, hint.generation, hinted=True))
    except MailboxClosed:
        return Reason.DISCONNECTED.value
    return NOTHING


async def _message(s: Services, mailbox: MailboxRef, found: Found) -> str:
    done = await attempt(s, mailbox, NO_FAILURES, lambda: import_message(s, mailbox, found))
    if isinstance(done, Failed) and isinstance(done.verdict, PutOff):
        task = await import_later(s, mailbox, found, done.until, done.verdict.attempts)
        await enqueue(s, mailbox, task)
    if isinstance(done, inbound.Wait):
        await enqueue(s, mailbox, await import_later(s, mailbox, found, done.until, looks=done.counts))
    return done.reason.value if isinstance(done, inbound.Skip) else type(done).__name__.lower()


async def _lifecycle(s: Services, mailbox: MailboxRef, hint: ChangeHint) -> None:
    """`reauthorizationRequired`: one PATCH; `subscriptionRemoved`: a new one and a sweep; `missed`: a sweep.

    Events of a subscription that is no longer ours are ignored (Graph sends them late). What fails is due again
    later: of a subscription that is gone, the renewal finds out.
    """
    stored = await s.ledger.gate(mailbox)
    if (
        stored is None
        or stored.value.state is FenceState.CLOSED
        or stored.value.generation != hint.generation
    ):
        return
    if stored.value.subscription_id != hint.subscription_id:
        return
    done = await attempt(s, mailbox, NO_FAILURES, lambda: _care(s, mailbox, hint.lifecycle_event))
    if isinstance(done, Failed) and isinstance(done.verdict, PutOff):
        await care_by(s, mailbox, timedelta(seconds=done.verdict.seconds))


async def _care(s: Services, mailbox: MailboxRef, event: str | None) -> None:
    match event:
        case "reauthorizationRequired":
            await renew_subscription(s, mailbox)
        case "subscriptionRemoved":
            await recreate_subscription(s, mailbox)
        case _:
            await sweep_now(s, mailbox)
    await do_due_sweep(s, mailbox)
