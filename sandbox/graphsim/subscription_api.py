"""Handlers of subscriptions (Microsoft Graph, "Create subscription", "Update subscription", …)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from sandbox.graphsim import schema
from sandbox.graphsim.calls import Reply
from sandbox.graphsim.errors import GraphError, bad_body, bad_request, not_simulated
from sandbox.graphsim.subscriptions import QUOTA, Subscription, extension_error, parse_resource

if TYPE_CHECKING:
    from sandbox.graphsim.calls import Call

WRITABLE = {
    "changeType", "notificationUrl", "lifecycleNotificationUrl", "resource", "expirationDateTime", "clientState",
    "latestSupportedTlsVersion", "includeResourceData", "encryptionCertificate", "encryptionCertificateId",
    "notificationQueryOptions", "notificationUrlAppId", "@odata.type",
}  # fmt: skip
CHANGE_TYPES = ("created", "updated", "deleted")
MAX_STATE = 128


async def create_subscription(call: Call) -> Reply:
    """POST: check the request, validate the addresses, add the subscription."""
    body = call.json_body()
    _check_members(body)
    _check_scope(call)
    if body.get("includeResourceData"):
        raise not_simulated("notifications with resource data")
    subscription = _parse(call, body)
    _check_duplicate(call, subscription)
    await call.world.notifier.validate(subscription.notification_url, subscription.user.address)
    if subscription.lifecycle_url:
        await call.world.notifier.validate(subscription.lifecycle_url, subscription.user.address)
    call.world.subscriptions.add(subscription)
    if call.world.knobs.text("notification_before_answer") == "yes":
        await call.world.notifier.post_before_answer(subscription, call.mailbox)
    return Reply(201, {"@odata.context": call.context("subscriptions/$entity"), **subscription.shown()})


def _check_members(body: dict[str, Any]) -> None:
    for name in body:
        if name not in WRITABLE:
            raise bad_body(f"The property '{name}' does not exist on type 'microsoft.graph.subscription'.")
    given = {name: value for name, value in body.items() if value is not None}
    if problem := schema.check("subscription", given, request=True):
        raise bad_body(problem)


def _check_scope(call: Call) -> None:
    readable = {"Mail.Read", "Mail.ReadBasic"}
    if call.world.knobs.text("subscription_scope") == "write_too":
        readable.add("Mail.ReadWrite")
    if not call.caller.scopes & readable:
        raise extension_error("Create", "Forbidden", "Access is denied. Check credentials and try again.")


def _parse(call: Call, body: dict[str, Any]) -> Subscription:
    for name in ("changeType", "notificationUrl", "resource", "expirationDateTime"):
        if not isinstance(body.get(name), str) or not body[name]:
            raise GraphError(400, "InvalidRequest", f"{name} is required.")
    kinds = tuple(part.strip() for part in body["changeType"].split(","))
    if not set(kinds) <= set(CHANGE_TYPES):
        raise GraphError(400, "InvalidRequest", "The changeType is invalid.")
    state = body.get("clientState")
    if state is not None and len(state) > MAX_STATE:
        raise GraphError(400, "InvalidRequest", "The clientState must not be longer than 128 characters.")
    for name in ("notificationUrl", "lifecycleNotificationUrl"):
        if body.get(name):
            _check_url(call, body[name])
    watched = parse_resource(call.world, call.mailbox, body["resource"])
    return Subscription(
        subscription_id=call.world.ids.guid(),
        user=call.caller.user,
        client_id=call.caller.client_id,
        resource=body["resource"],
        change_types=kinds,
        notification_url=body["notificationUrl"],
        lifecycle_url=body.get("lifecycleNotificationUrl"),
        client_state=state,
        expires_at=call.world.subscriptions.expiry(_time(body["expirationDateTime"])),
        token_expires_at=call.caller.expires_at,
        immutable_ids=call.style.immutable_ids,
        filtered=watched.filtered,
        folder_id=watched.folder_id,
    )


def _time(text: str) -> datetime:
    problem = bad_body(f"Cannot convert the literal '{text}' to the expected type 'Edm.DateTimeOffset'.")
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is None:
            raise problem
        return at.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise problem from error


def _check_url(call: Call, url: str) -> None:
    try:
        parts = urlsplit(url)
        callable_at = bool(httpx.URL(url).host) and parts.port != 0
    except (ValueError, httpx.InvalidURL) as error:
        raise GraphError(400, "InvalidRequest", "The notification URL is not a valid address.") from error
    loopback = parts.hostname in {"localhost", "127.0.0.1", "::1"} and call.world.config.allow_http_loopback
    if not callable_at:
        raise GraphError(400, "InvalidRequest", "The notification URL is not a valid address.")
    if parts.scheme != "https" and not (parts.scheme == "http" and loopback):
        raise GraphError(400, "InvalidRequest", "The notification URL must be an HTTPS address.")


def _check_duplicate(call: Call, wanted: Subscription) -> None:
    mine = call.world.subscriptions.owned_by(call.caller)
    if call.world.subscriptions.count(call.caller.user) >= QUOTA:
        raise GraphError(403, "Forbidden", "The subscription quota of 1000 for this mailbox is exceeded.")
    if call.world.knobs.text("duplicate_subscription") != "conflict":
        return
    for existing in mine:
        same_types = set(existing.change_types) == set(wanted.change_types)
        if existing.resource.lower() == wanted.resource.lower() and same_types:
            text = f"Subscription Id {existing.subscription_id} already exists for the requested combination"
            raise GraphError(409, "ObjectIdentifierInUse", text)


async def list_subscriptions(call: Call) -> Reply:
    """GET the app's own subscriptions of this user."""
    shown = [subscription.shown() for subscription in call.world.subscriptions.owned_by(call.caller)]
    return Reply(200, {"@odata.context": call.context("subscriptions"), "value": shown})


async def get_subscription(call: Call) -> Reply:
    """GET one subscription."""
    found = call.world.subscriptions.find(call.caller, call.ids["subscription"])
    return Reply(200, {"@odata.context": call.context("subscriptions/$entity"), **found.shown()})


async def update_subscription(call: Call) -> Reply:
    """PATCH a new expiry, which also reauthorizes."""
    body = call.json_body()
    _check_members(body)
    if others := set(body) - {"expirationDateTime", "@odata.type"}:
        raise not_simulated(f"changing {min(others)} of a subscription")
    found = call.world.subscriptions.find(call.caller, call.ids["subscription"])
    if "expirationDateTime" not in body:
        raise bad_request("expirationDateTime is required.", "InvalidRequest")
    expires_at = call.world.subscriptions.expiry(_time(str(body["expirationDateTime"])))
    if call.world.knobs.text("revalidate_on_renew") == "yes":
        await call.world.notifier.validate(found.notification_url, found.user.address)
    call.world.subscriptions.renew(found, call.caller, expires_at)
    return Reply(200, {"@odata.context": call.context("subscriptions/$entity"), **found.shown()})


async def reauthorize(call: Call) -> Reply:
    """POST reauthorize: take over the caller's token, keep the expiry."""
    found = call.world.subscriptions.find(call.caller, call.ids["subscription"])
    if call.world.knobs.text("revalidate_on_renew") == "yes":
        await call.world.notifier.validate(found.notification_url, found.user.address)
    call.world.subscriptions.renew(found, call.caller, None)
    return Reply(204)


async def delete_subscription(call: Call) -> Reply:
    """DELETE a subscription."""
    found = call.world.subscriptions.find(call.caller, call.ids["subscription"])
    call.world.subscriptions.remove(found, notify=False)
    return Reply(204)
