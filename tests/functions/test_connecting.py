"""The settings page, the way to Microsoft and back, and the person's yes (R1)."""

from __future__ import annotations

import pytest

from shared.domain.errors import ProviderUnavailable, SignInFailed
from tests.functions.answers import problem
from tests.functions.app import App


async def test_the_whole_way_connects_a_mailbox(app: App) -> None:
    """Link, settings page, ticket, sign-in and confirm page lead to status `connected`, and the CRM is told."""
    session = await app.page_session()
    before = await app.call("GET", "/session/connection", key=session)
    assert before.json()["status"] == "not_connected"
    done = await app.confirmed(await app.signed_in(session))
    assert "ann@northwind.example is connected" in done.words
    shown = (await app.call("GET", "/session/connection", key=session)).json()
    assert (shown["status"], shown["mailbox"]["address"]) == ("connected", "ann@northwind.example")
    assert shown["crm_user"] == {"display_name": "Ann"}
    assert (await app.v1("GET", "users/u_ann/connection")).json()["status"] == "connected"
    assert app.crm.types() == ["connection.connected"]


async def test_a_link_works_once(app: App) -> None:
    """A settings link opens one session; its second use is answered with a problem and no session."""
    link = await app.v1("POST", "session-links", json={"user": {"id": "u_ann"}})
    token = link.json()["url"].split("#")[1]
    assert (await app.call("POST", "/session", json={"token": token})).status == 201
    problem(await app.call("POST", "/session", json={"token": token}), 409, "link-unusable")


async def test_a_link_ends_after_two_minutes(app: App) -> None:
    """A settings link that is two minutes old opens nothing."""
    link = await app.v1("POST", "session-links", json={"user": {"id": "u_ann"}})
    app.clock.forward(seconds=120)
    problem(
        await app.call("POST", "/session", json={"token": link.json()["url"].split("#")[1]}),
        409,
        "link-unusable",
    )


async def test_a_link_opens_nothing_on_another_tenants_page(app: App) -> None:
    """Who may frame the page was decided for one tenant: a link of another is refused there, and used up (W-4)."""
    for tenant in (app.other.tenant_id, "", "ten_unknown"):
        link = await app.v1("POST", "session-links", json={"user": {"id": "u_ann"}})
        token = link.json()["url"].split("#")[1]
        body = {"token": token, "tenant": tenant}
        problem(await app.call("POST", "/session", json=body), 409, "link-unusable")
        body = {"token": token, "tenant": app.tenant.tenant_id}
        problem(await app.call("POST", "/session", json=body), 409, "link-unusable")
    link = await app.v1("POST", "session-links", json={"user": {"id": "u_ann"}})
    body = {"token": link.json()["url"].split("#")[1], "tenant": app.tenant.tenant_id}
    assert (await app.call("POST", "/session", json=body)).status == 201


async def test_a_page_that_leaves_ends_its_session(app: App) -> None:
    """After the page has given its session up the token opens nothing; other pages of the user go on."""
    session, other = await app.page_session(), await app.page_session()
    assert (await app.call("DELETE", "/session", key=session)).json() == {"status": "ended"}
    problem(await app.call("GET", "/session/connection", key=session), 401, "not-authenticated")
    problem(await app.call("DELETE", "/session", key=session), 401, "not-authenticated")
    assert (await app.call("GET", "/session/connection", key=other)).status == 200


async def test_a_session_ends_when_it_is_not_used(app: App) -> None:
    """A page session without a request for half an hour has ended."""
    session = await app.page_session()
    app.clock.forward(minutes=30)
    problem(await app.call("GET", "/session/connection", key=session), 401, "not-authenticated")


async def test_a_used_session_goes_on_for_eight_hours(app: App) -> None:
    """A page session in constant use lasts eight hours and no longer."""
    session = await app.page_session()
    for _ in range(19):
        app.clock.forward(minutes=25)
        assert (await app.call("GET", "/session/connection", key=session)).status == 200
    app.clock.forward(minutes=25)
    problem(await app.call("GET", "/session/connection", key=session), 401, "not-authenticated")


async def test_a_ticket_starts_one_sign_in(app: App) -> None:
    """A start ticket that was used, or is a minute old, shows the page for used links."""
    session = await app.page_session()
    ticket = (await app.call("POST", "/session/start-tickets", key=session)).json()
    assert (await app.call("POST", "/oauth/start", form=ticket)).status == 200
    again = await app.call("POST", "/oauth/start", form=ticket)
    assert again.status == 410
    late = (await app.call("POST", "/session/start-tickets", key=session)).json()
    app.clock.forward(seconds=60)
    assert (await app.call("POST", "/oauth/start", form=late)).status == 410


