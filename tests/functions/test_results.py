"""What came of a sign-in or a disconnect is told on a page that can be loaded again, and repeats nothing."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from shared import bootstrap
from shared.domain.errors import SignInFailed, StoreUnavailable
from shared.domain.model import CrmUser
from shared.state import keys
from shared.state.codec import encode
from shared.state.sessions import CONNECT, secret_hash
from shared.storage.testing.calls import Call, no_hook
from shared.sync.connect.results import begin_result, end_result
from tests.functions.answers import Answer
from tests.functions.app import App


async def token_of(app: App, cookie: str) -> dict[str, str]:
    """The form of the confirm page."""
    page = await app.call("GET", "/oauth/confirm", cookie=cookie)
    return {"csrf_token": re.findall(r'name="csrf_token" value="([^"]*)"', page.text)[0]}


async def result(app: App, cookie: str | None) -> Answer:
    return await app.call("GET", "/oauth/result", cookie=cookie)


async def asked(app: App, session: str) -> Answer:
    """The page that asks whether to disconnect."""
    ticket = (await app.call("POST", "/session/disconnect-tickets", key=session)).json()
    return await app.call("POST", "/disconnect/start", form=ticket)


async def test_a_yes_leads_to_a_page_that_can_be_loaded_again(app: App) -> None:
    """Loading it again and a second tab show the same, and its address holds neither outcome nor mailbox."""
    cookie = await app.signed_in(await app.page_session())
    said = await app.call("POST", "/oauth/confirm", form=await token_of(app, cookie), cookie=cookie)
    assert (said.status, said.headers["location"]) == (303, "http://localhost:7071/api/oauth/result")
    assert said.cookie == cookie
    for _ in range(2):
        shown = await result(app, cookie)
        assert (shown.status, shown.outcome) == (200, "connected")
        assert "ann@northwind.example is connected" in shown.words
        assert "You can close this window." in shown.text
    assert app.crm.types() == ["connection.connected"]


async def test_a_yes_that_is_sent_twice_shows_the_result(app: App) -> None:
    """The back button and a second press, or the same form loaded again: the result, not a used link."""
    cookie = await app.signed_in(await app.page_session())
    form = await token_of(app, cookie)
    for _ in range(2):
        said = await app.followed(await app.call("POST", "/oauth/confirm", form=form, cookie=cookie))
        assert said.outcome == "connected"
    assert (await app.followed(await app.call("GET", "/oauth/confirm", cookie=cookie))).outcome == "connected"


async def test_a_second_click_during_the_first_waits_for_its_result(app: App) -> None:
    """While the first yes is carried out the second shows that it is under way, and later what came of it."""
    cookie = await app.signed_in(await app.page_session())
    form = await token_of(app, cookie)
    seen: list[Answer] = []

    async def press_again(call: Call) -> None:
        if call.operation == "transact" and call.place[0] == keys.CONNECTIONS:
            app.tables.before = no_hook
            again = await app.call("POST", "/oauth/confirm", form=form, cookie=cookie)
            seen.append(await app.followed(again))

    app.tables.before = press_again
    first = await app.followed(await app.call("POST", "/oauth/confirm", form=form, cookie=cookie))
    assert (seen[0].outcome, first.outcome) == ("under_way", "connected")
    assert ("look-again" in seen[0].text, "look-again" in first.text) == (True, False)
    assert (await result(app, cookie)).outcome == "connected"


async def test_the_page_waits_a_few_seconds_for_what_is_under_way(app: App) -> None:
    """A second click that comes shortly before the end shows the end."""
    cookie = await app.signed_in(await app.page_session())
    user = CrmUser("u_ann", "Ann")
    await begin_result(app.services, cookie, app.tenant.tenant_id, user, CONNECT)
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            await end_result(app.services, cookie, "connected", "ann@northwind.example")

    with bootstrap.replaced(replace(app.services, sleep=sleep)):
        assert (await result(app, cookie)).outcome == "connected"
    assert (len(waits), sum(waits) < 4) == (2, True)


async def test_what_nobody_finishes_is_said_to_be_uncertain(app: App) -> None:
    """A process that died while it connected: after a minute the page says where the truth is to be seen."""
    cookie = await app.signed_in(await app.page_session())
    form = await token_of(app, cookie)

    def die(call: Call) -> None:
        if call.operation == "transact" and call.place[0] == keys.CONNECTIONS:
            raise ZeroDivisionError

    app.tables.before = die
    await app.call("POST", "/oauth/confirm", form=form, cookie=cookie)
    app.tables.before = no_hook
    assert (await result(app, cookie)).outcome == "under_way"
    app.clock.forward(minutes=1)
    shown = await result(app, cookie)
    assert shown.outcome == "unclear"
    assert "email settings" in shown.text


async def test_a_refusal_of_microsofts_can_be_loaded_again(app: App) -> None:
    """Microsoft's answer that is posted again, and the page loaded again, tell the same refusal."""
    ticket = (await app.call("POST", "/session/start-tickets", key=await app.page_session())).json()
    opening = await app.call("POST", "/oauth/start", form=ticket)
    app.sign_in.next["redeem"] = [SignInFailed("declined")]
    form = {"error": "access_denied", "state": opening.text.split("state=")[1].split("&")[0]}
    for _ in range(2):
        said = await app.call("POST", "/oauth/callback", form=form, cookie=opening.cookie)
        assert (await app.followed(said)).outcome == "declined"
    assert (await result(app, opening.cookie)).outcome == "declined"


