"""Subscriptions: what they watch, for how long, and which changes of a mailbox they are notified of.

Sources: Microsoft Graph, "subscription resource type", "Create subscription", "Change notifications for Outlook
resources", "Reduce missing change notifications and removed subscriptions".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from sandbox.graphsim.errors import GraphError
from sandbox.graphsim.render import fine_time

if TYPE_CHECKING:
    from datetime import datetime

    from sandbox.graphsim.entra import Grant
    from sandbox.graphsim.store import Mailbox, User
    from sandbox.graphsim.world import Change, World

MAXIMUM = timedelta(minutes=10_080)
RAISED_TO = timedelta(minutes=45)
# reauthorizationRequired comes "every few minutes to rarely" (lifecycle events): never right after an answer to it.
ASKS_AGAIN_AFTER = timedelta(minutes=3)
QUOTA = 1000
Lifecycle = Literal["reauthorizationRequired", "subscriptionRemoved", "missed"]
_RESOURCE = re.compile(
    r"^/?(?P<owner>me|users/[^/]+|users\('[^/']+'\))(?:/mailfolders(?:\('(?P<named>[^']+)'\)|/(?P<folder>[^/]+)))?/messages$",
    re.IGNORECASE,
)
DRAFT_FILTER = "isdraft eq false"


@dataclass(slots=True)
class Subscription:
    """A subscription. `folder_id` None: the whole mailbox. `filtered`: drafts are excluded.

    `plan` counts the plans for reauthorizationRequired; events of an earlier plan are not sent any more.
    """

    subscription_id: str
    user: User
    client_id: str
    resource: str
    change_types: tuple[str, ...]
    notification_url: str
    lifecycle_url: str | None
    client_state: str | None
    expires_at: datetime
    token_expires_at: datetime
    immutable_ids: bool
    filtered: bool
    folder_id: str | None
    plan: int = 0

    def shown(self) -> dict[str, Any]:
        """The subscription as Graph's JSON; properties that are not set are null."""
        return {
            "id": self.subscription_id,
            "resource": self.resource,
            "applicationId": self.client_id,
            "changeType": ",".join(self.change_types),
            "clientState": self.client_state,
            "notificationUrl": self.notification_url,
            "notificationQueryOptions": None,
            "notificationContentType": None,
            "lifecycleNotificationUrl": self.lifecycle_url,
            "expirationDateTime": fine_time(self.expires_at),
            "creatorId": self.user.user_id,
            "includeResourceData": None,
            "latestSupportedTlsVersion": "v1_2",
            "encryptionCertificate": None,
            "encryptionCertificateId": None,
            "notificationUrlAppId": None,
        }


@dataclass(frozen=True, slots=True)
class Watched:
    """The parsed `resource` of a subscription."""

    folder_id: str | None
    filtered: bool


def parse_resource(world: World, mailbox: Mailbox, resource: str) -> Watched:
    """Parse a `resource`; raises the Outlook service's refusal, whose form is known from field reports."""
    path, _, query = resource.partition("?")
    match = _RESOURCE.match(path)
    if match is None:
        raise extension_error("Create", "BadRequest", f"The resource '{path}' is not supported.")
    owner = match["owner"].lower().removeprefix("users").strip("/(')")
    if owner not in {"me", mailbox.user.user_id.lower(), mailbox.user.address.lower()}:
        raise extension_error("Create", "Forbidden", "Access is denied. Check credentials and try again.")
    folder = None
    if name := match["named"] or match["folder"]:
        found = mailbox.folder(name)
        if found is None:
            raise extension_error("Create", "NotFound", "The specified object was not found in the store.")
        folder = found.folder_id
    return Watched(folder, _filtered(world, query))


def _filtered(world: World, query: str) -> bool:
    options = dict(part.partition("=")[::2] for part in query.split("&") if part)
    for name in options:
        if name not in {"$filter", "$select"}:
            raise extension_error(
                "Create", "BadRequest", f"Query option '{name}' is not supported in the resource."
            )
    if "body" in options.get("$select", "").lower():
        raise extension_error("Create", "BadRequest", "Selecting the body is not supported.")
    condition = options.get("$filter")
    if condition is None:
        return False
    if condition.strip().lower() != DRAFT_FILTER:
        raise GraphError(
            501, "SimulatorNotImplemented", "The simulator knows no other filter than isDraft eq false."
        )
    if world.knobs.text("subscription_is_draft_filter") == "refused":
        raise extension_error(
            "Create", "BadRequest", "The filter on the property 'isDraft' is not supported."
        )
    return True


def extension_error(operation: str, name: str, reason: str) -> GraphError:
    """A refusal by the Outlook service, which checks subscriptions for Graph."""
    statuses = {"BadRequest": 400, "Unauthorized": 401, "Forbidden": 403, "NotFound": 404}
    text = f"Operation: {operation}; Exception: [Status Code: {name}; Reason: {reason}]"
    return GraphError(statuses.get(name, 400), "ExtensionError", text)


