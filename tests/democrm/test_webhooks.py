"""The webhook endpoint: what proves a delivery, what refuses one, and that each event counts once."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from tests.democrm.conftest import SECRET, Browser, Clock, Postman, a_message

OTHER_SECRET = "whsec_" + base64.b64encode(b"o" * 32).decode()


def test_accepts_a_signed_event(postman: Postman) -> None:
    """A correctly signed event is kept and answered with 204."""
    assert postman.deliver("endpoint.verify", {}).status_code == 204


@pytest.mark.parametrize(
    "changes",
    [
        {"secret": OTHER_SECRET},
        {"sent_body": b'{"type":"message.sent"}'},
        {"sent_body": b"\xff\xfe"},
        {"headers": {"webhook-signature": None}},
        {"headers": {"webhook-signature": "v1"}},
        {"headers": {"webhook-signature": "v1a,AAAA v1,????"}},
        {"headers": {"webhook-id": None}},
        {"headers": {"webhook-id": "evt_other"}},
        {"headers": {"webhook-timestamp": None}},
        {"headers": {"webhook-timestamp": "soon"}},
        {"late_seconds": -301},
        {"late_seconds": 301},
    ],
)
def test_refuses_what_is_not_proven(postman: Postman, browser: Browser, changes: dict[str, Any]) -> None:
    """A delivery with a wrong, missing or old proof is answered with 401 and changes nothing."""
    assert postman.deliver("message.received", a_message(), **changes).status_code == 401
    assert browser.get("/api/events").json()["events"] == []


def test_time_is_the_worlds(postman: Postman, clock: Clock) -> None:
    """The tolerance of five minutes for a delivery's time is measured on the world's clock."""
    clock.current += timedelta(days=40)
    assert postman.deliver("endpoint.verify", {}, late_seconds=-299).status_code == 204


def test_accepts_a_rotated_secret_among_several(postman: Postman, clock: Clock) -> None:
    """A delivery is accepted when one of its signatures fits, as while a secret is being rotated."""
    body = '{"type":"endpoint.verify","timestamp":"2031-05-06T09:00:00Z","data":{}}'
    both = [Webhook(secret).sign("evt_1", clock.now(), body) for secret in (OTHER_SECRET, SECRET)]
    headers = {"webhook-signature": " ".join(both)}
    assert postman.deliver("endpoint.verify", {}, body=body, headers=headers).status_code == 204


def test_an_event_counts_once(postman: Postman, browser: Browser) -> None:
    """A repeated webhook id is answered with success and changes nothing but the count of deliveries."""
    first = postman.deliver("message.received", a_message(), event_id="evt_7")
    again = postman.deliver("message.received", a_message(subject="Other"), event_id="evt_7")
    assert (first.status_code, again.status_code) == (204, 200)
    (event,) = browser.get("/api/events").json()["events"]
    assert event["deliveries"] == 2
    (conversation,) = browser.get("/api/conversations").json()["conversations"]
    assert (conversation["message_count"], conversation["subject"]) == (1, "Re: Offer")


@pytest.mark.parametrize(("body", "status"), [("{", 400), ('{"type": 5}', 400), ("[]", 400)])
def test_malformed_bodies(postman: Postman, body: str, status: int) -> None:
    """A signed body that is no event envelope is refused as malformed."""
    assert postman.deliver("x", {}, body=body).status_code == status


def test_data_against_the_contract(postman: Postman, browser: Browser) -> None:
    """An event whose data breaks the contract is refused and can be delivered again."""
    broken = a_message()
    del broken["thread_id"]
    assert postman.deliver("message.received", broken, event_id="evt_1").status_code == 422
    assert postman.deliver("message.received", a_message(), event_id="evt_1").status_code == 204
    notes = [attempt["status"] for attempt in browser.get("/__control/events").json()["attempts"]]
    assert notes == [422, 204]


def test_mail_without_a_sender(postman: Postman, browser: Browser) -> None:
    """A mail whose `from` is null is kept and can be looked at."""
    assert postman.deliver("message.received", a_message(**{"from": None})).status_code == 204
    assert browser.get("/conversations").status_code == 200


def test_unknown_types_are_kept_and_ignored(postman: Postman, browser: Browser) -> None:
    """An event of a type that we do not know is accepted and changes no conversation."""
    assert postman.deliver("message.imagined", {"a": 1}).status_code == 204
    assert browser.get("/api/conversations").json() == {"conversations": []}


def test_an_outage_refuses_the_next_deliveries(postman: Postman, browser: Browser) -> None:
    """During an outage deliveries are answered with its status, then accepted again."""
    browser.post("/__control/outage", json={"count": 2, "status": 429, "retry_after_seconds": 9})
    first = postman.deliver("endpoint.verify", {}, event_id="evt_1")
    codes = [postman.deliver("endpoint.verify", {}, event_id="evt_1").status_code for _ in range(2)]
    assert (first.status_code, first.headers["retry-after"]) == (429, "9")
    assert codes == [429, 204]


def test_reset_returns_to_the_seed(postman: Postman, browser: Browser) -> None:
    """A reset forgets conversations and events and keeps the seeded people."""
    postman.deliver("message.received", a_message())
    browser.post("/__control/reset")
    state = browser.get("/__control/state").json()
    assert (len(state["users"]), len(state["contacts"])) == (2, 4)
    assert state["messages"] == state["events"] == state["conversations"] == []
