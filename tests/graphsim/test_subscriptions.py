"""Subscriptions: made, shown, renewed, gone."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.graphsim.conftest import ANN, BEN, HOOK, IMMUTABLE, LIFE, App, Lab

INBOX = "/me/mailFolders('inbox')/messages"


def wanted(lab: Lab, minutes: float = 600, **changes: Any) -> dict[str, Any]:
    body = {
        "changeType": "created", "notificationUrl": HOOK, "resource": "me/messages", "clientState": "state",
        "expirationDateTime": (lab.clock.now() + timedelta(minutes=minutes)).isoformat(), **changes,
    }  # fmt: skip
    return {name: value for name, value in body.items() if value is not None}


def minutes_left(lab: Lab, shown: dict[str, Any]) -> float:
    return (datetime.fromisoformat(shown["expirationDateTime"]) - lab.clock.now()).total_seconds() / 60


async def test_a_subscription_is_made(lab: Lab, app: App) -> None:
    """A new subscription is answered whole after its address has passed the handshake, unset members as null."""
    answer = await app("POST", "subscriptions", wanted(lab))
    made = answer.json()
    assert answer.status_code == 201
    assert made["@odata.context"].endswith("$metadata#subscriptions/$entity")
    assert (made["resource"], made["changeType"], made["clientState"]) == ("me/messages", "created", "state")
    assert (made["lifecycleNotificationUrl"], made["latestSupportedTlsVersion"]) == (None, "v1_2")
    assert made["creatorId"] == (await app.ok("GET", "me"))["id"]
    assert len(made["expirationDateTime"].partition(".")[2]) == 8
    (handshake,) = lab.endpoint.handshakes
    assert (handshake.method, handshake.content) == ("POST", b"")
    assert handshake.headers["content-type"] == "text/plain; charset=utf-8"


async def test_the_handshake_keeps_the_query(lab: Lab, app: App) -> None:
    """The handshake's token is added to the address's own query and holds blanks and colons."""
    await app.ok("POST", "subscriptions", wanted(lab, notificationUrl=f"{HOOK}?key=a%20b"))
    (handshake,) = lab.endpoint.handshakes
    assert handshake.url.params["key"] == "a b"
    assert {" ", ":"} <= set(handshake.url.params["validationToken"])


async def test_both_addresses_are_validated(lab: Lab, app: App) -> None:
    """The lifecycle address passes a handshake too, also when it is the same one."""
    await app.ok("POST", "subscriptions", wanted(lab, lifecycleNotificationUrl=LIFE))
    await app.ok("POST", "subscriptions", wanted(lab, lifecycleNotificationUrl=HOOK, resource=INBOX))
    assert [handshake.url.path for handshake in lab.endpoint.handshakes] == [
        "/hook",
        "/life",
        "/hook",
        "/hook",
    ]


def _slow(token: str) -> httpx.Response:
    raise httpx.ReadTimeout(token)


@pytest.mark.parametrize(
    ("handshake", "code"),
    [
        (_slow, "InvalidRequest"),
        (lambda token: httpx.Response(202, text=token), "ValidationError"),
        (lambda token: httpx.Response(200, json=token), "ValidationError"),
        (lambda token: httpx.Response(200, text=token.replace(" ", "+")), "ValidationError"),
        (lambda token: httpx.Response(200, html=token), "ValidationError"),
    ],
    ids=["timeout", "202", "json", "encoded", "html"],
)
async def test_a_failed_handshake(lab: Lab, app: App, handshake: Any, code: str) -> None:
    """A handshake that is late or answered with another status, type or text makes no subscription."""
    lab.endpoint.handshake = handshake
    assert await app.refused("POST", "subscriptions", wanted(lab)) == (400, code)
    assert (await app.ok("GET", "subscriptions"))["value"] == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"resource": None}, (400, "InvalidRequest")),
        ({"changeType": None}, (400, "InvalidRequest")),
        ({"notificationUrl": None}, (400, "InvalidRequest")),
        ({"expirationDateTime": None}, (400, "InvalidRequest")),
        ({"changeType": "created,moved"}, (400, "InvalidRequest")),
        ({"clientState": "x" * 129}, (400, "InvalidRequest")),
        ({"notificationUrl": "http://app.example/hook"}, (400, "InvalidRequest")),
        ({"lifecycleNotificationUrl": "http://app.example/life"}, (400, "InvalidRequest")),
        ({"expirationDateTime": "tomorrow"}, (400, "RequestBodyRead")),
        ({"expirationDateTime": "2026-03-05T00:00:00"}, (400, "RequestBodyRead")),
        ({"expirationDateTime": "2026-03-01T00:00:00Z"}, (400, "InvalidRequest")),
        ({"colour": "red"}, (400, "RequestBodyRead")),
        ({"resource": "me/events"}, (400, "ExtensionError")),
        ({"resource": "me/messages?$top=5"}, (400, "ExtensionError")),
        ({"resource": "me/messages?$select=body"}, (400, "ExtensionError")),
        ({"resource": "me/mailFolders/AQMkxxxxxxxxxxxxxxxxxxxxxxxxxx/messages"}, (404, "ExtensionError")),
        ({"resource": f"users/{BEN}/messages"}, (403, "ExtensionError")),
        ({"includeResourceData": True}, (501, "SimulatorNotImplemented")),
    ],
)
async def test_wrong_subscriptions(
    lab: Lab, app: App, changes: dict[str, Any], expected: tuple[int, str]
) -> None:
    """A subscription with anything missing, malformed or not to be watched is refused before any handshake."""
    assert await app.refused("POST", "subscriptions", wanted(lab, **changes)) == expected
    assert lab.endpoint.handshakes == []


@pytest.mark.parametrize(
    "resource", ["me/messages", "/me/messages", INBOX, "me/mailFolders/sentitems/messages"]
)
async def test_what_can_be_watched(lab: Lab, app: App, resource: str) -> None:
    """The whole mailbox or a folder can be watched, and is shown as it was asked for."""
    made = await app.ok("POST", "subscriptions", wanted(lab, resource=resource))
    assert made["resource"] == resource
    own = await app.ok("POST", "subscriptions", wanted(lab, resource=f"users/{ANN}/messages"))
    assert own["id"] != made["id"]


async def test_drafts_can_be_left_out(lab: Lab, app: App) -> None:
    """The filter on drafts is refused, or accepted by the knob; other filters are not implemented."""
    body = wanted(lab, resource="me/messages?$filter=isDraft eq false")
    assert await app.refused("POST", "subscriptions", body) == (400, "ExtensionError")
    await lab.knobs(subscription_is_draft_filter="accepted")
    assert await app.ok("POST", "subscriptions", body)
    other = wanted(lab, resource="me/messages?$filter=isRead eq false")
    assert await app.refused("POST", "subscriptions", other) == (501, "SimulatorNotImplemented")


async def test_how_long(lab: Lab, app: App) -> None:
    """A subscription lives 45 minutes at least and seven days at most. More is refused or, by the knob, cut."""
    short = await app.ok("POST", "subscriptions", wanted(lab, minutes=5))
    assert minutes_left(lab, short) == 45
    long = await app.ok("POST", "subscriptions", wanted(lab, minutes=10_080, resource=INBOX))
    assert minutes_left(lab, long) == 10_080
    sent = "me/mailFolders('sentitems')/messages"
    assert await app.refused("POST", "subscriptions", wanted(lab, minutes=10_081, resource=sent)) == (
        400,
        "InvalidRequest",
    )
    await lab.knobs(expiration_over_maximum="clamp")
    cut = await app.ok("POST", "subscriptions", wanted(lab, minutes=20_000, resource=sent))
    assert minutes_left(lab, cut) == 10_080


async def test_the_same_once_more(lab: Lab, app: App) -> None:
    """A second subscription to the same is a conflict that names the first, unless the knob allows it."""
    made = await app.ok("POST", "subscriptions", wanted(lab))
    again = await app("POST", "subscriptions", wanted(lab))
    assert (again.status_code, again.json()["error"]["code"]) == (409, "ObjectIdentifierInUse")
    assert made["id"] in again.json()["error"]["message"]
    assert await app.ok("POST", "subscriptions", wanted(lab, changeType="created,updated"))
    await lab.knobs(duplicate_subscription="allowed")
    assert (await app.ok("POST", "subscriptions", wanted(lab)))["id"] != made["id"]


async def test_a_thousand(lab: Lab, app: App) -> None:
    """A mailbox has room for 1,000 subscriptions of all apps together."""
    await app.ok("POST", "subscriptions", wanted(lab))
    world = lab.simulator.world
    (subscription,) = world.subscriptions.items.values()
    subscription.client_id = "another-app"
    world.subscriptions.items |= {f"{number}": subscription for number in range(999)}
    answer = await app("POST", "subscriptions", wanted(lab, resource=INBOX))
    assert answer.status_code == 403
    assert "1000" in answer.json()["error"]["message"]
    ben = await lab.app(BEN)
    assert await ben.ok("POST", "subscriptions", wanted(lab))


@pytest.mark.parametrize(
    ("scope", "knob", "status"),
    [
        ("Mail.Read", "read_only", 201),
        ("Mail.ReadBasic", "read_only", 201),
        ("Mail.ReadWrite", "read_only", 403),
        ("Mail.ReadWrite", "write_too", 201),
        ("Mail.Send", "write_too", 403),
    ],
)
async def test_the_scope_of_a_subscription(lab: Lab, scope: str, knob: str, status: int) -> None:
    """A subscription needs a scope for reading; by the knob the one for writing suffices."""
    await lab.knobs(subscription_scope=knob)
    answer = await (await lab.app(scope=scope))("POST", "subscriptions", wanted(lab))
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["error"]["code"] == "ExtensionError"
        assert "Status Code: Forbidden" in answer.json()["error"]["message"]


async def test_listing_and_looking(lab: Lab, app: App) -> None:
    """An app sees its own subscriptions of this person, and of others not even that they exist."""
    made = await app.ok("POST", "subscriptions", wanted(lab))
    ben = await lab.app(BEN)
    await ben.ok("POST", "subscriptions", wanted(lab))
    assert [subscription["id"] for subscription in (await app.ok("GET", "subscriptions"))["value"]] == [
        made["id"]
    ]
    assert (await app.ok("GET", f"subscriptions/{made['id']}"))["id"] == made["id"]
    for method, body in (
        ("GET", None),
        ("PATCH", {"expirationDateTime": "2026-03-05T00:00:00Z"}),
        ("DELETE", None),
    ):
        assert await ben.refused(method, f"subscriptions/{made['id']}", body) == (404, "ResourceNotFound")


async def test_renewing(lab: Lab, app: App) -> None:
    """PATCH sets a new expiry by the same rules, and repeats the handshake unless the knob says not to."""
    made = await app.ok("POST", "subscriptions", wanted(lab, minutes=60))
    path = f"subscriptions/{made['id']}"
    later = {"expirationDateTime": (lab.clock.now() + timedelta(days=6)).isoformat()}
    assert minutes_left(lab, await app.ok("PATCH", path, later)) == 6 * 1440
    assert len(lab.endpoint.handshakes) == 2
    lab.endpoint.handshake = _slow
    assert await app.refused("PATCH", path, later) == (400, "InvalidRequest")
    assert await app.refused("POST", f"{path}/reauthorize") == (400, "InvalidRequest")
    await lab.knobs(revalidate_on_renew="no")
    assert await app.ok("PATCH", path, later)
    answer = await app("POST", f"{path}/reauthorize")
    assert (answer.status_code, answer.content) == (204, b"")
    assert minutes_left(lab, await app.ok("GET", path)) == 6 * 1440


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, (400, "InvalidRequest")),
        ({"expirationDateTime": "soon"}, (400, "RequestBodyRead")),
        ({"expirationDateTime": "2027-01-01T00:00:00Z"}, (400, "InvalidRequest")),
        ({"colour": "red"}, (400, "RequestBodyRead")),
        ({"notificationUrl": HOOK}, (501, "SimulatorNotImplemented")),
    ],
)
async def test_wrong_renewals(lab: Lab, app: App, body: dict[str, Any], expected: tuple[int, str]) -> None:
    """A renewal without a usable new time is refused."""
    made = await app.ok("POST", "subscriptions", wanted(lab))
    assert await app.refused("PATCH", f"subscriptions/{made['id']}", body) == expected


async def test_deleting_one(lab: Lab, app: App) -> None:
    """A deleted subscription is gone for every call."""
    made = await app.ok("POST", "subscriptions", wanted(lab))
    path = f"subscriptions/{made['id']}"
    assert (await app("DELETE", path)).status_code == 204
    assert await app.refused("DELETE", path) == (404, "ResourceNotFound")
    assert await app.refused("POST", f"{path}/reauthorize") == (404, "ResourceNotFound")


async def test_expiring(lab: Lab, app: App) -> None:
    """A subscription that was not renewed in time is gone, and one that was renewed still notifies."""
    kept = await app.ok("POST", "subscriptions", wanted(lab, minutes=50))
    gone = await app.ok("POST", "subscriptions", wanted(lab, minutes=50, resource=INBOX))
    later = {"expirationDateTime": (lab.clock.now() + timedelta(minutes=100)).isoformat()}
    await app.ok("PATCH", f"subscriptions/{kept['id']}", later)
    await lab.pass_time(51 * 60)
    assert await app.refused("PATCH", f"subscriptions/{gone['id']}", later) == (404, "ResourceNotFound")
    assert await app.ok("GET", f"subscriptions/{kept['id']}")
    await lab.arrives()
    assert {notification["subscriptionId"] for notification in lab.endpoint.items()} == {kept["id"]}


async def test_the_form_of_ids_is_chosen_once(lab: Lab, app: App) -> None:
    """Prefer on its creation decides which ids a subscription's notifications carry."""
    await app.ok("POST", "subscriptions", wanted(lab), **IMMUTABLE)
    await app.ok("POST", "subscriptions", wanted(lab, resource=INBOX))
    mail = await lab.arrives()
    ids = {notification["resourceData"]["id"] for notification in lab.endpoint.items()}
    assert ids == {mail["id"], mail["ordinary_id"]}
