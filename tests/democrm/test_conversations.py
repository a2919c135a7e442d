"""Sending through Postbraid and what events make of the CRM's conversations."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.democrm.app import build_app
from sandbox.democrm.crm import Config, Crm, build_crm
from tests.democrm.conftest import APP, SECRET, Browser, Clock, Postman, StandIn, a_message


def send(browser: Browser, **changes: Any) -> httpx.Response:
    body = {"user_id": "u_ann", "contact_id": "k_carla", "subject": "Offer", "text": "Hello"} | changes
    return browser.post("/api/messages", json=body)


def conversation_of(browser: Browser) -> dict[str, Any]:
    (found,) = browser.get("/api/conversations").json()["conversations"]
    return browser.get(f"/api/conversations/{found['id']}").json()


def test_a_message_is_handed_over_whole(browser: Browser, product: StandIn) -> None:
    """A send carries the CRM's ids, recipients with names and both forms of the text, under the API key."""
    message = send(browser, text="Hello\n\n- one\n- two").json()
    (request,) = product.sent()
    assert product.requests[0].headers["authorization"] == "Bearer psk_k1_secret"
    assert request["crm_message_id"] == message["id"]
    assert request["crm_thread_id"] == message["conversation_id"]
    assert request["to"] == [{"address": "carla@contoso-customer.example", "name": "Carla Cliente"}]
    assert request["body"]["html"] == "<p>Hello</p><ul><li>one</li><li>two</li></ul>"
    assert "thread_id" not in request
    assert (message["status"], message["product_id"]) == ("sending", f"msg_{message['id']}")


def test_people_without_a_name_are_shown_by_ours(browser: Browser, postman: Postman) -> None:
    """A person whom a mail names by address only is shown under the CRM's name for that address, in any case."""
    mail = a_message(
        **{"from": {"name": None, "address": "Carla@contoso-customer.example"}},
        to=[{"name": "", "address": "ann@northwind.example"}],
    )
    postman.deliver("message.received", mail)
    (message,) = conversation_of(browser)["messages"]
    assert message["sender"]["name"] == "Carla Cliente"
    assert message["to"][0]["name"] == "Ann Archer"


def test_files_go_before_the_message(browser: Browser, product: StandIn) -> None:
    """Attachments are uploaded one by one before the message, which refers to them by id."""
    file = {
        "name": "a b ü.pdf",
        "content_type": "application/pdf",
        "content_base64": base64.b64encode(b"%PDF").decode(),
    }
    send(browser, attachments=[file])
    upload = product.requests[0]
    assert upload.headers["content-disposition"] == "attachment; filename*=UTF-8''a%20b%20%C3%BC.pdf"
    assert (upload.headers["content-type"], upload.content) == ("application/pdf", b"%PDF")
    assert product.sent()[0]["attachments"] == [{"file_id": "fil_1"}]


def test_sent_is_confirmed_by_the_event(browser: Browser, product: StandIn, postman: Postman) -> None:
    """`message.sent` with our id turns the CRM's message to sent and adds no second one."""
    message = send(browser).json()
    own = {
        "crm_message_id": message["id"],
        "crm_thread_id": message["conversation_id"],
        "id": message["product_id"],
    }
    postman.deliver("message.sent", a_message(**own, direction="outbound", origin="crm", subject="Offer"))
    (shown,) = conversation_of(browser)["messages"]
    assert (shown["id"], shown["status"], shown["sequence"]) == (message["id"], "sent", 2)


def test_an_event_may_overtake_the_answer(
    crm: Crm, browser: Browser, product: StandIn, postman: Postman
) -> None:
    """A `message.sent` that arrives before the 202 is read is not undone by it."""

    def overtake(body: dict[str, Any]) -> None:
        own = {"crm_message_id": body["crm_message_id"], "crm_thread_id": body["crm_thread_id"]}
        data = a_message(**own, id=f"msg_{body['crm_message_id']}", direction="outbound", origin="crm")
        headers, content = postman.signed("message.sent", data)
        assert crm.receiver.receive(headers, content, crm.clock.now()).status == 204

    product.on_send = overtake
    assert send(browser).json()["status"] == "sent"


def test_the_contacts_reply_joins_its_conversation(browser: Browser, postman: Postman) -> None:
    """An inbound message of a known thread appears after the one it answers."""
    message = send(browser).json()
    postman.deliver("message.received", a_message(thread_id=message["thread_id"]))
    shown = conversation_of(browser)["messages"]
    assert [(entry["direction"], entry["status"]) for entry in shown] == [
        ("outbound", "sending"),
        ("inbound", "received"),
    ]


def test_the_same_message_by_two_events_is_one(browser: Browser, postman: Postman) -> None:
    """Two different events about one message leave one message."""
    postman.deliver("message.received", a_message())
    postman.deliver("message.received", a_message())
    assert len(conversation_of(browser)["messages"]) == 1


