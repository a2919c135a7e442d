"""How sends, threads and connections stand: waiting, stopped, and what events about connections say."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.democrm.conftest import Browser, Clock, Postman, StandIn, a_message
from tests.democrm.test_conversations import conversation_of, send

MAILBOX = {"id": "mbx_1", "address": "ann@northwind.example"}
SINCE = "2031-05-06T09:00:00Z"


def waits(message: dict[str, Any], cause: str = "sign_in") -> dict[str, Any]:
    """`data` of `message.waiting`."""
    own = {"id": message["product_id"], "crm_message_id": message["id"]}
    return own | {"subject": "Offer", "mailbox": MAILBOX, "waiting_for": cause, "waiting_since": SINCE}


def fails(message: dict[str, Any], code: str = "waited_too_long") -> dict[str, Any]:
    """`data` of `message.failed`."""
    own = {"id": message["product_id"], "crm_message_id": message["id"]}
    return own | {"reason": {"code": code, "detail": "It was not sent."}}


def thread(message: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """`data` of `thread.stopped` and `thread.resumed`."""
    own = {"thread_id": message["thread_id"], "crm_thread_id": message["conversation_id"], "user_id": "u_ann"}
    return own | {"mailbox": MAILBOX, "crm_context": None, "contact_ids": []} | changes


def status_of(browser: Browser, message: dict[str, Any]) -> str:
    """The CRM's status of a message."""
    return str(browser.get(f"/api/messages/{message['id']}").json()["status"])


@pytest.mark.parametrize(
    ("answered", "status"),
    [
        ("accepted", "sending"),
        ("waiting", "waiting"),
        ("sent", "sent"),
        ("failed", "failed"),
        ("unconfirmed", "unconfirmed"),
        ("something new", "sending"),
    ],
)
def test_the_answers_status_is_taken(browser: Browser, product: StandIn, answered: str, status: str) -> None:
    """The status that Postbraid answers to a send is the CRM's, and an unknown one is never taken for sent."""
    product.answers = {"status": answered, "waiting_for": "microsoft_pause", "waiting_since": SINCE}
    if answered == "failed":
        product.answers["reason"] = {"code": "left_in_drafts", "detail": "It is still a draft."}
    message = send(browser).json()
    assert message["status"] == status
    assert (message["waiting"] is not None) == (status == "waiting")
    assert (message["reason"] is not None) == (status == "failed")


def test_waiting_has_a_reason_and_an_end(browser: Browser, postman: Postman) -> None:
    """A send that begins to wait says for what, and the event that ends it takes the reason away."""
    message = send(browser).json()
    postman.deliver("message.waiting", waits(message))
    shown = browser.get(f"/api/messages/{message['id']}").json()
    assert (shown["status"], shown["waiting"]) == ("waiting", {"cause": "sign_in", "since": SINCE})
    postman.deliver("message.failed", fails(message))
    shown = browser.get(f"/api/messages/{message['id']}").json()
    assert (shown["status"], shown["reason"]["code"], shown["waiting"]) == ("failed", "waited_too_long", None)


@pytest.mark.parametrize("outcome", ["message.sent", "message.failed", "message.unconfirmed"])
def test_a_late_waiting_changes_nothing(browser: Browser, postman: Postman, outcome: str) -> None:
    """`message.waiting` that comes after the outcome does not take it back."""
    message = send(browser).json()
    own = {"id": message["product_id"], "crm_message_id": message["id"]}
    sent = a_message(**own, crm_thread_id=message["conversation_id"], direction="outbound", origin="crm")
    postman.deliver(outcome, sent if outcome == "message.sent" else fails(message))
    postman.deliver("message.waiting", waits(message))
    assert status_of(browser, message) == outcome.partition(".")[2]


def test_a_stopped_thread(browser: Browser, postman: Postman) -> None:
    """A conversation knows which of its threads was stopped, by whom, and that it was resumed."""
    message = send(browser).json()
    postman.deliver("thread.stopped", thread(message, stopped_at=SINCE, stopped_by="user"))
    (shown,) = conversation_of(browser)["threads"]
    assert (shown["stopped"], shown["stopped_by"]) == (True, "user")
    postman.deliver("thread.resumed", thread(message, resumed_at="2031-05-06T10:00:00Z"))
    (shown,) = conversation_of(browser)["threads"]
    assert shown["stopped"] is False


