"""HTTP: disconnect a mailbox, by the CRM's server or by the person in a top-level page that names it (R5, W-6)."""

from __future__ import annotations

from html import escape
from string import Template

import azure.functions as func

from functions.boundary import Caller, json_answer, page, public, session, tenant_key
from functions.connections import user_id_of
from functions.pages import template
from functions.results import (
    ALONE,
    COOKIE_SECONDS,
    breakable,
    cookie_of,
    outcome_page,
    read_form,
    refused,
    set_cookie,
    told,
    whose,
)
from shared.bootstrap import services
from shared.domain.errors import PostbraidError
from shared.state.sessions import DISCONNECT, Session

bp = func.Blueprint()


@bp.route(route="v1/users/{user_id}/connection", methods=["DELETE"], auth_level=func.AuthLevel.ANONYMOUS)
@tenant_key("connect")
async def disconnect_user(req: func.HttpRequest, caller: Caller) -> func.HttpResponse:
    """End the sync of a user's mailbox, and the user's links and sessions; again is fine."""
    from shared.sync.connect.disconnect import disconnect
    from shared.sync.connect.show_connection import show_connection

    user_id, tenant_id = user_id_of(req.route_params["user_id"]), caller.tenant.tenant_id
    await disconnect(services(), tenant_id, user_id)
    return json_answer(await show_connection(services(), tenant_id, user_id))


@bp.route(route="session/disconnect-tickets", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@session
async def create_disconnect_ticket(req: func.HttpRequest, opened: Session) -> func.HttpResponse:
    """A ticket to open the page that asks whether to disconnect."""
    from shared.sync.connect.open_session import create_start_ticket

    del req
    return json_answer({"ticket": await create_start_ticket(services(), opened, DISCONNECT)}, 201)


@bp.route(route="disconnect/start", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@public("start_ticket")
async def show_disconnect_page(req: func.HttpRequest) -> func.HttpResponse:
    """Redeem the ticket, bind this browser by a cookie, and ask whether to disconnect mailbox X of user Y (W-6)."""
    from shared.sync.connect.disconnect import ask_to_disconnect

    try:
        asked = await ask_to_disconnect(services(), read_form(req).get("ticket", ""))
    except PostbraidError as err:
        return outcome_page(DISCONNECT, err)
    html = Template(template("disconnect.html")).substitute(
        address=breakable(asked.address),
        user=escape(asked.user.display_name or asked.user.user_id),
        tenant=escape(asked.tenant.name),
        product=escape(asked.tenant.product),
        whose=escape(whose(asked.user, asked.tenant)),
        csrf_token=escape(asked.csrf_token),
    )
    response = page(html, ALONE)
    response.headers.add("Set-Cookie", set_cookie(asked.secret, COOKIE_SECONDS))
    return response


@bp.route(route="disconnect/confirm", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@public("oauth_cookie")
async def confirm_disconnecting(req: func.HttpRequest) -> func.HttpResponse:
    """The person said yes."""
    from shared.sync.connect.disconnect import confirm_disconnect

    secret = cookie_of(req)
    try:
        address = await confirm_disconnect(services(), secret, read_form(req).get("csrf_token"))
    except PostbraidError as err:
        return await refused(DISCONNECT, secret, err)
    return await told(DISCONNECT, secret, "disconnected", address)