def test_a_reply_goes_into_the_users_own_thread(browser: Browser, product: StandIn) -> None:
    """A reply names the user's own thread and answers everybody, and a teammate's first reply begins a thread."""
    first = send(browser).json()
    key = first["conversation_id"]
    send(browser, contact_id=None, conversation_id=key, subject="")
    send(browser, user_id="u_bob", contact_id=None, conversation_id=key, subject="")
    _, reply, teammates = product.sent()
    assert (reply["thread_id"], reply["subject"]) == (first["thread_id"], "Re: Offer")
    assert reply["to"][0]["address"] == "carla@contoso-customer.example"
    assert "thread_id" not in teammates
    assert teammates["crm_thread_id"] == key


def test_not_synced_shows_why(browser: Browser, postman: Postman) -> None:
    """A message that did not sync stands in the conversation with its reason and files, without a body."""
    reason = {
        "code": "attachment_too_large",
        "detail": "plan.zip is larger than 3 MB.",
        "files": [{"name": "plan.zip", "size_bytes": 4_000_000, "problem": "attachment_too_large"}],
    }
    data = a_message(reason=reason)
    del data["body"], data["attachments"]
    postman.deliver("message.not_synced", data)
    (shown,) = conversation_of(browser)["messages"]
    assert (shown["status"], shown["html"], shown["reason"]["code"]) == (
        "not_synced",
        None,
        "attachment_too_large",
    )
    page = browser.get(f"/conversations/{shown['conversation_id']}").text
    assert "plan.zip is larger than 3 MB." in page
    assert 'data-testid="message-body"' not in page


def test_a_message_that_became_readable_takes_its_place(browser: Browser, postman: Postman) -> None:
    """A message told as received after it was told as not synced is one message; the first event may come last."""
    unreadable = {"code": "message_unreadable", "detail": "A message could not be read.", "files": []}
    early = a_message(reason=unreadable, subject="", sequence=2)
    del early["body"], early["attachments"]
    postman.deliver("message.not_synced", early)
    postman.deliver("message.received", a_message(sequence=3))
    postman.deliver("message.not_synced", early)
    (shown,) = conversation_of(browser)["messages"]
    assert (shown["status"], shown["reason"]) == ("received", None)
    assert shown["html"]


@pytest.mark.parametrize(
    ("kind", "status"), [("message.failed", "failed"), ("message.unconfirmed", "unconfirmed")]
)
def test_outcomes(browser: Browser, postman: Postman, kind: str, status: str) -> None:
    """A failed or unconfirmed send shows its reason; a later proof that it left wins, an older doubt does not."""
    message = send(browser).json()
    own = {"id": message["product_id"], "crm_message_id": message["id"]}
    outcome = own | {"reason": {"code": "disconnected", "detail": "The mailbox was disconnected."}}
    postman.deliver(kind, outcome)
    assert browser.get(f"/api/messages/{message['id']}").json()["status"] == status
    postman.deliver("message.sent", a_message(**own, direction="outbound", origin="crm"))
    postman.deliver(kind, outcome)
    after = browser.get(f"/api/messages/{message['product_id']}").json()
    assert (after["status"], after["reason"]) == ("sent", None)


def test_a_refusal_is_shown_with_its_reason(browser: Browser, product: StandIn) -> None:
    """A send that Postbraid refuses is shown as failed, with the last part of the problem's type as its code."""
    problem = {
        "type": "http://localhost:7071/problems/no-active-connection",
        "title": "No active connection",
        "status": 409,
        "detail": "Ann has no mailbox connected.",
    }
    product.refuse_with = (409, problem)
    response = send(browser)
    assert response.status_code == 409
    reason = response.json()["message"]["reason"]
    assert (reason["code"], reason["detail"]) == ("no-active-connection", "Ann has no mailbox connected.")
    assert browser.post(f"/api/messages/{response.json()['message']['id']}/retry").status_code == 404


@pytest.mark.parametrize(
    ("pointer", "detail", "words"),
    [
        ("/attachments", "setup.exe: attachment_type_not_supported", "setup.exe: type not supported."),
        ("/to/0/address", "not an email address", "to: not an email address."),
        ("", "Odd.", "Odd."),
    ],
)
def test_bad_fields_are_told_in_words(
    browser: Browser, product: StandIn, pointer: str, detail: str, words: str
) -> None:
    """A person reads neither pointers nor codes when Postbraid refuses a field."""
    problem = {"status": 422, "detail": "Nope.", "errors": [{"pointer": pointer, "detail": detail}]}
    product.refuse_with = (422, problem)
    assert send(browser).json()["message"]["reason"]["detail"] == f"Nope. {words}".replace("..", ".")


def test_a_file_that_is_too_large_to_upload_is_named(browser: Browser, product: StandIn) -> None:
    """When Postbraid does not take a file for its size, the message says which file it was."""
    product.refuse_with = (
        413,
        {"status": 413, "title": "The body is too large", "detail": "at most 3 bytes"},
    )
    form = {"to": "dev@fabrikam-customer.example", "subject": "Plans", "text": "Here"}
    page = browser.post("/conversations/new", data=form, files={"files": ("big.pdf", b"%PDF", "x/y")})
    assert "big.pdf, 4 B: larger than 3 MB" in page.text
    assert "at most" not in page.text
    assert product.sent() == []


