"""Subscriptions that Graph refuses, or says it has already."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from shared.domain import errors
from shared.domain.model import Subscription
from shared.graph.provider import GraphMail
from shared.transport import Transport
from tests.builders import NOW
from tests.unit.graph.conftest import BASE, Tokens, Wire

URL = "https://app.example/api/graph/notifications/secret"
STATE = "v1.key.2.nonce.mac"
GRANTED = {
    "id": "new",
    "expirationDateTime": "2026-03-09T09:00:00Z",
    "clientState": STATE,
    "notificationUrl": URL,
}


async def subscribe(mail: GraphMail, ann: Tokens, *, filtered: bool = True) -> Subscription:
    return await mail.subscribe(
        ann, notification_url=URL, lifecycle_url=URL, client_state=STATE, expires_at=NOW, filtered=filtered
    )


def older(**members: Any) -> dict[str, Any]:
    return {**GRANTED, "id": "old", "expirationDateTime": "2026-03-02T09:30:00Z", **members}


def conflict(wire: Wire, *existing: dict[str, Any]) -> None:
    """409 until every existing one is removed, as Graph's rule on duplicates says."""
    there = {subscription["id"]: subscription for subscription in existing}

    def answer(request: httpx.Request) -> httpx.Response:
        last = request.url.path.rpartition("/")[2]
        if request.method == "GET":
            return httpx.Response(200, json={"value": list(there.values())})
        if request.method == "DELETE":
            return httpx.Response(204 if there.pop(last, None) else 404)
        if there:
            return httpx.Response(
                409, json={"error": {"code": "ObjectIdentifierInUse", "message": "Subscription Id x"}}
            )
        return httpx.Response(201, json=GRANTED)

    wire.answers.append(answer)


async def test_the_very_one_is_adopted(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """A subscription whose creation was not answered is found and adopted, not made twice."""
    conflict(wire, older(clientState=STATE))
    assert (await subscribe(mail, ann)).subscription_id == "old"
    assert wire.calls() == ["POST /subscriptions", "GET /subscriptions"]


@pytest.mark.parametrize("state", ["v1.key.1.nonce.mac", None])
async def test_an_older_one_gives_way(wire: Wire, mail: GraphMail, ann: Tokens, state: str | None) -> None:
    """Subscriptions of another generation are removed, and a new one is made."""
    elsewhere = "https://app.example/api/graph/notifications/the-secret-before"
    conflict(wire, older(clientState=state), older(id="older", clientState=state, notificationUrl=elsewhere))
    assert (await subscribe(mail, ann)).subscription_id == "new"
    deleted = ["DELETE /subscriptions/old", "DELETE /subscriptions/older"]
    assert wire.calls() == ["POST /subscriptions", "GET /subscriptions", *deleted, "POST /subscriptions"]


@pytest.mark.parametrize("ends", ["2026-03-02T09:30:00.5Z", "2026-03-02T10:31:01+01:00"])
async def test_a_younger_one_is_left_alone(wire: Wire, mail: GraphMail, ann: Tokens, ends: str) -> None:
    """A subscription that was made after this worker began is left alone, and the conflict waits."""
    conflict(wire, older(clientState="v1.key.1.nonce.mac", expirationDateTime=ends))
    with pytest.raises(errors.ProviderUnavailable):
        await subscribe(mail, ann)
    assert "DELETE" not in {request.method for request in wire.requests}


async def test_somebody_elses_is_left_alone(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """A subscription that notifies another host is left alone, and the conflict waits."""
    conflict(wire, older(notificationUrl="https://staging.example/n"))
    with pytest.raises(errors.ProviderUnavailable):
        await subscribe(mail, ann)
    assert "DELETE" not in {request.method for request in wire.requests}


async def test_a_refused_filter_is_told(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """A refused filter is told as such, and only when a filter was asked for."""
    text = "Operation: Create; Exception: [Status Code: BadRequest; Reason: The filter is not supported.]"
    wire.then(400, {"error": {"code": "ExtensionError", "message": text}})
    with pytest.raises(errors.MessageRefused) as caught:
        await subscribe(mail, ann)
    assert caught.value.reason == "filter_refused"
    with pytest.raises(errors.UpstreamSurprise):
        await subscribe(mail, ann, filtered=False)


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (400, "InvalidRequest", "Subscription validation request timed out."),
        (400, "ValidationError", "Subscription validation request failed. HTTP status code is 'NotFound'."),
        (
            403,
            "ExtensionError",
            "Operation: Create; Exception: [Status Code: Forbidden; Reason: ServiceUnavailable]",
        ),
        (403, "Forbidden", "The subscription quota is exceeded."),
        (503, "ExtensionError", "Operation: Create; Exception: [A task was canceled.]"),
        (500, "", ""),
    ],
)
async def test_other_refusals_keep_the_filter(
    wire: Wire, mail: GraphMail, ann: Tokens, status: int, code: str, message: str
) -> None:
    """A failed handshake, a quota or an outage is no refusal of the filter."""
    wire.then(status, {"error": {"code": code, "message": message}})
    with pytest.raises((errors.Ambiguous, errors.ProviderUnavailable)):
        await subscribe(mail, ann)


async def test_a_gateways_400_refuses_no_filter(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """The filter is given up for a refusal of Graph's alone: without it every draft is notified, for good."""
    wire.then(400, b"<html>")
    with pytest.raises(errors.NotItsAnswer):
        await subscribe(mail, ann)


async def test_gone_is_removed(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """Removing a subscription that is not there is no error, and renewing it says that it is gone."""
    wire.then(404, {"error": {"code": "ResourceNotFound"}})
    await mail.unsubscribe(ann, "sub")
    with pytest.raises(errors.SubscriptionGone):
        await mail.renew(ann, "sub", NOW)


async def test_all_pages_of_the_list(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """Existing subscriptions are listed over all pages."""
    link = "https://graph.example/v1.0/subscriptions?$skiptoken=x"
    wire.then(200, {"value": [older()], "@odata.nextLink": link}).then(200, {"value": [GRANTED]})
    assert [subscription.subscription_id for subscription in await mail.subscriptions(ann)] == ["old", "new"]


LIVE = "https://app.example/api/health/live"


@pytest.mark.parametrize(
    "own", [httpx.Response(200), httpx.Response(503), httpx.ConnectError("no"), httpx.ReadTimeout("")]
)
async def test_our_own_address_is_called_before_graph_calls_it(
    transport: Transport, wire: Wire, ann: Tokens, own: httpx.Response | Exception
) -> None:
    """Before a subscription is asked for or renewed our own address is called; that it fails stops nothing."""
    mail = GraphMail(transport, BASE, LIVE)
    wire.answers[:] = [own]
    wire.then(201, GRANTED)
    await subscribe(mail, ann)
    assert [str(request.url) for request in wire.requests] == [LIVE, f"{BASE}/subscriptions"]
    assert "authorization" not in wire.requests[0].headers
    wire.answers[:] = [own]
    wire.then(200, GRANTED)
    await mail.renew(ann, "sub-1", NOW)
    assert [str(request.url) for request in wire.requests[2:]] == [LIVE, f"{BASE}/subscriptions/sub-1"]
