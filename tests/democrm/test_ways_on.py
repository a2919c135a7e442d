"""What the pages say when something cannot be sent, and the ways on: connect, resume, edit and send again."""

from __future__ import annotations

from typing import Any

import pytest

from tests.democrm.conftest import Browser, Postman, StandIn
from tests.democrm.test_conversations import send
from tests.democrm.test_standing import MAILBOX, SINCE, fails, thread, waits

STOPPED = {
    "type": "https://postbraid.dev/problems/thread-stopped",
    "status": 409,
    "detail": "The user did it.",
}


def connection(postman: Postman, status: str = "connected") -> None:
    """Tell the CRM of Ann's connection."""
    postman.deliver(f"connection.{status}", {"user_id": "u_ann", "status": status, "mailbox": MAILBOX})


def page_of(browser: Browser, message: dict[str, Any]) -> str:
    """The page of a message's conversation."""
    return browser.get(f"/conversations/{message['conversation_id']}").text


@pytest.mark.parametrize(
    ("status", "closed", "words"),
    [
        (None, True, "Connect your Outlook to send from here."),
        ("disconnected", True, "Your Outlook is disconnected"),
        ("reconnect_required", False, "what you send waits until then"),
        ("degraded", False, ""),
        ("connected", False, ""),
    ],
)
def test_the_composer_of_a_user_without_a_mailbox(
    browser: Browser, postman: Postman, status: str | None, closed: bool, words: str
) -> None:
    """Who cannot send reads why and is led to the email settings, in both composers, instead of failing."""
    message = send(browser).json()
    if status:
        connection(postman, status)
    for page in (page_of(browser, message), browser.get("/conversations/new").text):
        assert ('data-testid="composer-closed"' in page) == closed
        assert ('data-testid="composer-settings"' in page) == closed
        assert ("<textarea" in page) != closed
        assert words in page


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        ("sign_in", "Waiting: its sender must sign in to Outlook again."),
        ("microsoft_pause", "Waiting: Microsoft has asked for a pause."),
        ("mailbox_unavailable", "Waiting: the mailbox cannot be reached now."),
        ("first_mail_of_thread", "Waiting: the first mail of this conversation is still on its way."),
        ("something_new", "Waiting: something new."),
    ],
)
def test_a_waiting_send_is_never_called_sent(
    browser: Browser, postman: Postman, cause: str, words: str
) -> None:
    """A send that waits says so and for what, in the conversation and in the list, and nowhere that it was sent."""
    message = send(browser).json()
    postman.deliver("message.waiting", waits(message, cause))
    page = page_of(browser, message)
    assert words in page
    assert words.rstrip(".") in browser.get("/conversations").text
    assert ">Sent<" not in page


def test_a_stopped_thread_is_resumed(browser: Browser, product: StandIn, postman: Postman) -> None:
    """A stopped conversation has a chip and instead of its composer a button that resumes it by the API."""
    connection(postman)
    message = send(browser).json()
    browser.post(f"/conversations/{message['conversation_id']}/stop")
    page = page_of(browser, message)
    assert 'data-testid="thread-stopped"' in page
    assert "Syncing of this conversation was stopped" in page
    assert "<textarea" not in page
    assert "Syncing stopped" in browser.get("/conversations").text
    page = browser.post(f"/conversations/{message['conversation_id']}/resume").text
    assert "<textarea" in page
    assert [request.url.path for request in product.requests[-2:]] == [
        f"/api/v1/threads/{message['thread_id']}/stop",
        f"/api/v1/threads/{message['thread_id']}/resume",
    ]


def test_what_the_user_stopped_only_the_user_resumes(browser: Browser, postman: Postman) -> None:
    """A thread that was stopped in the email settings leads there, and offers no button that would be refused."""
    connection(postman)
    message = send(browser).json()
    postman.deliver("thread.stopped", thread(message, stopped_at=SINCE, stopped_by="user"))
    page = page_of(browser, message)
    assert "Only you can resume it, there." in page
    assert 'data-testid="thread-resume"' not in page