async def test_the_way_to_microsoft_is_escaped_and_bound_to_the_browser(app: App) -> None:
    """Microsoft's address is escaped in our page.

    The sign-in cookie is for this host and https only, and hidden from scripts.
    """
    session = await app.page_session()
    ticket = (await app.call("POST", "/session/start-tickets", key=session)).json()
    page = await app.call("POST", "/oauth/start", form=ticket)
    assert "&amp;x=&lt;y&gt;" in page.text
    assert "<y>" not in page.text
    attributes = page.headers["set-cookie"].split("; ")[1:]
    assert set(attributes) == {"Path=/", "Max-Age=600", "Secure", "HttpOnly", "SameSite=None"}


@pytest.mark.parametrize("cookie", [None, "", "somebody-elses"])
async def test_a_callback_in_another_browser_is_refused(app: App, cookie: str | None) -> None:
    """Microsoft's answer without the cookie of the browser that began is refused.

    The sign-in under way is not used up by it (O-3).
    """
    session = await app.page_session()
    ticket = (await app.call("POST", "/session/start-tickets", key=session)).json()
    opening = await app.call("POST", "/oauth/start", form=ticket)
    state = opening.text.split("state=")[1].split("&")[0]
    form = {"code": "ann", "state": state}
    assert (await app.call("POST", "/oauth/callback", form=form, cookie=cookie)).status == 410
    assert (await app.call("POST", "/oauth/callback", form=form, cookie=opening.cookie)).status == 303


async def test_a_callback_works_once(app: App) -> None:
    """An answer of Microsoft that is replayed finds no sign-in any more (O-4)."""
    session = await app.page_session()
    ticket = (await app.call("POST", "/session/start-tickets", key=session)).json()
    opening = await app.call("POST", "/oauth/start", form=ticket)
    form = {"code": "ann", "state": opening.text.split("state=")[1].split("&")[0]}
    assert (await app.call("POST", "/oauth/callback", form=form, cookie=opening.cookie)).status == 303
    assert (await app.call("POST", "/oauth/callback", form=form, cookie=opening.cookie)).status == 410


OUTCOMES = [
    (SignInFailed("declined"), "declined"),
    (SignInFailed("admin_consent_required"), "admin_consent_required"),
    (SignInFailed("organisation_not_allowed"), "organisation_not_allowed"),
    (SignInFailed("scopes_missing"), "scopes_missing"),
    (SignInFailed("a reason of tomorrow"), "failed"),
    (ProviderUnavailable(), "try_again"),
]


@pytest.mark.parametrize(("error", "outcome"), OUTCOMES, ids=lambda case: str(getattr(case, "reason", case)))
async def test_people_read_a_page_when_it_did_not_work(app: App, error: Exception, outcome: str) -> None:
    """A failed sign-in shows a page, never a problem document and never a text of Microsoft's (O-9)."""
    session = await app.page_session()
    ticket = (await app.call("POST", "/session/start-tickets", key=session)).json()
    opening = await app.call("POST", "/oauth/start", form=ticket)
    app.sign_in.next["redeem"] = [error]
    form = {
        "error": "x",
        "error_description": "AADSTS-canary",
        "state": opening.text.split("state=")[1].split("&")[0],
    }
    answer = await app.followed(await app.call("POST", "/oauth/callback", form=form, cookie=opening.cookie))
    assert (answer.status, answer.outcome) == (200, outcome)
    assert answer.headers["content-type"].startswith("text/html")
    assert "canary" not in answer.text
    assert (await app.v1("GET", "users/u_ann/connection")).json()["status"] == "not_connected"


@pytest.mark.parametrize("path", ["/oauth/start", "/oauth/callback", "/oauth/confirm"])
@pytest.mark.parametrize(
    "body", [b"", b"\xff\xfe", b"a=1&a=2", b"ticket", b"&".join([b"a=1"] * 40), b"state=%00"]
)
async def test_nonsense_by_form_is_a_page_and_no_crash(app: App, path: str, body: bytes) -> None:
    """Any body posted to the sign-in forms is answered with a page saying 400 or 410."""
    answer = await app.call("POST", path, body=body)
    assert answer.status in {400, 410}
    assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("cookie", ["", "x", "%00", "a" * 3000, '"', "a@b=1; x"])
async def test_a_strange_cookie_is_no_crash(app: App, cookie: str) -> None:
    """With a malformed cookie beside others the confirm page says that the link is unusable, and does not crash."""
    headers = {"Cookie": f"a@b=1, c[d]=2; __Host-oauth={cookie}; ="}
    assert (await app.call("GET", "/oauth/confirm", headers=headers)).status == 410


async def test_our_cookie_is_found_beside_strange_ones(app: App) -> None:
    """Our cookie is found although another program of the host has set cookies with invalid names."""
    cookie = await app.signed_in(await app.page_session())
    headers = {"Cookie": f"a@b=1; (x)={'y'}; __Host-oauth={cookie}"}
    assert (await app.call("GET", "/oauth/confirm", headers=headers)).status == 200


