"""Kinds of mail and bounces, as the CRM shows them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.democrm.conftest import Browser, Postman, StandIn, a_message
from tests.democrm.test_conversations import conversation_of, send


def a_bounce(of: str, **bounced: Any) -> dict[str, Any]:
    """`data` of message.bounced about the message with that product id."""
    said = {
        "recipient": "carla@contoso-customer.example",
        "status": "5.1.1",
        "diagnostic_code": "550 5.1.1 unknown",
    }
    told = {**said, "action": "failed", "message_id": of, "crm_message_id": None, "others": [], **bounced}
    sender = {"name": "Microsoft Outlook", "address": "postmaster@x.example"}
    return {
        "kind": "bounce",
        "automatic": True,
        "bounced": told,
        "from": sender,
        "id": f"msg_of_{told['action']}",
    }


def test_a_bounce_is_shown_at_its_original(browser: Browser, postman: Postman) -> None:
    """A bounce stands in the conversation, and what came back stands at the original; a failure outlasts a delay."""
    message = send(browser).json()
    own = {"thread_id": message["thread_id"]}
    for action in ("delayed", "failed", "delayed"):
        bounce = a_bounce(message["product_id"], crm_message_id=message["id"], action=action)
        postman.deliver("message.bounced", a_message(**own, **bounce))
    original, *reports = conversation_of(browser)["messages"]
    assert [(found["recipient"], found["action"]) for found in original["bounces"]] == [
        ("carla@contoso-customer.example", "failed")
    ]
    assert {(report["kind"], report["status"]) for report in reports} == {("bounce", "received")}
    page = browser.get(f"/conversations/{message['conversation_id']}").text
    assert "Not delivered to carla@contoso-customer.example (5.1.1)" in page
    assert "Delivery report" in page


def test_a_bounce_may_be_told_before_its_original(browser: Browser, postman: Postman) -> None:
    """A bounce of the user's own mail is shown there too when that mail is told after it."""
    postman.deliver("message.received", a_message())
    postman.deliver("message.bounced", a_message(**a_bounce("msg_own")))
    postman.deliver("message.sent", a_message(id="msg_own", direction="outbound"))
    found = [m for m in conversation_of(browser)["messages"] if m["product_id"] == "msg_own"]
    assert [bounce["action"] for bounce in found[0]["bounces"]] == ["failed"]


def test_nobody_writes_to_a_mail_system(browser: Browser, postman: Postman, product: StandIn) -> None:
    """A reply after a bounce or an automatic answer goes to the people of the newest mail that a person wrote."""
    message = send(browser).json()
    postman.deliver(
        "message.bounced", a_message(thread_id=message["thread_id"], **a_bounce(message["product_id"]))
    )
    send(browser, conversation_id=message["conversation_id"], to=None)
    assert [person["address"] for person in product.sent()[-1]["to"]] == [
        person["address"] for person in product.sent()[0]["to"]
    ]


@pytest.mark.parametrize(
    ("kind", "words"), [("automatic_reply", "Automatic reply"), ("meeting_request", "Invitation")]
)
def test_the_kind_is_shown(browser: Browser, postman: Postman, kind: str, words: str) -> None:
    """What sort of mail a message is stands at it in words; an unknown kind is shown as mail."""
    postman.deliver("message.received", a_message(kind=kind))
    postman.deliver("message.received", a_message(kind="fax", id="msg_2"))
    shown = conversation_of(browser)
    page = browser.get(f"/conversations/{shown['messages'][0]['conversation_id']}").text
    assert page.count(words) == 1
    assert "fax" not in page
