"""Subscriptions that Graph refuses, or says it has already."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from shared.domain import errors
from shared.domain.model import Subscription
from shared.graph.provider import GraphMail
from tests.builders import NOW
from tests.unit.graph.conftest import Tokens, Wire

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
    there = {one["id"]: one for one in existing}

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
    """A create whose answer was lost is found again instead of made twice."""
    conflict(wire, older(clientState=STATE))
    assert (await subscribe(mail, ann)).subscription_id == "old"
    assert wire.calls() == ["POST /subscriptions", "GET /subscriptions"]


@pytest.mark.parametrize("state", ["v1.key.1.nonce.mac", None])
async def test_an_older_one_gives_way(wire: Wire, mail: GraphMail, ann: Tokens, state: str | None) -> None:
    """One that speaks for another generation would have all its notifications dropped, so it is replaced."""
    elsewhere = "https://app.example/api/graph/notifications/the-secret-before"
    conflict(wire, older(clientState=state), older(id="older", clientState=state, notificationUrl=elsewhere))
    assert (await subscribe(mail, ann)).subscription_id == "new"
    deleted = ["DELETE /subscriptions/old", "DELETE /subscriptions/older"]
    assert wire.calls() == ["POST /subscriptions", "GET /subscriptions", *deleted, "POST /subscriptions"]


@pytest.mark.parametrize("ends", ["2026-03-02T09:30:00.5Z", "2026-03-02T10:31:01+01:00"])
async def test_a_younger_one_is_left_alone(wire: Wire, mail: GraphMail, ann: Tokens, ends: str) -> None:
    """Somebody made it after this slow worker had begun: the conflict waits, or nobody would have one."""
    conflict(wire, older(clientState="v1.key.1.nonce.mac", expirationDateTime=ends))
    with pytest.raises(errors.ProviderUnavailable):
        await subscribe(mail, ann)
    assert "DELETE" not in {one.method for one in wire.requests}


async def test_somebody_elses_is_left_alone(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """A subscription that notifies another host is not ours to remove; the conflict waits."""
    conflict(wire, older(notificationUrl="https://staging.example/n"))
    with pytest.raises(errors.ProviderUnavailable):
        await subscribe(mail, ann)
    assert "DELETE" not in {one.method for one in wire.requests}


async def test_a_refused_filter_is_told(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """Where the workload does not take the filter the caller hears exactly that."""
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
    """A failed handshake or an outage says nothing about the filter, and is no refusal of anything."""
    wire.then(status, {"error": {"code": code, "message": message}})
    with pytest.raises((errors.Ambiguous, errors.ProviderUnavailable)):
        await subscribe(mail, ann)


async def test_gone_is_removed(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """Removing what is not there is fine; renewing it says so."""
    wire.then(404, {"error": {"code": "ResourceNotFound"}})
    await mail.unsubscribe(ann, "sub")
    with pytest.raises(errors.SubscriptionGone):
        await mail.renew(ann, "sub", NOW)


async def test_all_pages_of_the_list(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """Spares on a second page are found too."""
    link = "https://graph.example/v1.0/subscriptions?$skiptoken=x"
    wire.then(200, {"value": [older()], "@odata.nextLink": link}).then(200, {"value": [GRANTED]})
    assert [one.subscription_id for one in await mail.subscriptions(ann)] == ["old", "new"]