async def test_microsofts_answer_that_comes_again_leads_to_the_question(app: App) -> None:
    """Who loads Microsoft's answer again while the question waits sees the question."""
    ticket = (await app.call("POST", "/session/start-tickets", key=await app.page_session())).json()
    opening = await app.call("POST", "/oauth/start", form=ticket)
    form = {"code": "ann", "state": opening.text.split("state=")[1].split("&")[0]}
    cookie = (await app.call("POST", "/oauth/callback", form=form, cookie=opening.cookie)).cookie
    again = await app.call("POST", "/oauth/callback", form=form, cookie=cookie)
    assert again.headers["location"].endswith("/oauth/result")
    onward = await result(app, cookie)
    assert (onward.status, onward.headers["location"]) == (303, "http://localhost:7071/api/oauth/confirm")
    assert (await app.call("POST", "/oauth/callback", form=form)).status == 410


@pytest.mark.parametrize("cookie", [None, "", "of-somebody-else"])
async def test_without_a_row_the_page_says_the_plain_truth(app: App, cookie: str | None) -> None:
    """Without a cookie, or with one that leads nowhere, the page says where the status is to be seen."""
    shown = await result(app, cookie)
    assert (shown.status, shown.outcome) == (404, "nothing_here")
    assert "email settings" in shown.text


async def test_a_result_is_shown_for_ten_minutes(app: App) -> None:
    """After them the address of the mailbox is gone from the page."""
    cookie = await app.signed_in(await app.page_session())
    await app.confirmed(cookie)
    app.clock.forward(minutes=10)
    shown = await result(app, cookie)
    assert shown.outcome == "nothing_here"
    assert "ann@" not in shown.text


async def test_a_result_holds_no_tokens_and_its_secret_as_a_hash(app: App) -> None:
    """The row of the sign-in with its tokens is gone; what is left is found by a hash and holds none."""
    cookie = await app.signed_in(await app.page_session())
    await app.confirmed(cookie)
    assert await app.tables.get(keys.SESSIONS, "pending", secret_hash(cookie)) is None
    row = await app.tables.get(keys.SESSIONS, "result", secret_hash(cookie))
    assert row
    text = str(row.values)
    assert cookie not in text
    assert '"grant"' not in text
    assert "cache-ann" not in text


async def test_when_it_cannot_be_kept_it_is_told_at_once(app: App) -> None:
    """A storage that fails after the mailbox was connected takes nobody's result away."""
    cookie = await app.signed_in(await app.page_session())
    form = await token_of(app, cookie)

    def fail(call: Call) -> None:
        if call.operation == "upsert" and "result" in call.place:
            raise StoreUnavailable

    app.tables.before = fail
    said = await app.call("POST", "/oauth/confirm", form=form, cookie=cookie)
    assert (said.status, said.outcome) == (200, "connected")


async def test_words_at_a_disconnect_are_of_a_disconnect(app: App) -> None:
    """A used question, no mailbox, nonsense: none of the pages speaks of a sign-in or of Connect."""
    await app.connect()
    session = await app.page_session()
    page = await asked(app, session)
    used = await app.call("POST", "/disconnect/start", form={"ticket": "used"})
    strange = await app.call("POST", "/disconnect/confirm", body=b"\xff", cookie=page.cookie)
    other = await app.call("POST", "/disconnect/confirm", form={"csrf_token": "x"}, cookie=page.cookie)
    await app.v1("DELETE", "users/u_ann/connection")
    app.clock.forward(seconds=1)
    nobody = await asked(app, await app.page_session())
    outcomes = [(shown.status, shown.outcome) for shown in (used, strange, other, nobody)]
    assert outcomes == [
        (410, "link_unusable"),
        (400, "failed"),
        (410, "link_unusable"),
        (409, "not_connected"),
    ]
    for shown in (used, strange, other, nobody):
        assert "sign-in" not in shown.text
        assert "press Connect" not in shown.text


