"""Lifecycle notifications, and what the end of a token does to a subscription."""

from __future__ import annotations

import pytest

from tests.graphsim.conftest import ANN, BEN, App, Lab
from tests.graphsim.test_notifications import CALM, watch

HOUR = 3600


@pytest.fixture
async def calm(lab: Lab) -> Lab:
    await lab.knobs(**CALM, access_token_seconds=HOUR)
    return lab


@pytest.fixture
async def app(calm: Lab) -> App:
    """Signed in for exactly an hour."""
    return await calm.app()


def events(lab: Lab) -> list[str]:
    return [notification["lifecycleEvent"] for notification in lab.endpoint.items("/life")]


async def test_a_token_near_its_end(calm: Lab, app: App) -> None:
    """Reauthorization is asked for 20 and 5 minutes before a token ends, with the secret and without a change."""
    subscription = await watch(calm, app)
    await calm.pass_time(40 * 60 - 10)
    assert events(calm) == []
    await calm.pass_time(60)
    assert events(calm) == ["reauthorizationRequired"]
    (item,) = calm.endpoint.items("/life")
    assert (item["subscriptionId"], item["clientState"]) == (subscription, "state")
    assert not {"changeType", "resource", "resourceData"} & set(item)
    await calm.pass_time(20 * 60)
    assert events(calm) == ["reauthorizationRequired"] * 2


@pytest.mark.parametrize(("knob", "count"), [("late", 2), ("formula", 4), ("none", 0)])
async def test_how_often_it_is_asked(calm: Lab, app: App, knob: str, count: int) -> None:
    """By the knob reauthorization is asked for late, by the documented formula, or never."""
    await calm.knobs(reauthorization_events=knob)
    await watch(calm, app)
    await calm.pass_time(HOUR)
    assert events(calm) == ["reauthorizationRequired"] * count


@pytest.mark.parametrize("way", ["PATCH", "reauthorize"])
async def test_a_fresh_token_ends_the_asking(calm: Lab, app: App, way: str) -> None:
    """A renewal or reauthorization binds a subscription to the token that carried it."""
    subscription = await watch(calm, app)
    await calm.pass_time(30 * 60)
    fresh = await calm.app()
    if way == "PATCH":
        await fresh.ok(
            "PATCH", f"subscriptions/{subscription}", {"expirationDateTime": "2026-03-07T00:00:00Z"}
        )
    else:
        await fresh.ok("POST", f"subscriptions/{subscription}/reauthorize")
    await calm.pass_time(31 * 60)
    assert events(calm) == []
    await calm.arrives()
    assert len(calm.endpoint.items()) == 1


async def test_the_pause(calm: Lab, app: App) -> None:
    """Notifications wait while the token has ended, and all come when it is reauthorized within four hours."""
    subscription = await watch(calm, app, "created")
    await calm.pass_time(HOUR)
    mail = await calm.arrives()
    await calm.pass_time(1.5 * HOUR)
    assert calm.endpoint.items() == []
    assert (await calm.control("GET", "subscriptions"))["subscriptions"][0]["paused"] is True
    await (await calm.app()).ok("POST", f"subscriptions/{subscription}/reauthorize")
    await calm.pass_time(HOUR)
    assert [notification["resourceData"]["id"] for notification in calm.endpoint.items()] == [mail["id"]]


async def test_a_pause_too_long(calm: Lab, app: App) -> None:
    """A notification that waited for a token for more than four hours is lost."""
    subscription = await watch(calm, app, "created")
    await calm.pass_time(HOUR)
    await calm.arrives()
    await calm.pass_time(6 * HOUR)
    await (await calm.app()).ok("POST", f"subscriptions/{subscription}/reauthorize")
    await calm.pass_time(6 * HOUR)
    assert calm.endpoint.items() == []


async def test_no_pause(calm: Lab, app: App) -> None:
    """With the knob notifications are delivered although the token has ended."""
    await calm.knobs(subscription_pauses_with_token="no")
    await watch(calm, app, "created")
    await calm.pass_time(HOUR)
    await calm.arrives()
    assert len(calm.endpoint.items()) == 1


async def test_revoked_sessions_remove(calm: Lab, app: App) -> None:
    """Revoked sessions remove that person's subscriptions with a notification, and nobody else's."""
    await watch(calm, app)
    ben = await calm.app(BEN)
    await watch(calm, ben)
    await calm.control("POST", f"users/{ANN}/revoke")
    await calm.pass_time()
    assert events(calm) == ["subscriptionRemoved"]
    assert len((await calm.control("GET", "subscriptions"))["subscriptions"]) == 1
    assert (await (await calm.app()).ok("GET", "subscriptions"))["value"] == []


async def test_revoked_sessions_pause(calm: Lab, app: App) -> None:
    """With the knob a subscription outlives revoked sessions, without delivery until it is reauthorized."""
    await calm.knobs(revocation_removes_subscriptions="no")
    subscription = await watch(calm, app, "created")
    await calm.control("POST", f"users/{ANN}/revoke")
    await calm.arrives()
    assert calm.endpoint.posts == []
    await (await calm.app()).ok("POST", f"subscriptions/{subscription}/reauthorize")
    await calm.pass_time(HOUR / 2)
    assert len(calm.endpoint.items()) == 1


@pytest.mark.parametrize("event", ["missed", "reauthorizationRequired", "subscriptionRemoved"])
async def test_events_by_hand(calm: Lab, app: App, event: str) -> None:
    """The controls can send each lifecycle event, and subscriptionRemoved removes the subscription."""
    subscription = await watch(calm, app)
    await calm.control("POST", f"subscriptions/{subscription}/lifecycle", {"event": event})
    await calm.pass_time()
    assert events(calm) == [event]
    left = (await calm.control("GET", "subscriptions"))["subscriptions"]
    assert len(left) == (0 if event == "subscriptionRemoved" else 1)


async def test_without_an_address_for_them(calm: Lab, app: App) -> None:
    """A subscription without a lifecycle address gets no lifecycle notification."""
    subscription = await watch(calm, app, lifecycleNotificationUrl=None)
    await calm.control("POST", f"subscriptions/{subscription}/lifecycle", {"event": "missed"})
    await calm.pass_time()
    assert calm.endpoint.posts == []
