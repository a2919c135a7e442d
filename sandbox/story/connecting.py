"""Connect a mailbox by the requests that a browser would make."""

from __future__ import annotations

import html
import re
from http.cookies import SimpleCookie

import httpx

from sandbox.story.stage import ANN, ANN_ADDRESS, Stage, expect


async def connect(
    stage: Stage, user_id: str = ANN, address: str = ANN_ADDRESS, decision: str = "accept"
) -> str:
    """Connect a user's mailbox, or decline; return the text of the last page. Raises Lie."""
    own = await open_session(stage, user_id)
    ticket = await stage.app.post("/api/session/start-tickets", headers=own)
    start = await stage.app.post("/api/oauth/start", data={"ticket": ticket.json()["ticket"]})
    came = await stage.control(
        "POST", "authorize", url=authorize_url(start.text), address=address, decision=decision
    )
    path = str(came["action"]).removeprefix(str(stage.app.base_url).rstrip("/"))
    path = path if path.startswith("/") else httpx.URL(path).path
    back = await stage.app.post(path, data=came["fields"], headers={"Cookie": cookie_of(start)})
    cookie = {"Cookie": cookie_of(back)}
    page = await _followed(stage, back, cookie)
    if "csrf_token" not in page.text:
        return page.text
    expect("the confirm page names the mailbox", address in page.text.replace("<wbr>", ""))
    csrf = re.search(r'name="csrf_token"\s+value="([^"]+)"', page.text)
    expect("the confirm page has a token", csrf)
    done = await stage.app.post(
        "/api/oauth/confirm", data={"csrf_token": csrf[1] if csrf else ""}, headers=cookie
    )
    return (await _followed(stage, done, cookie)).text


async def open_session(stage: Stage, user_id: str = ANN) -> dict[str, str]:
    """Open the settings page of a user by a link; return the headers of its session. Raises Lie."""
    link = await stage.of_crm("POST", "/api/session-links", user_id=user_id)
    token = str(link["url"]).partition("#")[2]
    session = await stage.app.post("/api/session", json={"token": token})
    expect("a settings link opens a session", session.status_code == 201)
    again = await stage.app.post("/api/session", json={"token": token})
    expect("a settings link works once", again.status_code == 409)
    return {"Authorization": f"Bearer {session.json()['session_token']}"}


async def _followed(stage: Stage, answer: httpx.Response, cookie: dict[str, str]) -> httpx.Response:
    """The page that a posted form leads on to, or the answer itself where it leads nowhere."""
    if not answer.is_redirect:
        return answer
    return await stage.app.get(httpx.URL(answer.headers["location"]).path, headers=cookie)


def authorize_url(page: str) -> str:
    """The link to Microsoft in the start page; raises Lie when there is none."""
    found = re.search(r'href="([^"]+/oauth2/v2\.0/authorize[^"]*)"', page)
    expect("the start page leads to Microsoft", found)
    return html.unescape(found[1]) if found else ""


def cookie_of(answer: httpx.Response) -> str:
    """The cookies that a response sets, as a `Cookie` header."""
    cookies: SimpleCookie = SimpleCookie()
    for line in answer.headers.get_list("set-cookie"):
        cookies.load(line)
    return "; ".join(f"{name}={morsel.value}" for name, morsel in cookies.items())