def test_a_late_stop_does_not_undo_a_resume(browser: Browser, postman: Postman) -> None:
    """Of two events about a thread that come in the wrong order the newer one counts."""
    message = send(browser).json()
    postman.deliver("thread.resumed", thread(message, resumed_at="2031-05-06T10:00:00Z"))
    postman.deliver("thread.stopped", thread(message, stopped_at=SINCE))
    (shown,) = conversation_of(browser)["threads"]
    assert shown["stopped"] is False


def test_a_refused_send_tells_of_the_stop(browser: Browser, product: StandIn) -> None:
    """A reply that is refused with `thread-stopped` marks the thread as stopped, though no event has told it."""
    first = send(browser).json()
    problem = {"type": "https://postbraid.dev/problems/thread-stopped", "status": 409, "detail": "Stopped."}
    product.refuse_with = (409, problem)
    answer = send(browser, contact_id=None, conversation_id=first["conversation_id"], subject="")
    assert answer.json()["message"]["reason"]["code"] == "thread-stopped"
    (shown,) = conversation_of(browser)["threads"]
    assert shown["stopped"] is True


@pytest.mark.parametrize(
    "status", ["connected", "degraded", "reconnect_required", "disconnected", "something_new"]
)
def test_every_connection_event_is_taken(
    browser: Browser, postman: Postman, clock: Clock, status: str
) -> None:
    """Events about a connection set its status with the reason, and an older one that comes later does not."""
    kinds = {"connected": "connection.recovered"}
    data = {"user_id": "u_ann", "status": status, "mailbox": MAILBOX, "reason": "mailbox_unavailable"}
    postman.deliver(kinds.get(status, f"connection.{status}"), data)
    clock.current -= timedelta(minutes=1)
    postman.deliver("connection.degraded", data | {"status": "older"})
    (shown,) = browser.get("/api/connections").json()["connections"]
    assert (shown["status"], shown["reason"]) == (status, "mailbox_unavailable")


def test_an_updated_connection_names_both_mailboxes(browser: Browser, postman: Postman) -> None:
    """After `connection.updated` the CRM knows the new address and the one before."""
    new = {"id": "mbx_2", "address": "ann.archer@northwind.example"}
    data = {"user_id": "u_ann", "status": "connected", "mailbox": new, "previous_mailbox": MAILBOX}
    postman.deliver("connection.updated", data)
    (shown,) = browser.get("/api/connections").json()["connections"]
    assert (shown["address"], shown["previous_address"]) == (new["address"], MAILBOX["address"])


def test_what_was_taken_out_of_a_send_is_shown(browser: Browser, product: StandIn) -> None:
    """What Postbraid took out of a send's HTML is kept with the message and shown beneath it."""
    product.answers = {"warnings": ["styles that are not kept: 2"]}
    message = send(browser).json()
    assert message["warnings"] == ["styles that are not kept: 2"]
    page = browser.get(f"/conversations/{message['conversation_id']}").text
    assert "Left out of what was sent: styles that are not kept: 2" in page


@pytest.mark.parametrize("answer", ["2031-05-06T10:03:00Z", None, "refused"])
def test_when_a_held_message_is_looked_at_again(
    browser: Browser, product: StandIn, postman: Postman, answer: str | None
) -> None:
    """A message that nobody can read yet says when it is looked at again, where Postbraid tells."""
    reason = {"code": "message_unreadable", "detail": "", "files": []}
    told = postman.deliver("message.not_synced", a_message(reason=reason))
    assert told.is_success, told.text
    product.messages["msg_1"] = {"next_look_at": answer}
    if answer == "refused":
        product.refuse_with = (503, {"title": "Not now"})
    page = browser.get(f"/conversations/{conversation_of(browser)['id']}").text
    assert ("Looked at again:" in page) is (answer == "2031-05-06T10:03:00Z")
    assert ("10:03" in page) is (answer == "2031-05-06T10:03:00Z")
