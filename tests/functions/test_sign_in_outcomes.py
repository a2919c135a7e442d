"""The settings page learns what became of a sign-in in the other window; the connection is not altered by it."""

from __future__ import annotations

import re

import pytest

from shared.domain.errors import MailboxUnusable, ProviderUnavailable, SignInFailed
from shared.state import keys
from shared.state.sessions import secret_hash
from tests.functions.answers import Answer
from tests.functions.app import App


async def outcome(app: App, session: str) -> str | None:
    """As the page reads it."""
    shown = (await app.call("GET", "/session/connection", key=session)).json()["sign_in"]
    return shown and str(shown["outcome"])


async def opening(app: App, session: str) -> tuple[str, str]:
    """At Microsoft: the state and the cookie of the sign-in."""
    ticket = (await app.call("POST", "/session/start-tickets", key=session)).json()
    opened = await app.call("POST", "/oauth/start", form=ticket)
    return opened.text.split("state=")[1].split("&")[0], opened.cookie


async def back(app: App, state: str, cookie: str, **form: str) -> Answer:
    """Back from Microsoft: the confirm page's redirect, or the page that says what came of it."""
    said = await app.call("POST", "/oauth/callback", form={"state": state, **form}, cookie=cookie)
    return said if said.headers.get("location", "").endswith("confirm") else await app.followed(said)


async def test_a_sign_in_is_followed_to_its_end(app: App) -> None:
    """Under way at Microsoft, waiting for the person's yes, confirmed."""
    session = await app.page_session()
    assert await outcome(app, session) is None
    state, cookie = await opening(app, session)
    assert await outcome(app, session) == "under_way"
    answer = await back(app, state, cookie, code="ann")
    assert await outcome(app, session) == "waiting_for_confirmation"
    assert (await app.confirmed(answer.cookie)).outcome == "connected"
    assert await outcome(app, session) == "confirmed"


REFUSALS: list[tuple[str, Exception, str]] = [
    ("redeem", SignInFailed("declined"), "cancelled"),
    ("redeem", SignInFailed("admin_consent_required"), "admin_consent_required"),
    ("redeem", SignInFailed("scopes_missing"), "scopes_missing"),
    ("redeem", SignInFailed("something_new"), "failed"),
    ("redeem", ProviderUnavailable(), "failed"),
    ("probe", MailboxUnusable(), "no_mailbox"),
]


@pytest.mark.parametrize(("method", "error", "expected"), REFUSALS, ids=str)
async def test_a_refusal_is_known_at_once(ready: App, method: str, error: Exception, expected: str) -> None:
    """Whatever ended the sign-in: the page knows it, and the mailbox that is connected goes on."""
    session = await ready.page_session()
    state, cookie = await opening(ready, session)
    (ready.mail if method == "probe" else ready.sign_in).next[method] = [error]
    assert (await back(ready, state, cookie, code="eve")).status >= 200
    assert await outcome(ready, session) == expected
    shown = (await ready.v1("GET", "users/u_ann/connection")).json()
    assert (shown["status"], shown["mailbox"]["address"]) == ("connected", "ann@northwind.example")


async def test_an_account_without_a_mailbox_is_never_shown_as_connected(app: App) -> None:
    """Microsoft knows the account and offers no mailbox for it: the page says so before anything is kept."""
    session = await app.page_session()
    state, cookie = await opening(app, session)
    app.mail.next["probe"] = [MailboxUnusable()]
    answer = await back(app, state, cookie, code="ann")
    assert (answer.outcome, "no mailbox" in answer.text) == ("unusable", True)
    assert (await app.v1("GET", "users/u_ann/connection")).json()["status"] == "not_connected"


async def test_a_mailbox_of_somebody_else_is_known_as_taken(ready: App) -> None:
    """The refusal names nobody (R1)."""
    session = await ready.page_session("u_bob")
    answer = await ready.confirmed(await ready.signed_in(session, "ann"))
    assert answer.outcome == "taken"
    assert await outcome(ready, session) == "mailbox_taken"
    assert "ann" not in answer.text.lower().replace("cannot", "")


async def test_who_cancels_on_the_confirm_page_connects_nothing(app: App) -> None:
    """The tokens of the sign-in are gone, and the question cannot be answered again."""
    session = await app.page_session()
    cookie = await app.signed_in(session)
    page = await app.call("GET", "/oauth/confirm", cookie=cookie)
    token = re.findall(r'name="csrf_token" value="([^"]*)"', page.text)[0]
    form = {"csrf_token": token, "decision": "cancel"}
    cancelled = await app.followed(await app.call("POST", "/oauth/confirm", form=form, cookie=cookie))
    assert (cancelled.status, "Nothing was connected" in cancelled.text) == (200, True)
    assert await outcome(app, session) == "cancelled"
    again = await app.call("POST", "/oauth/confirm", form={"csrf_token": token}, cookie=cookie)
    assert (await app.followed(again)).outcome == "declined"
    assert (await app.v1("GET", "users/u_ann/connection")).json()["status"] == "not_connected"


