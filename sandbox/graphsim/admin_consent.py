"""An organisation's say over applications: who may consent, and the page on which an administrator approves.

Sources: "Admin consent on the Microsoft identity platform"; "Configure how users consent to applications". Every work
account counts as an administrator here, because accounts have no roles.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from starlette.responses import HTMLResponse, Response

from sandbox.graphsim import login, login_pages
from sandbox.graphsim.pages.layout import page

if TYPE_CHECKING:
    from starlette.requests import Request

    from sandbox.graphsim.world import World

REQUIRED = ("client_id", "redirect_uri", "scope")
CANCELLED = {"error": "access_denied", "error_description": "The admin canceled the request"}


async def serve(world: World, request: Request) -> Response:
    """Serve the adminconsent endpoint: GET shows the pages, POST carries the decision."""
    form: dict[str, str] = {}
    query = dict(request.query_params)
    if request.method == "POST":
        form = {name: str(value) for name, value in (await request.form()).items()}
        query = dict(parse_qsl(form.get("query", ""), keep_blank_values=True))
    try:
        login.check_client(world, query, REQUIRED)
    except login_pages.AuthorizePageError as error:
        return login_pages.sorry(error)
    state = {"state": query["state"]} if "state" in query else {}
    if form.get("decision") == "decline":
        return login.callback_response(query, {**CANCELLED, **state})
    user = world.store.user(query.get("account", ""))
    if user is None:
        return login_pages.account_page(world, query)
    if user.personal:
        text = "AADSTS500200: User account is a personal Microsoft account."
        return login_pages.sorry(login_pages.AuthorizePageError(text))
    if form:
        world.entra.approve(user.tenant_id, query["client_id"], query["scope"])
        fields = {"admin_consent": "True", "tenant": user.tenant_id, "scope": query["scope"], **state}
        return login.callback_response(query, fields)
    return _approval_page(world, query)


def _approval_page(world: World, query: dict[str, str]) -> HTMLResponse:
    """The page that asks the administrator to approve for the whole organisation."""
    application = world.entra.applications[query["client_id"]]
    items = "".join(f"<li>{html.escape(text)}</li>" for text in login_pages.asked_texts(query["scope"]))
    body = (
        "<h1>Permissions requested</h1><p>Review for your organisation</p>"
        f"<p><strong>{html.escape(application.display_name)}</strong> would like to, for each person who signs in:</p>"
        f"<ul>{items}</ul><p>If you accept, nobody else in your organisation is asked to review these permissions.</p>"
        f'<form method="post" class="row">{login_pages.hidden(query)}'
        '<button name="decision" value="accept" class="main" data-testid="approve">Accept</button>'
        '<button name="decision" value="decline" data-testid="approve-cancel">Cancel</button></form>'
    )
    return HTMLResponse(page("Approve (simulated)", body, narrow=True))


def set_user_consent(world: World, _request: Request, body: dict[str, Any]) -> Any:
    """Let people consent for themselves, or only administrators for everybody; approvals are taken back."""
    world.entra.users_may_consent = bool(body["allowed"])
    world.entra.approvals.clear()
    return {"allowed": world.entra.users_may_consent}
