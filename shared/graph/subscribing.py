"""Subscriptions: register, renew, remove, list.

Sources: Microsoft Graph, "Create subscription", "Update subscription", "subscription resource type" (stored is what
was granted, not what was asked for), "Change notifications for Outlook resources" (`$filter` in `resource`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from shared.domain.errors import (
    MessageRefused,
    NotItsAnswer,
    PostbraidError,
    SubscriptionGone,
    UpstreamSurprise,
)
from shared.domain.model import Subscription
from shared.graph import mapping, wire
from shared.graph.client import GraphClient, decoded, same_origin
from shared.graph.errors import status_of
from shared.ports import Access

FILTERED: Final = "me/messages?$filter=isDraft eq false"
UNFILTERED: Final = "me/messages"
CONFLICT: Final = 409
BAD_REQUEST: Final = 400


async def subscribe(
    client: GraphClient, access: Access, wanted: wire.Json, *, filtered: bool
) -> Subscription:
    """Create it; where Graph says that an equal one exists, adopt that or take its place.

    Raises MessageRefused("filter_refused") where Graph does not take the filter.
    """
    try:
        return await _create(client, access, wanted)
    except UpstreamSurprise as err:
        if filtered and status_of(err) == BAD_REQUEST and not isinstance(err, NotItsAnswer):
            raise MessageRefused("filter_refused") from err
        raise
    except PostbraidError as err:
        if status_of(err) != CONFLICT:
            raise
        return await _replace_older(client, access, wanted, err)


async def _create(client: GraphClient, access: Access, wanted: wire.Json) -> Subscription:
    request = client.builders.subscriptions.to_post_request_information(wanted)
    return mapping.graph_to_subscription(
        decoded(await client.call(access, "subscribe", request), wire.Subscription)
    )


async def _replace_older(
    client: GraphClient, access: Access, wanted: wire.Json, err: PostbraidError
) -> Subscription:
    """The very one we asked for is adopted; older ones of ours give way.

    One whose notifications go to another host is somebody else's, and one that ends later than ours would is that of
    a worker who came after us: all ask for the same time from now. Then the conflict stands.
    """
    ours = [
        subscription for subscription in await subscriptions(client, access) if _is_ours(subscription, wanted)
    ]
    same = [subscription for subscription in ours if subscription.client_state == wanted["clientState"]]
    if same:
        return same[0]
    older = [
        subscription
        for subscription in ours
        if graph_moment(subscription.expires_at) <= wanted["expirationDateTime"]
    ]
    if not older:
        raise err
    for subscription in older:
        await unsubscribe(client, access, subscription.subscription_id)
    return await _create(client, access, wanted)


def _is_ours(subscription: Subscription, wanted: wire.Json) -> bool:
    return subscription.notification_url is None or same_origin(
        subscription.notification_url, wanted["notificationUrl"]
    )


async def renew(
    client: GraphClient, access: Access, subscription_id: str, expires_at: datetime
) -> Subscription:
    """One PATCH extends and re-authorises. Raises SubscriptionGone."""
    builder = client.builders.subscriptions.by_subscription_id(subscription_id)
    request = builder.to_patch_request_information({"expirationDateTime": graph_moment(expires_at)})
    return mapping.graph_to_subscription(
        decoded(await client.call(access, "renew", request), wire.Subscription)
    )


async def unsubscribe(client: GraphClient, access: Access, subscription_id: str) -> None:
    """Remove it; gone already is fine."""
    builder = client.builders.subscriptions.by_subscription_id(subscription_id)
    try:
        await client.call(access, "unsubscribe", builder.to_delete_request_information())
    except SubscriptionGone:
        return


async def subscriptions(client: GraphClient, access: Access) -> tuple[Subscription, ...]:
    """All of this app and user."""
    builder = client.builders.subscriptions
    found = await client.get_all(access, "subscriptions", builder, wire.Page[wire.Subscription])
    return tuple(mapping.graph_to_subscription(subscription) for subscription in found)


def graph_moment(at: datetime) -> str:
    """Seven digits after the second, as subscriptions show them."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")