async def test_another_account_begins_another_sign_in_of_the_same_user(app: App) -> None:
    """The tokens that waited are gone, the browser is bound anew, and the account that is chosen then is connected."""
    session = await app.page_session()
    cookie = await app.signed_in(session)
    page = await app.call("GET", "/oauth/confirm", cookie=cookie)
    form = {
        "csrf_token": re.findall(r'name="csrf_token" value="([^"]*)"', page.text)[0],
        "decision": "another",
    }
    opened = await app.call("POST", "/oauth/confirm", form=form, cookie=cookie)
    assert (opened.status, "To Microsoft" in opened.text) == (200, True)
    assert opened.cookie != cookie
    assert await app.tables.get(keys.SESSIONS, "pending", secret_hash(cookie)) is None
    assert await outcome(app, session) == "under_way"
    assert app.sign_in.hints == ["ann@northwind.example", None]
    again = await app.call("POST", "/oauth/confirm", form=form, cookie=cookie)
    assert (await app.followed(again)).outcome == "another_account"
    state = opened.text.split("state=")[1].split("&")[0]
    answer = await back(app, state, opened.cookie, code="eve")
    assert (await app.confirmed(answer.cookie)).outcome == "connected"
    shown = (await app.v1("GET", "users/u_ann/connection")).json()
    assert shown["mailbox"]["address"] == "eve@northwind.example"


async def test_another_account_needs_the_pages_token_and_ends_with_a_disconnect(ready: App) -> None:
    """A form of another site begins nothing, and a disconnect since the page was open ends the new sign-in too."""
    session = await ready.page_session()
    cookie = await ready.signed_in(session)
    forged = {"csrf_token": "wrong", "decision": "another"}
    assert (await ready.call("POST", "/oauth/confirm", form=forged, cookie=cookie)).status == 410
    page = await ready.call("GET", "/oauth/confirm", cookie=cookie)
    form = {
        "csrf_token": re.findall(r'name="csrf_token" value="([^"]*)"', page.text)[0],
        "decision": "another",
    }
    ready.clock.forward(seconds=1)
    opened = await ready.call("POST", "/oauth/confirm", form=form, cookie=cookie)
    await ready.v1("DELETE", "users/u_ann/connection")
    state = opened.text.split("state=")[1].split("&")[0]
    assert (await back(ready, state, opened.cookie, code="eve")).status == 410


async def test_a_microsoft_that_does_not_answer_is_known_at_once(app: App) -> None:
    """When the sign-in cannot even begin, neither window waits ten minutes for it."""
    session = await app.page_session()
    app.sign_in.next["begin"] = [ProviderUnavailable()]
    ticket = (await app.call("POST", "/session/start-tickets", key=session)).json()
    assert (await app.call("POST", "/oauth/start", form=ticket)).outcome == "try_again"
    assert await outcome(app, session) == "failed"
    cookie = await app.signed_in(session)
    page = await app.call("GET", "/oauth/confirm", cookie=cookie)
    form = {
        "csrf_token": re.findall(r'name="csrf_token" value="([^"]*)"', page.text)[0],
        "decision": "another",
    }
    app.sign_in.next["begin"] = [ProviderUnavailable()]
    answer = await app.call("POST", "/oauth/confirm", form=form, cookie=cookie)
    assert (await app.followed(answer)).outcome == "try_again"


@pytest.mark.parametrize("asked", [False, True])
async def test_a_sign_in_that_nobody_finished_is_abandoned(app: App, asked: bool) -> None:
    """After its ten minutes, judged when it is read."""
    session = await app.page_session()
    state, cookie = await opening(app, session)
    if asked:
        await back(app, state, cookie, code="ann")
    app.clock.forward(minutes=9)
    assert await outcome(app, session) == ("waiting_for_confirmation" if asked else "under_way")
    app.clock.forward(minutes=1)
    assert await outcome(app, session) == "abandoned"


async def test_another_users_sign_in_is_not_shown(app: App) -> None:
    """Each page learns of its own user's sign-ins only."""
    await opening(app, await app.page_session("u_bob"))
    assert await outcome(app, await app.page_session()) is None


async def test_the_crms_server_reads_what_became_of_a_sign_in(app: App) -> None:
    """The connection's answer tells the newest sign-in's outcome, and that it changed nothing."""
    ticket = await app.call("POST", "/session/start-tickets", key=await app.page_session())
    opening = await app.call("POST", "/oauth/start", form=ticket.json())
    state = opening.text.split("state=")[1].split("&")[0]
    refusal = {"error": "access_denied", "state": state}
    await app.call("POST", "/oauth/callback", form=refusal, cookie=opening.cookie)
    shown = (await app.v1("GET", "users/u_ann/connection")).json()
    assert (shown["status"], shown["sign_in"]["outcome"]) == ("not_connected", "cancelled")
