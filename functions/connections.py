"""HTTP: the settings page, the way to Microsoft and back, and the status of a connection."""

from __future__ import annotations

from html import escape
from string import Template
from typing import TYPE_CHECKING, Final

import azure.functions as func
import msgspec

from functions.boundary import (
    KIB,
    SECURITY_HEADERS,
    Caller,
    bearer_of,
    json_answer,
    page,
    public,
    session,
    tenant_key,
)
from functions.pages import asset, template
from functions.results import (
    ALONE,
    COOKIE_SECONDS,
    breakable,
    cookie_of,
    outcome_page,
    read_form,
    refused,
    see_other,
    set_cookie,
    told,
    whose,
)
from functions.wire import SessionIn, SessionLinkIn, UserId
from shared.bootstrap import services
from shared.domain.controls import NO_CONTROLS, has_controls
from shared.domain.errors import FieldError, InvalidRequest, NotFound, PostbraidError
from shared.domain.model import CrmUser, Tenant
from shared.json_reader import read_json
from shared.state.sessions import CONNECT, Session

if TYPE_CHECKING:
    from shared.sync.connect.sign_in import Departure

bp = func.Blueprint()

FRAMED: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors "
)


@bp.route(route="v1/session-links", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@tenant_key("connect")
async def create_session_link(req: func.HttpRequest, caller: Caller) -> func.HttpResponse:
    """A one-time link to the settings page for one user (W-1)."""
    from shared.sync.connect import open_session as opening

    asked = read_json(req.get_body(), 256 * KIB, SessionLinkIn).user
    told = (
        ("display_name", asked.display_name),
        *((f"addresses/{at}", text) for at, text in enumerate(asked.addresses)),
    )
    errors = tuple(FieldError(f"/user/{name}", NO_CONTROLS) for name, text in told if has_controls(text))
    if errors:
        raise InvalidRequest("The user cannot be called so.", errors)
    user = CrmUser(asked.id, asked.display_name, tuple(asked.addresses))
    url, expires_at = await opening.create_session_link(services(), caller.tenant.tenant_id, user)
    return json_answer({"url": url, "expires_at": expires_at}, 201)


@bp.route(route="v1/users/{user_id}/connection", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@tenant_key("read")
async def show_connection(req: func.HttpRequest, caller: Caller) -> func.HttpResponse:
    """The connection of one user, for the CRM's server."""
    from shared.sync.connect.show_connection import show_connection as show_one_connection

    user_id = user_id_of(req.route_params["user_id"])
    return json_answer(await show_one_connection(services(), caller.tenant.tenant_id, user_id))


def user_id_of(text: str) -> str:
    """An id that a user may have. Raises InvalidRequest, since "not connected" would hide a mistake of the caller's."""
    try:
        return msgspec.convert(text, UserId)
    except msgspec.ValidationError as err:
        raise InvalidRequest("No user has such an id.", (FieldError("/user_id", str(err)),)) from err


@bp.route(route="settings", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@public("open")
async def show_settings_page(req: func.HttpRequest) -> func.HttpResponse:
    """The settings page: no data until its link's token is exchanged. Only registered origins may frame it (W-4)."""
    from shared.sync.connect.show_connection import find_frame_origins

    origins = await find_frame_origins(services(), req.params.get("tenant"))
    return page(template("settings.html"), FRAMED + (" ".join(origins) or "'none'"))


@bp.route(route="assets/{name}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@public("open")
async def serve_asset(req: func.HttpRequest) -> func.HttpResponse:
    """Script and style of our pages."""
    found = asset(req.route_params["name"])
    if found is None:
        raise NotFound
    content, content_type = found
    headers = {**SECURITY_HEADERS, "Cache-Control": "public, max-age=300", "Content-Type": content_type}
    return func.HttpResponse(content, headers=headers)


@bp.route(route="session", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@public("link_token")
async def open_session(req: func.HttpRequest) -> func.HttpResponse:
    """Exchange a link's token for a session of the page (W-2)."""
    from shared.sync.connect import open_session as opening

    asked = read_json(req.get_body(), 16 * KIB, SessionIn)
    opened = await opening.open_session(services(), asked.token, asked.tenant)
    user = opened.session.user
    answer = {
        "session_token": opened.secret,
        "expires_at": opened.session.expires_at,
        "user": {"id": user.user_id, "display_name": user.display_name},
        "tenant": {**names_of(opened.tenant), "frame_origins": opened.tenant.frame_origins},
    }
    return json_answer(answer, 201)


@bp.route(route="session", methods=["DELETE"], auth_level=func.AuthLevel.ANONYMOUS)
@session
async def end_session(req: func.HttpRequest, opened: Session) -> func.HttpResponse:
    """The page leaves: its token opens nothing any more."""
    from shared.sync.connect import open_session as opening

    del opened
    await opening.end_session(services(), bearer_of(req) or "")
    return json_answer({"status": "ended"})


@bp.route(route="session/connection", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@session
async def show_session_connection(req: func.HttpRequest, opened: Session) -> func.HttpResponse:
    """The connection of the page's user."""
    from shared.sync.connect.show_connection import show_connection as show_one_connection

    del req
    s = services()
    shown = await show_one_connection(s, opened.tenant_id, opened.user.user_id)
    tenant = (await s.tenants.get(opened.tenant_id)).value
    names = {"crm_user": {"display_name": opened.user.display_name}, "tenant": names_of(tenant)}
    return json_answer({**shown, **names})


def names_of(tenant: Tenant) -> dict[str, str | None]:
    """What the page calls the tenant and its CRM, and where it leads people back to."""
    return {"name": tenant.name, "product_name": tenant.product_name or None, "return_url": tenant.return_url}


@bp.route(route="session/start-tickets", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@session
async def create_start_ticket(req: func.HttpRequest, opened: Session) -> func.HttpResponse:
    """A ticket to start one sign-in in a top-level window (O-2)."""
    from shared.sync.connect import open_session as opening

    del req
    return json_answer({"ticket": await opening.create_start_ticket(services(), opened, CONNECT)}, 201)


@bp.route(route="oauth/start", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@public("start_ticket")
async def start_oauth(req: func.HttpRequest) -> func.HttpResponse:
    """Redeem the ticket, bind this browser by a cookie, and lead on to Microsoft.

    Not by a redirect: browsers hold a form's redirects to `form-action`, which names only us.
    """
    from shared.sync.connect.sign_in import start_sign_in

    try:
        departure = await start_sign_in(services(), read_form(req).get("ticket", ""))
    except PostbraidError as err:
        return outcome_page(CONNECT, err)
    return departing(departure)


def departing(departure: Departure) -> func.HttpResponse:
    """The page that leads on to Microsoft, and the cookie that binds this browser to the sign-in."""
    url = escape(departure.authorize_url)
    response = page(Template(template("oauth_opening.html")).substitute(url=url), ALONE)
    response.headers.add("Set-Cookie", set_cookie(departure.cookie, COOKIE_SECONDS))
    return response


@bp.route(route="oauth/callback", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@public("oauth_callback", 64 * KIB)
async def finish_oauth(req: func.HttpRequest) -> func.HttpResponse:
    """Microsoft's answer by form_post; the outcome waits for the person's yes (O-3, O-4, O-5)."""
    from shared.sync.connect.sign_in import finish_sign_in

    cookie = cookie_of(req)
    try:
        secret = await finish_sign_in(services(), cookie, read_form(req))
    except PostbraidError as err:
        return await refused(CONNECT, cookie, err, question_too=True)
    response = see_other("oauth/confirm")
    response.headers.add("Set-Cookie", set_cookie(secret, COOKIE_SECONDS))
    return response


@bp.route(route="oauth/confirm", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@public("oauth_cookie")
async def show_confirm_page(req: func.HttpRequest) -> func.HttpResponse:
    """Ask whether to connect mailbox X to CRM user Y of Z (O-7)."""
    from shared.sync.connect.confirm_connection import read_question

    try:
        question = await read_question(services(), cookie_of(req))
    except PostbraidError as err:
        return await refused(CONNECT, cookie_of(req), err)
    warning = (
        ""
        if question.known
        else UNKNOWN_ADDRESS.substitute(name=question.user.display_name or question.user.user_id)
    )
    html = Template(template("confirm.html")).substitute(
        address=breakable(question.address),
        user=escape(question.user.display_name or question.user.user_id),
        tenant=escape(question.tenant.name),
        product=escape(question.tenant.product),
        whose=escape(whose(question.user, question.tenant)),
        warning=escape(warning),
        csrf_token=escape(question.csrf_token),
    )
    return page(html, ALONE)


@bp.route(route="oauth/confirm", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@public("oauth_cookie")
async def confirm_connection(req: func.HttpRequest) -> func.HttpResponse:
    """The person said yes, or no, or wants another account."""
    from shared.sync.connect.confirm_connection import cancel_connection, choose_another_account
    from shared.sync.connect.confirm_connection import confirm_connection as connect_mailbox

    secret = cookie_of(req)
    try:
        form = read_form(req)
        if form.get("decision") == "cancel":
            await cancel_connection(services(), secret, form.get("csrf_token"))
            return await told(CONNECT, secret, "declined")
        if form.get("decision") == "another":
            departure = await choose_another_account(services(), secret, form.get("csrf_token"))
            await told(CONNECT, secret, "another_account")
            return departing(departure)
        connection = await connect_mailbox(services(), secret, form.get("csrf_token"))
    except PostbraidError as err:
        return await refused(CONNECT, secret, err)
    return await told(CONNECT, secret, "connected", connection.address)


UNKNOWN_ADDRESS: Final = Template(
    "Your CRM does not know this address as one of ${name}'s. Go on only if this mailbox is really yours."
)
