"""Ask Graph for a subscription: with its filter where it takes one, again where it did not reach us in time."""

from __future__ import annotations

from typing import Final

from shared.domain import renewals
from shared.domain.errors import HandshakeFailed, MessageRefused, UpstreamSurprise
from shared.domain.model import Mailbox, Subscription
from shared.mailbox_context import MailboxContext
from shared.ports import Access
from shared.state import keys

# Graph waits 10 s for our address ("Receive change notifications through webhooks"). An app that was scaled to zero
# has started by the second or third try.
PAUSES_SECONDS: Final = (2.0, 5.0)


async def register_subscription(
    ctx: MailboxContext, access: Access, mailbox: Mailbox
) -> tuple[Subscription, bool]:
    """What Graph granted, and whether drafts are filtered out there (else they are skipped here).

    Raises HandshakeFailed when Graph reached our address at no try, UpstreamSurprise when it refuses for good, and
    what the provider raises.
    """
    for filtered in (True, False) if mailbox.subscription_filtered else (False,):
        try:
            return await _try_often(ctx, access, mailbox, filtered=filtered), filtered
        except MessageRefused as err:
            if not filtered:
                raise UpstreamSurprise("Graph refuses the subscription.") from err
    raise UpstreamSurprise("Graph refuses the subscription.")


async def _try_often(
    ctx: MailboxContext, access: Access, mailbox: Mailbox, *, filtered: bool
) -> Subscription:
    for pause in PAUSES_SECONDS:
        try:
            return await _try(ctx, access, mailbox, filtered=filtered)
        except HandshakeFailed:
            await ctx.services.sleep(pause)
    return await _try(ctx, access, mailbox, filtered=filtered)


async def _try(ctx: MailboxContext, access: Access, mailbox: Mailbox, *, filtered: bool) -> Subscription:
    s = ctx.services
    nonce = s.random.token(6)
    return await s.mail.subscribe(
        access,
        notification_url=s.addresses.notifications,
        lifecycle_url=s.addresses.lifecycle,
        client_state=s.client_states.mint(keys.mailbox_key(ctx.ref), mailbox.generation, nonce),
        expires_at=renewals.wanted_expiry(ctx.graph_now()),
        filtered=filtered,
    )