async def named(app: App) -> None:
    """The tenant has registered its product's name and an address to lead people back to."""
    stored = await app.services.tenants.get(app.tenant.tenant_id)
    tenant = replace(stored.value, product_name="Acme <CRM>", return_url="https://crm.example/me?a=1&b=2")
    await app.tables.upsert(keys.TENANTS, tenant.tenant_id, "tenant", encode(stored.changed(tenant)))
    app.clock.forward(minutes=1)  # a tenant is remembered for a minute


async def test_the_pages_name_the_product_beside_the_account(app: App) -> None:
    """Confirm page, disconnect page and result page name user, product and account, as text."""
    await named(app)
    session = await app.page_session()
    cookie = await app.signed_in(session)
    pages = [await app.call("GET", "/oauth/confirm", cookie=cookie), await app.confirmed(cookie)]
    pages.append(await asked(app, session))
    for page in pages:
        assert "Ann · Acme &lt;CRM&gt; · Northwind" in page.text
        assert "<CRM>" not in page.text


async def test_a_result_leads_back_to_the_registered_address(app: App) -> None:
    """The link goes to the tenant's own address, and where none is registered or known there is no link."""
    await app.connect("u_bob", "bob")
    cookie = await app.signed_in(await app.page_session())
    assert 'data-testid="back"' not in (await app.confirmed(cookie)).text
    await named(app)
    cookie = await app.signed_in(await app.page_session())
    shown = await app.confirmed(cookie)
    assert 'href="https://crm.example/me?a=1&amp;b=2"' in shown.text
    assert "Back to Acme &lt;CRM&gt;" in shown.text
    assert 'data-testid="back"' not in (await result(app, None)).text


async def test_the_settings_page_learns_names_origins_and_the_way_back(app: App) -> None:
    """Opening a session tells the page what to call the CRM, who may learn its height and where it leads back to."""
    await named(app)
    link = await app.v1("POST", "session-links", json={"user": {"id": "u_ann"}})
    opened = await app.call("POST", "/session", json={"token": link.json()["url"].split("#")[1]})
    names = {
        "name": "Northwind",
        "product_name": "Acme <CRM>",
        "return_url": "https://crm.example/me?a=1&b=2",
    }
    assert opened.json()["tenant"] == {**names, "frame_origins": ["https://crm.example"]}
    shown = await app.call("GET", "/session/connection", key=opened.json()["session_token"])
    assert shown.json()["tenant"] == names


async def test_an_administrators_approval_is_asked_for_by_a_link(app: App) -> None:
    """The page offers a link to hand on and says what it grants; the row that holds it names no token and no state."""
    ticket = (await app.call("POST", "/session/start-tickets", key=await app.page_session())).json()
    opening = await app.call("POST", "/oauth/start", form=ticket)
    state = opening.text.split("state=")[1].split("&")[0]
    app.sign_in.next["redeem"] = [SignInFailed("admin_consent_required")]
    form = {"error": "access_denied", "state": state}
    await app.call("POST", "/oauth/callback", form=form, cookie=opening.cookie)
    shown = await result(app, opening.cookie)
    assert shown.outcome == "admin_consent_required"
    link = "https://login.example/organizations/v2.0/adminconsent?client_id=c&amp;scope=a%20b"
    assert shown.text.count(link) == 2
    for scope in ("User.Read", "Mail.Read", "Mail.ReadWrite", "Mail.Send", "offline_access"):
        assert scope in shown.text
    assert state not in shown.text


async def test_other_refusals_offer_no_such_link(app: App) -> None:
    """Where no administrator is needed none is asked for."""
    ticket = (await app.call("POST", "/session/start-tickets", key=await app.page_session())).json()
    opening = await app.call("POST", "/oauth/start", form=ticket)
    form = {"error": "access_denied", "state": opening.text.split("state=")[1].split("&")[0]}
    await app.call("POST", "/oauth/callback", form=form, cookie=opening.cookie)
    assert "adminconsent" not in (await result(app, opening.cookie)).text


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"admin_consent": "True", "tenant": "5f0c3a52-7d4e-4f0b-9a51-2f3c1f0a7e11"},
        {"error": "access_denied", "error_description": "AADSTS-canary <script>"},
    ],
)
async def test_the_page_after_an_approval_believes_nothing(app: App, query: dict[str, str]) -> None:
    """Whatever its query says, the page is the same and no store is asked or changed."""
    app.store_down(StoreUnavailable())
    shown = await app.call("GET", "/oauth/admin-consent", params=query, cookie="x")
    assert shown.status == 200
    assert shown.body == (await app.call("GET", "/oauth/admin-consent")).body
    assert "If you approved" in shown.text
