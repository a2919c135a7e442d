"""The pages: what a person can do without script, and that mail can do nothing to the page."""

from __future__ import annotations

import pytest

from tests.democrm.conftest import APP, Browser, Postman, StandIn, a_message

HOSTILE = '<script>alert(1)</script><img src="cid:pic@1"><p onclick="x()">Hi</p>'


@pytest.mark.parametrize(
    "path", ["/", "/conversations", "/conversations/new", "/contacts", "/settings/profile", "/activity"]
)
def test_pages_open_under_a_strict_policy(browser: Browser, path: str) -> None:
    """Every page of the CRM opens, loads nothing from elsewhere and holds no inline script or style."""
    response = browser.get(path)
    assert response.status_code == 200
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert f"frame-src 'self' {APP}" in policy
    assert "style=" not in response.text
    assert "<script>" not in response.text


def test_writing_and_replying_with_forms_alone(browser: Browser, product: StandIn) -> None:
    """A person writes to a contact and replies with plain forms, files included."""
    form = {"to": "dev@fabrikam-customer.example", "subject": "Visit", "text": "See you\nsoon"}
    files = {"files": ("a.txt", b"hello", "text/plain")}
    response = browser.post("/conversations/new", data=form, files=files)
    assert "See you" in browser.get(f"/messages/{product.sent()[0]['crm_message_id']}/body").text
    assert "a.txt" in response.text
    browser.post(response.url.path, data={"text": "One more thing"})
    first, second = product.sent()
    assert first["body"]["html"] == "<p>See you<br>soon</p>"
    assert second["to"] == [{"address": "dev@fabrikam-customer.example", "name": "Dev Das"}]


def test_what_is_missing_is_said_beside_the_form(browser: Browser) -> None:
    """A message without a recipient is not sent and its text is kept in the form."""
    response = browser.post("/conversations/new", data={"to": "", "subject": "S", "text": "Long letter"})
    assert response.status_code == 422
    assert "A message needs a recipient." in response.text
    assert "Long letter" in response.text


def test_mail_is_shown_in_a_document_without_powers(browser: Browser, postman: Postman) -> None:
    """A message's HTML is a sandboxed document whose pictures come from our own copies."""
    file = {
        "id": "att_1",
        "name": "p.png",
        "content_type": "image/png",
        "inline": True,
        "content_id": "pic@1",
    }
    body = {"html": HOSTILE, "text": "Hi"}
    postman.deliver(
        "message.received", a_message(body=body, attachments=[file | {"url": f"{APP}/api/files/t"}])
    )
    (conversation,) = browser.get("/api/conversations").json()["conversations"]
    page = browser.get(f"/conversations/{conversation['id']}").text
    assert "alert(1)" not in page
    message = browser.get(f"/api/conversations/{conversation['id']}").json()["messages"][0]
    response = browser.get(f"/messages/{message['id']}/body")
    assert f'<img src="/messages/{message["id"]}/files/0?inline=1">' in response.text
    policy = response.headers["content-security-policy"]
    assert "sandbox allow-same-origin" in policy
    assert "allow-scripts" not in policy
    assert "script-src" not in policy
    picture = browser.get(f"/messages/{message['id']}/files/0?inline=1")
    assert picture.headers["content-disposition"].startswith("inline")


def test_text_is_escaped(browser: Browser, postman: Postman) -> None:
    """Names and subjects from outside are escaped on the CRM's pages."""
    sender = {"name": "<b>Carla</b>", "address": "x@contoso-customer.example"}
    postman.deliver("message.received", a_message(subject="<i>Hi</i>", **{"from": sender}))
    (conversation,) = browser.get("/api/conversations").json()["conversations"]
    page = browser.get(f"/conversations/{conversation['id']}").text
    assert "&lt;b&gt;Carla&lt;/b&gt;" in page
    assert "<i>Hi" not in page


def test_other_sites_change_nothing(browser: Browser, product: StandIn) -> None:
    """A form posted from another site's page, or to another name of this machine, is refused."""
    form = {"to": "dev@fabrikam-customer.example", "subject": "S", "text": "T"}
    foreign = browser.post("/conversations/new", data=form, headers={"sec-fetch-site": "cross-site"})
    renamed = browser.get("/conversations", headers={"host": "evil.example"})
    assert (foreign.status_code, renamed.status_code, product.requests) == (403, 400, [])


def test_a_missing_page_says_so(browser: Browser) -> None:
    """An unknown address of the CRM is answered with a 404 page."""
    response = browser.get("/conversations/c-none")
    assert (response.status_code, "There is nothing here" in response.text) == (404, True)


def test_switching_the_user(browser: Browser, product: StandIn) -> None:
    """After a switch of the user messages are sent as the other user."""
    browser.post("/switch-user", data={"user_id": "u_bob"})
    browser.post(
        "/conversations/new", data={"to": "dev@fabrikam-customer.example", "subject": "S", "text": "T"}
    )
    assert product.sent()[0]["user_id"] == "u_bob"


def test_the_settings_page_opens_by_a_fresh_link(browser: Browser, product: StandIn) -> None:
    """The settings page opens in the frame and in a tab by one-time links of their own."""
    link = browser.post("/api/session-links", json={"user_id": "u_ann"})
    tab = browser.post("/settings/email/open", follow_redirects=False)
    assert link.json()["url"] == tab.headers["location"] == f"{APP}/api/settings#token"
    assert b"ann@northwind.example" in product.requests[0].content
    assert browser.post("/api/session-links", json={"user_id": "u_x"}).status_code == 400
