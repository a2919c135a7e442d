"""Subscriptions that nobody needs any more: taken away at Graph, so that it tells us of no mail it should not (R5)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from shared.domain.errors import (
    GrantDead,
    MailboxUnusable,
    ProviderUnavailable,
    SubscriptionGone,
    Throttled,
    Unavailable,
    UpstreamSurprise,
)
from shared.domain.model import Connection, FenceState, Mailbox, Subscription, SubscriptionState
from shared.mailbox_context import MailboxContext
from shared.ports import Access
from shared.sync.mailbox.access import MailboxAccess, access_of
from shared.sync.mailbox.failures import note_pause
from shared.sync.mailbox.unit_of_work import switch


async def remove_subscription(ctx: MailboxContext, mailbox: Mailbox) -> None:
    """Take every subscription of a closed mailbox away at Graph, then from its row.

    Those that are listed too: a worker may have died between making one and noting it. A consent that Entra refuses
    has taken them along; what Graph has denied is another right. Raises Throttled, Unavailable: the caller tries
    again, and gives up in the end, since the subscription ends by itself and its late notifications are dropped.
    """
    refused = mailbox.grant_dead and not mailbox.denied_by_graph
    if not refused and mailbox.subscription is not SubscriptionState.NONE:
        access = access_of(ctx)
        with suppress(GrantDead, MailboxUnusable, UpstreamSurprise):
            if mailbox.subscription_id is not None:
                await _remove(ctx, access, mailbox.subscription_id)
            for found in await _list_ours(ctx, access, None):
                await _remove(ctx, access, found.subscription_id)
    await forget_subscription(ctx, mailbox)


async def remove_former_subscription(ctx: MailboxContext, former: Connection) -> None:
    """The same where the mailbox was connected again before, as long as the new connection has made none of its own.

    Its making removes the former one as well. Raises Throttled, Unavailable.
    """
    mailbox = ctx.mailbox
    if mailbox is None or not _has_former_only(mailbox) or mailbox.subscription_id is None:
        return
    access = MailboxAccess(ctx, former.user.user_id, former.connection_id)
    try:
        await _remove(ctx, access, mailbox.subscription_id)
    except (GrantDead, MailboxUnusable):
        return
    # Loses to the making of a subscription.
    async for tx in switch(ctx):
        if tx.before is None or not _has_former_only(tx.before):
            tx.abandon()
            continue
        tx.mailbox = replace(tx.before, subscription_id=None)


def _has_former_only(mailbox: Mailbox) -> bool:
    return mailbox.subscription is SubscriptionState.NONE and mailbox.state is FenceState.OPEN


async def remove_unwanted(ctx: MailboxContext, access: Access, subscription_id: str) -> None:
    """Take away what was just granted for a mailbox that has closed; what fails is left to end by itself."""
    with suppress(GrantDead, MailboxUnusable, Throttled, Unavailable, UpstreamSurprise):
        await _remove(ctx, access, subscription_id)


async def _remove(ctx: MailboxContext, access: Access, subscription_id: str) -> None:
    with suppress(SubscriptionGone):
        await ctx.services.mail.unsubscribe(access, subscription_id)


async def _list_ours(ctx: MailboxContext, access: Access, former: str | None) -> list[Subscription]:
    """All subscriptions of the mailbox that notify us, and the `former` one whatever its address."""
    url = ctx.services.addresses.notifications
    return [
        found
        for found in await ctx.services.mail.subscriptions(access)
        if found.notification_url == url or found.subscription_id == former
    ]


async def remove_duplicates(ctx: MailboxContext, access: Access, former: str | None) -> None:
    """All of ours, and the `former` one whatever its address; but not the one that the mailbox row names.

    The row is read when they are listed: what another worker makes now is not touched. A duplicate that stays costs
    doubled notifications until it ends, so no trouble with it is worth failing for.
    """
    s = ctx.services
    try:
        found = await _list_ours(ctx, access, former)
        mailbox = await ctx.read()
        if mailbox is None or mailbox.subscription is not SubscriptionState.ACTIVE:
            return
        for subscription in found:
            if subscription.subscription_id != mailbox.subscription_id:
                await s.mail.unsubscribe(access, subscription.subscription_id)
    except Throttled as err:
        await note_pause(ctx, err.retry_after_seconds)
    except (ProviderUnavailable, GrantDead, UpstreamSurprise):
        return


async def forget_subscription(ctx: MailboxContext, mailbox: Mailbox) -> None:
    """The mailbox's row without a subscription, unless it was opened again meanwhile."""
    # Loses to whoever connects the mailbox again.
    async for tx in switch(ctx):
        closed = tx.before is not None and tx.before.state is FenceState.CLOSED
        if not closed or tx.mailbox.generation != mailbox.generation:
            tx.abandon()
            continue
        tx.mailbox = replace(
            tx.mailbox,
            subscription=SubscriptionState.NONE,
            subscription_id=None,
            subscription_expires_at=None,
            pending_since=None,
        )