def test_a_refused_resume_is_said(browser: Browser, product: StandIn, postman: Postman) -> None:
    """When the API refuses to resume, the conversation is shown with its sentence."""
    connection(postman)
    message = send(browser).json()
    postman.deliver("thread.stopped", thread(message, stopped_at=SINCE))
    product.refuse_with = (409, STOPPED)
    answer = browser.post(f"/conversations/{message['conversation_id']}/resume")
    assert (answer.status_code, "The user did it." in answer.text) == (409, True)
    assert browser.post("/conversations/c-none/resume").status_code == 404


def test_edit_and_send_again(browser: Browser, product: StandIn, postman: Postman) -> None:
    """A failed send opens in the composer as it was, and goes out as a new message in the same conversation, once."""
    connection(postman)
    copy = [{"address": "dev@fabrikam-customer.example", "name": "Dev Das"}]
    first = send(browser, text="Dear <Carla>", cc=copy).json()
    postman.deliver("message.failed", fails(first))
    link = f"/conversations/new?again={first['id']}"
    assert link in page_of(browser, first)
    form = browser.get(link).text
    for words in ("carla@contoso-customer.example", 'value="Offer"', "Dear &lt;Carla&gt;", "waited longer"):
        assert words in form
    data = {
        "again": first["id"],
        "to": "carla@contoso-customer.example",
        "subject": "Offer!",
        "text": "Dear Carla",
    }
    browser.post("/conversations/new", data=data)
    old, new = product.sent()
    assert new["crm_message_id"] != old["crm_message_id"]
    assert (new["subject"], new["cc"], new["crm_thread_id"]) == ("Offer!", copy, first["conversation_id"])
    page = page_of(browser, first)
    assert "It was edited and sent again." in page
    assert link not in page
    assert 'data-testid="compose-again"' not in browser.get(link).text


def test_a_form_that_lacks_something_keeps_what_it_is_for(browser: Browser, product: StandIn) -> None:
    """An edited message without a subject is shown again as the edited message that it is."""
    product.refuse_with = (409, {"type": "https://x.example/no-active-connection", "status": 409})
    failed = send(browser).json()["message"]
    page = browser.post(
        "/conversations/new", data={"again": failed["id"], "to": "a@x.example", "subject": ""}
    )
    assert page.status_code == 422
    assert f'name="again" value="{failed["id"]}"' in page.text
    assert "Your Outlook is not connected, so nothing was sent." in page.text


def test_a_html_body_is_edited_as_text(browser: Browser, product: StandIn) -> None:
    """A refused message that had HTML alone is offered for editing as text."""
    product.refuse_with = (409, STOPPED)
    failed = send(browser, html="<p>Dear Carla,</p><p>fish &amp; chips<br>soon</p>", text="").json()[
        "message"
    ]
    assert (
        "Dear Carla,\nfish &amp; chips\nsoon</textarea>"
        in browser.get(f"/conversations/new?again={failed['id']}").text
    )


def test_a_degraded_connection_says_why(browser: Browser, postman: Postman) -> None:
    """The profile says in words why a connection syncs late."""
    data = {"user_id": "u_ann", "status": "degraded", "mailbox": MAILBOX, "reason": "subscription_lost"}
    postman.deliver("connection.degraded", data)
    assert (
        "Reason: Microsoft sends no notifications for the mailbox." in browser.get("/settings/profile").text
    )


def test_a_replaced_mailbox_is_named_in_the_profile(browser: Browser, postman: Postman) -> None:
    """After an update of the email the profile says which mailbox was replaced."""
    data = {"user_id": "u_ann", "status": "connected", "mailbox": MAILBOX}
    postman.deliver(
        "connection.updated", data | {"previous_mailbox": {"id": "m0", "address": "old@northwind.example"}}
    )
    assert "In place of old@northwind.example" in browser.get("/settings/profile").text