def test_what_was_not_answered_goes_again_unchanged(browser: Browser, product: StandIn) -> None:
    """A request that was not answered can be handed over again unchanged under the same id."""
    product.unreachable = True
    failed = send(browser)
    assert (failed.status_code, failed.json()["message"]["reason"]["code"]) == (502, "unreachable")
    product.unreachable = False
    again = browser.post(f"/api/messages/{failed.json()['message']['id']}/retry")
    first, second = product.sent()
    assert (again.status_code, again.json()["status"], first) == (202, "sending", second)


@pytest.mark.parametrize(
    "changes",
    [
        {"user_id": "u_x"},
        {"contact_id": "k_x"},
        {"contact_id": None},
        {"conversation_id": "c-x"},
        {"unknown": 1},
    ],
)
def test_unusable_orders(browser: Browser, product: StandIn, changes: dict[str, Any]) -> None:
    """An order that names nobody whom the CRM knows is refused and never handed over."""
    assert send(browser, **changes).status_code == 400
    assert product.requests == []


def test_connection_events_set_the_status(browser: Browser, postman: Postman) -> None:
    """The newest connection event is what the CRM shows of a user's mailbox."""
    mailbox = {"id": "mbx_1", "address": "ann@northwind.example"}
    postman.deliver("connection.connected", {"user_id": "u_ann", "status": "connected", "mailbox": mailbox})
    page = browser.get("/settings/profile").text
    assert "ann@northwind.example" in page
    assert "is-connected" in page
    assert "connection-banner" not in browser.get("/conversations").text


def test_catching_up_after_an_outage(browser: Browser, product: StandIn, postman: Postman) -> None:
    """The CRM reads missed events page by page from its cursor, and those it knows count once."""
    postman.deliver("message.received", a_message(), event_id="evt_1")
    stamp = "2031-05-06T09:00:00Z"
    product.missed = [
        {"id": f"evt_{n}", "type": "message.received", "timestamp": stamp, "data": a_message(id=f"msg_{n}")}
        for n in (1, 2, 3)
    ]
    assert browser.post("/api/catch-up").json() == {"applied": 2}
    assert browser.post("/api/catch-up").json() == {"applied": 0}
    assert len(conversation_of(browser)["messages"]) == 3


def test_files_are_fetched_by_a_new_link_when_the_old_one_is_gone(
    browser: Browser, product: StandIn, postman: Postman
) -> None:
    """A file is downloaded by its event's link, or a fresh one when that has expired, and never with our key."""
    file = {
        "id": "att_1",
        "name": "plan.pdf",
        "content_type": "application/pdf",
        "size_bytes": 14,
        "omitted": None,
    }
    postman.deliver("message.received", a_message(attachments=[file | {"url": f"{APP}/api/files/old"}]))
    product.expired_links = {"/api/files/old"}
    product.messages["msg_1"] = {"message": {"attachments": [file | {"url": f"{APP}/api/files/new"}]}}
    (message,) = conversation_of(browser)["messages"]
    response = browser.get(f"/messages/{message['id']}/files/0")
    assert response.content == b"%PDF-1.7 hello"
    assert response.headers["content-disposition"] == "attachment; filename*=UTF-8''plan.pdf"
    fetches = [request for request in product.requests if request.url.path.startswith("/api/files/")]
    assert [request.url.path for request in fetches] == ["/api/files/old", "/api/files/new"]
    assert not any("authorization" in request.headers for request in fetches)


def test_links_that_lead_elsewhere_are_not_followed(
    browser: Browser, product: StandIn, postman: Postman
) -> None:
    """A file link on any other origin than Postbraid's is never fetched."""
    file = {"id": "att_1", "name": "plan.pdf", "url": "http://169.254.169.254/x"}
    postman.deliver("message.received", a_message(attachments=[file]))
    product.messages["msg_1"] = {"message": {"attachments": [file]}}
    (message,) = conversation_of(browser)["messages"]
    assert browser.get(f"/messages/{message['id']}/files/0").status_code == 404
    assert [request.url.host for request in product.requests] == ["localhost"]


def test_books_outlive_the_process(tmp_path: Path, clock: Clock, product: StandIn) -> None:
    """Conversations, events and the cursor are there again after the CRM restarts."""
    config = Config(api_key="k", webhook_secret=SECRET, data_dir=str(tmp_path))
    for _ in range(2):
        crm = build_crm(config, APP, clock, httpx.MockTransport(product))
        with Browser(build_app(crm)) as client:
            Postman(client, clock).deliver("message.received", a_message(), event_id="evt_1")
            assert client.get("/api/events").json()["events"][0]["id"] == "evt_1"
            assert len(client.get("/api/conversations").json()["conversations"]) == 1
    assert crm.receiver.attempts[-1].note == "duplicate"