async def test_yes_needs_the_token_of_the_page(app: App) -> None:
    """The confirm page's yes counts only with the token of that page, so a form of another site connects nothing."""
    cookie = await app.signed_in(await app.page_session())
    for form in ({}, {"csrf_token": ""}, {"csrf_token": "wrong"}, {"csrf_token": cookie}):
        refused = await app.call("POST", "/oauth/confirm", form={"x": "y", **form}, cookie=cookie)
        assert refused.status == 410
    assert (await app.confirmed(cookie)).outcome == "connected"


async def test_yes_counts_once(app: App) -> None:
    """The confirm page is used up by the person's yes, and the CRM is told once."""
    cookie = await app.signed_in(await app.page_session())
    await app.confirmed(cookie)
    again = await app.followed(await app.call("GET", "/oauth/confirm", cookie=cookie))
    assert again.outcome == "connected"
    assert app.crm.types() == ["connection.connected"]


async def test_the_confirm_page_warns_of_an_unknown_address(app: App) -> None:
    """The confirm page warns when the CRM does not know the mailbox's address as one of the user's (O-7)."""
    known = await app.call("GET", "/oauth/confirm", cookie=await app.signed_in(await app.page_session()))
    assert "does not know this address" not in known.text
    stranger = await app.signed_in(await app.page_session("u_bob", address="bob@northwind.example"), "ann")
    shown = await app.call("GET", "/oauth/confirm", cookie=stranger)
    assert "does not know this address" in shown.text


async def test_names_are_text_on_the_confirm_page(app: App) -> None:
    """A display name with markup is escaped on the confirm page."""
    user = {"id": "u_ann", "display_name": "<img src=x onerror=alert(1)> $address", "addresses": []}
    link = await app.v1("POST", "session-links", json={"user": user})
    opened = await app.call("POST", "/session", json={"token": link.json()["url"].split("#")[1]})
    shown = await app.call(
        "GET", "/oauth/confirm", cookie=await app.signed_in(opened.json()["session_token"])
    )
    assert "<img" not in shown.text
    assert "&lt;img src=x onerror=alert(1)&gt; $address" in shown.text


async def test_one_mailbox_is_of_one_user(app: App) -> None:
    """A mailbox that a user has connected is refused to any other user or tenant, without naming the holder (R1)."""
    await app.connect()
    for key in (None, app.other.api_key):
        taken = await app.confirmed(await app.signed_in(await app.page_session("u_bob", key), "ann"))
        assert taken.outcome == "taken"
        assert "u_ann" not in taken.text
        assert key is None or "Northwind" not in taken.text
    assert (await app.v1("GET", "users/u_bob/connection")).json()["status"] == "not_connected"


async def test_the_same_mailbox_again_repairs_the_connection(app: App) -> None:
    """Signing in again with the same mailbox keeps the connection instead of making a second one (R9, O-11)."""
    await app.connect()
    before = (await app.v1("GET", "users/u_ann/connection")).json()
    app.clock.forward(minutes=1)
    assert (await app.confirmed(await app.signed_in(await app.page_session()))).outcome == "connected"
    after = (await app.v1("GET", "users/u_ann/connection")).json()
    assert {**after, "sign_in": None} == {**before, "sign_in": None}
    assert app.crm.types() == ["connection.connected", "connection.connected"]


async def test_the_settings_page_is_framed_by_registered_origins_only(app: App) -> None:
    """A tenant's settings page may be framed by its registered origins, and by nobody where there are none (W-4)."""
    ours = await app.call("GET", "/settings", params={"tenant": app.tenant.tenant_id})
    assert "frame-ancestors https://crm.example" in ours.headers["content-security-policy"]
    for tenant in (
        "",
        "ten_unknown",
        "u_x",
        app.other.tenant_id,
        "ten_a/b",
        "ten_#?\\",
        "ten_\x00",
        "ten_" + "x" * 900,
    ):
        shown = await app.call("GET", "/settings", params={"tenant": tenant})
        assert shown.status == 200
        assert "frame-ancestors 'none'" in shown.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("settings.js", "text/javascript"), ("settings.css", "text/css"), ("envelope.svg", "image/svg+xml")],
)
async def test_assets_of_the_pages_are_served(app: App, name: str, kind: str) -> None:
    """Script, style and picture of the pages are served with their content types."""
    answer = await app.call("GET", f"/assets/{name}")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith(kind)


@pytest.mark.parametrize(
    "name", ["settings.html", "confirm.html", "__init__.py", "..%2Fhost.json", "..", "x.js"]
)
async def test_nothing_else_is_served_as_an_asset(app: App, name: str) -> None:
    """Templates, code and files outside the assets folder are answered with 404."""
    problem(await app.call("GET", f"/assets/{name}"), 404, "not-found")
