"""Work through the hints of Graph's notifications: each looks at one message, or takes care of the subscription."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from shared.domain import inbound
from shared.domain.errors import (
    GateShut,
    GrantDead,
    MailboxUnusable,
    StoreUnavailable,
    Throttled,
    Unavailable,
    UpstreamSurprise,
)
from shared.domain.model import ChangeHint, GateState, MailboxRef
from shared.domain.retries import transient_delay_seconds
from shared.services import Services
from shared.sync.doorbells import ring
from shared.sync.gatekeeping import pause
from shared.sync.import_message import Found, import_later, import_message
from shared.sync.subscriptions import (
    care_by,
    mailbox_of_key,
    recreate_subscription,
    renew_subscription,
    sweep_now,
)
from shared.sync.work import PROBE_GRANT_EVERY, do_due_sweep

CARE_AGAIN_AFTER: Final = timedelta(minutes=1)


async def receive_change(s: Services, hint: ChangeHint) -> None:
    """One hint. A failure becomes a todo; only a failing store lets the queue message come again."""
    mailbox = mailbox_of_key(hint.mailbox_key)
    if mailbox is None:
        return
    try:
        if hint.lifecycle_event is not None:
            await _lifecycle(s, mailbox, hint)
        elif hint.graph_message_id is not None:
            await _message(s, mailbox, Found(hint.graph_message_id, hint.generation))
    except GateShut:
        return


async def _message(s: Services, mailbox: MailboxRef, found: Found) -> None:
    now = s.clock.now()
    try:
        decision = await import_message(s, mailbox, found)
    except Throttled as err:
        await pause(s, mailbox, err.retry_after_seconds)
        decision = inbound.Wait(now + timedelta(seconds=err.retry_after_seconds))
    except (Unavailable, UpstreamSurprise):
        decision = inbound.Wait(
            now + timedelta(seconds=max(5.0, transient_delay_seconds(1, s.chance.fraction())))
        )
    except (GrantDead, MailboxUnusable):
        decision = inbound.Wait(now + timedelta(hours=1))
    if isinstance(decision, inbound.Wait):
        await ring(s, mailbox, await import_later(s, mailbox, found, decision.until))


async def _lifecycle(s: Services, mailbox: MailboxRef, hint: ChangeHint) -> None:
    """`reauthorizationRequired`: one PATCH; `subscriptionRemoved`: a new one and a sweep; `missed`: a sweep.

    Events of a subscription that is no longer ours are ignored (Graph sends them late). What fails is due again
    later: of a subscription that is gone, the renewal finds out.
    """
    stored = await s.ledger.gate(mailbox)
    if stored is None or stored.value.state is GateState.CLOSED or stored.value.generation != hint.generation:
        return
    if stored.value.subscription_id != hint.subscription_id:
        return
    try:
        await _care(s, mailbox, hint.lifecycle_event)
    except StoreUnavailable:
        raise
    except Throttled as err:
        await pause(s, mailbox, err.retry_after_seconds)
        await care_by(s, mailbox, timedelta(seconds=err.retry_after_seconds))
    except (Unavailable, UpstreamSurprise):
        await care_by(s, mailbox, CARE_AGAIN_AFTER)
    except (GrantDead, MailboxUnusable):
        await care_by(s, mailbox, PROBE_GRANT_EVERY)


async def _care(s: Services, mailbox: MailboxRef, event: str | None) -> None:
    match event:
        case "reauthorizationRequired":
            await renew_subscription(s, mailbox)
        case "subscriptionRemoved":
            await recreate_subscription(s, mailbox)
        case _:
            await sweep_now(s, mailbox)
    await do_due_sweep(s, mailbox)