@dataclass(slots=True)
class Subscriptions:
    """All subscriptions, by id."""

    world: World
    items: dict[str, Subscription] = field(default_factory=dict)

    def add(self, subscription: Subscription) -> None:
        """Add a validated subscription and schedule its expiry and reauthorization events."""
        self.items[subscription.subscription_id] = subscription
        self._plan_expiry(subscription)
        self._plan_reauthorization(subscription)

    def owned_by(self, grant: Grant) -> list[Subscription]:
        """The subscriptions of this app and user."""
        return [
            subscription
            for subscription in self.items.values()
            if subscription.user is grant.user and subscription.client_id == grant.client_id
        ]

    def count(self, user: User) -> int:
        """How many subscriptions watch this mailbox, of all apps together."""
        return sum(subscription.user is user for subscription in self.items.values())

    def find(self, grant: Grant, subscription_id: str) -> Subscription:
        """A subscription of this app and user; raises Graph's 404."""
        found = self.items.get(subscription_id)
        if found is None or found not in self.owned_by(grant):
            raise GraphError(404, "ResourceNotFound", "The object was not found.")
        return found

    def expiry(self, wanted: datetime) -> datetime:
        """The expiry for a wanted one: at least 45 minutes away; over 7 days it is refused or reduced (knob)."""
        now = self.world.now()
        if wanted <= now:
            raise GraphError(400, "InvalidRequest", "Subscription expiration must be in the future.")
        if wanted > now + MAXIMUM + timedelta(seconds=1):
            if self.world.knobs.text("expiration_over_maximum") == "reject":
                raise GraphError(
                    400, "InvalidRequest", "Subscription expiration can only be 10080 minutes in the future."
                )
            wanted = now + MAXIMUM
        return max(wanted, now + RAISED_TO)

    def renew(self, subscription: Subscription, grant: Grant, expires_at: datetime | None) -> None:
        """Take over the caller's token and, if given, a new expiry, for a PATCH or reauthorize."""
        subscription.token_expires_at = grant.expires_at
        self._plan_reauthorization(subscription)
        if expires_at is not None:
            subscription.expires_at = expires_at
            self._plan_expiry(subscription)

    def _plan_expiry(self, subscription: Subscription) -> None:
        due = subscription.expires_at

        def expire() -> None:
            if subscription.expires_at == due:
                self.items.pop(subscription.subscription_id, None)

        self.world.schedule.add(due, expire)

    def _plan_reauthorization(self, subscription: Subscription) -> None:
        kind = self.world.knobs.text("reauthorization_events")
        end, now = subscription.token_expires_at, self.world.now()
        moments = {
            "late": [end - timedelta(minutes=20), end - timedelta(minutes=5)],
            "formula": [now + (end - now) / 4, *(end - timedelta(minutes=left) for left in (45, 30, 15))],
        }.get(kind, [])
        subscription.plan += 1
        plan = subscription.plan
        for at in moments:
            if at >= now + ASKS_AGAIN_AFTER:
                self.world.schedule.add(at, lambda: self._ask_to_reauthorize(subscription, plan))

    def _ask_to_reauthorize(self, subscription: Subscription, plan: int) -> None:
        alive = self.items.get(subscription.subscription_id) is subscription
        if alive and subscription.plan == plan:
            self.world.notifier.notify_lifecycle(subscription, "reauthorizationRequired")

    def remove(self, subscription: Subscription, *, notify: bool) -> None:
        """Remove a subscription; with `notify`, send subscriptionRemoved."""
        self.items.pop(subscription.subscription_id, None)
        if notify:
            self.world.notifier.notify_lifecycle(subscription, "subscriptionRemoved")

    def end_sessions(self, user: User) -> None:
        """All sessions of a user have ended: remove the subscriptions, or let their tokens expire now (knob)."""
        for subscription in [item for item in self.items.values() if item.user is user]:
            if self.world.knobs.text("revocation_removes_subscriptions") == "yes":
                self.remove(subscription, notify=True)
            else:
                subscription.token_expires_at = self.world.now()

    def is_paused(self, subscription: Subscription) -> bool:
        """Whether delivery waits for a new token."""
        dead = subscription.token_expires_at <= self.world.now()
        return dead and self.world.knobs.text("subscription_pauses_with_token") == "yes"

    def dispatch(self, change: Change) -> None:
        """Notify all subscriptions that a change concerns."""
        for subscription in list(self.items.values()):
            if subscription.user is change.mailbox.user and self.concerns(subscription, change):
                self.world.notifier.notify_change(subscription, change)

    def concerns(self, subscription: Subscription, change: Change) -> bool:
        """Whether the subscription watches this kind of change in this folder."""
        inside = subscription.folder_id in {None, change.folder_id}
        in_set = not (subscription.filtered and change.message.is_draft)
        return inside and in_set and change.kind in subscription.change_types
