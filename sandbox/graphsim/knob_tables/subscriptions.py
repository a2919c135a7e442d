"""Subscriptions."""

from __future__ import annotations

from sandbox.graphsim.knob_tables.knob import Knob, choice
from sandbox.graphsim.knob_tables.pages import LIFECYCLE, SUBSCRIPTION, WEBHOOKS

SUBSCRIPTIONS: tuple[Knob, ...] = (
    choice(
        "subscription_is_draft_filter",
        "refused accepted",
        "(f)",
        "docs issue 11068",
        "`$filter=isDraft eq false` in a subscription's resource.",
    ),
    choice(
        "expiration_over_maximum",
        "reject clamp",
        "(?)",
        SUBSCRIPTION,
        "An expirationDateTime beyond the maximum.",
    ),
    choice(
        "duplicate_subscription",
        "conflict allowed",
        "(?)",
        WEBHOOKS,
        "Same changeType and resource once more: 409 or a second subscription.",
    ),
    choice(
        "notification_before_answer",
        "yes no",
        "(k)",
        WEBHOOKS,
        "Mail of the last minute is notified before the POST of its subscription is answered; nothing rules it out.",
    ),
    choice(
        "subscription_scope",
        "read_only write_too",
        "stated",
        "Create subscription",
        "Whether Mail.ReadWrite without Mail.Read is enough.",
    ),
    choice(
        "revalidate_on_renew",
        "yes no",
        "(f)",
        "msgraph-sdk-dotnet issue 2805",
        "PATCH and reauthorize repeat the validation handshake.",
    ),
    choice(
        "subscription_pauses_with_token",
        "yes no",
        "stated",
        WEBHOOKS,
        "Delivery pauses when the access token behind the subscription expires.",
    ),
    choice(
        "reauthorization_events",
        "late formula none",
        "(?)",
        LIFECYCLE,
        "When reauthorizationRequired comes: 20 and 5 minutes before the token ends; by the page's "
        "illustrative formula; never.",
    ),
    choice(
        "revocation_removes_subscriptions",
        "yes no",
        "stated",
        LIFECYCLE,
        "Revoked sessions: subscriptionRemoved, or only the pause.",
    ),
)
