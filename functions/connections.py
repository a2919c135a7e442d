"""HTTP: the settings page, the way to Microsoft and back, and the status of a connection."""

from __future__ import annotations

from html import escape
from string import Template
from typing import Final
from urllib.parse import parse_qs

import azure.functions as func
import msgspec

from functions.boundary import KIB, SECURITY_HEADERS, Caller, json_answer, page, public, session, tenant_key
from functions.pages import asset, template
from functions.wire import SessionIn, SessionLinkIn, UserId
from shared.bootstrap import services
from shared.domain.errors import (
    Ambiguous,
    Conflict,
    ConnectionChanged,
    FieldError,
    GrantDead,
    InvalidRequest,
    LinkUnusable,
    MailboxTaken,
    MailboxUnusable,
    MessageRefused,
    NotFound,
    PostbraidError,
    ProviderUnavailable,
    RowChanged,
    RowExists,
    RowMissing,
    SignInFailed,
    Throttled,
    Unavailable,
    UpstreamSurprise,
)
from shared.domain.model import CrmUser
from shared.json_reader import read_json
from shared.state.sessions import Session
from shared.sync.connect import open_session as opening
from shared.sync.connect.show_connection import find_frame_origins
from shared.sync.connect.show_connection import show_connection as show_one_connection
from shared.sync.connect.sign_in import finish_sign_in, start_sign_in

bp = func.Blueprint()

COOKIE: Final = "__Host-oauth"
ALONE: Final = (
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
FRAMED: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors "
)


@bp.route(route="v1/session-links", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@tenant_key("connect")
async def create_session_link(req: func.HttpRequest, caller: Caller) -> func.HttpResponse:
    """A one-time link to the settings page for one user (W-1)."""
    asked = read_json(req.get_body(), 256 * KIB, SessionLinkIn).user
    user = CrmUser(asked.id, asked.display_name, tuple(asked.addresses))
    url, expires_at = await opening.create_session_link(services(), caller.tenant.tenant_id, user)
    return json_answer({"url": url, "expires_at": expires_at}, 201)


@bp.route(route="v1/users/{user_id}/connection", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@tenant_key("read")
async def show_connection(req: func.HttpRequest, caller: Caller) -> func.HttpResponse:
    """The connection of one user, for the CRM's server."""
    user_id = _user_id(req.route_params["user_id"])
    return json_answer(await show_one_connection(services(), caller.tenant.tenant_id, user_id))


def _user_id(text: str) -> str:
    """An id that a user may have. Raises InvalidRequest, since "not connected" would hide a mistake of the caller's."""
    try:
        return msgspec.convert(text, UserId)
    except msgspec.ValidationError as err:
        raise InvalidRequest("No user has such an id.", (FieldError("/user_id", str(err)),)) from err


@bp.route(route="settings", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@public("open")
async def show_settings_page(req: func.HttpRequest) -> func.HttpResponse:
    """The settings page: no data until its link's token is exchanged. Only registered origins may frame it (W-4)."""
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
    opened = await opening.open_session(services(), read_json(req.get_body(), 16 * KIB, SessionIn).token)
    user = opened.session.user
    answer = {
        "session_token": opened.secret,
        "expires_at": opened.session.expires_at,
        "user": {"id": user.user_id, "display_name": user.display_name},
        "tenant": {"name": opened.tenant_name},
    }
    return json_answer(answer, 201)


@bp.route(route="session/connection", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@session
async def show_session_connection(req: func.HttpRequest, opened: Session) -> func.HttpResponse:
    """The connection of the page's user."""
    del req
    s = services()
    shown = await show_one_connection(s, opened.tenant_id, opened.user.user_id)
    tenant = (await s.tenants.get(opened.tenant_id)).value
    names = {"crm_user": {"display_name": opened.user.display_name}, "tenant": {"name": tenant.name}}
    return json_answer({**shown, **names})


@bp.route(route="session/start-tickets", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@session
async def create_start_ticket(req: func.HttpRequest, opened: Session) -> func.HttpResponse:
    """A ticket to start one sign-in in a top-level window (O-2)."""
    del req
    return json_answer({"ticket": await opening.create_start_ticket(services(), opened)}, 201)


@bp.route(route="oauth/start", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@public("start_ticket")
async def start_oauth(req: func.HttpRequest) -> func.HttpResponse:
    """Redeem the ticket, bind this browser by a cookie, and lead on to Microsoft.

    Not by a redirect: browsers hold a form's redirects to `form-action`, which names only us.
    """
    try:
        departure = await start_sign_in(services(), _form(req).get("ticket", ""))
    except PostbraidError as err:
        return _outcome(err)
    response = page(
        Template(template("oauth_opening.html")).substitute(url=escape(departure.authorize_url)), ALONE
    )
    response.headers.add("Set-Cookie", _cookie(departure.cookie, 600))
    return response


@bp.route(route="oauth/callback", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@public("oauth_callback", 64 * KIB)
async def finish_oauth(req: func.HttpRequest) -> func.HttpResponse:
    """Microsoft's answer by form_post; the outcome waits for the person's yes (O-3, O-4, O-5)."""
    try:
        secret = await finish_sign_in(services(), _cookie_of(req), _form(req))
    except PostbraidError as err:
        return _outcome(err)
    headers = {**SECURITY_HEADERS, "Location": f"{services().addresses.api}/oauth/confirm"}
    response = func.HttpResponse(status_code=303, headers=headers)
    response.headers.add("Set-Cookie", _cookie(secret, 600))
    return response


@bp.route(route="oauth/confirm", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@public("oauth_cookie")
async def show_confirm_page(req: func.HttpRequest) -> func.HttpResponse:
    """Ask whether to connect mailbox X to CRM user Y of Z (O-7)."""
    from shared.sync.connect.confirm_connection import read_question

    try:
        question = await read_question(services(), _cookie_of(req))
    except PostbraidError as err:
        return _outcome(err)
    warning = (
        ""
        if question.known
        else UNKNOWN_ADDRESS.substitute(name=question.user.display_name or question.user.user_id)
    )
    html = Template(template("confirm.html")).substitute(
        address=escape(question.address),
        user=escape(question.user.display_name or question.user.user_id),
        tenant=escape(question.tenant_name),
        warning=escape(warning),
        csrf_token=escape(question.csrf_token),
    )
    return page(html, ALONE)


@bp.route(route="oauth/confirm", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@public("oauth_cookie")
async def confirm_connection(req: func.HttpRequest) -> func.HttpResponse:
    """The person said yes."""
    from shared.sync.connect.confirm_connection import confirm_connection as connect_mailbox

    try:
        connection = await connect_mailbox(services(), _cookie_of(req), _form(req).get("csrf_token"))
    except PostbraidError as err:
        return _outcome(err)
    response = _result("connected", connection.address)
    response.headers.add("Set-Cookie", _cookie("", 0))
    return response


UNKNOWN_ADDRESS: Final = Template(
    "Your CRM does not know this address as one of ${name}'s. Go on only if this mailbox is really yours."
)

# The first class that fits wins.
OUTCOMES: Final[dict[type[PostbraidError], str]] = {
    LinkUnusable: "link_unusable",
    **dict.fromkeys((MailboxTaken, ConnectionChanged), "taken"),
    MailboxUnusable: "unusable",
    ProviderUnavailable: "try_again",
    Throttled: "try_again",
    **dict.fromkeys((Unavailable, Ambiguous, RowChanged, RowExists, RowMissing), "unclear"),
    **dict.fromkeys((Conflict, InvalidRequest, GrantDead, MessageRefused, UpstreamSurprise), "failed"),
}

RESULTS: Final[dict[str, tuple[int, str, str]]] = {
    "connected": (200, "Mailbox connected", "$detail is connected. You can close this window."),
    "declined": (
        200,
        "Nothing was connected",
        "You said no, and nothing was changed. You can close this window.",
    ),
    "admin_consent_required": (
        200,
        "Your administrator has to agree first",
        "Your organisation lets only administrators approve this. Ask yours, then connect again.",
    ),
    "organisation_not_allowed": (
        409,
        "Not connected",
        "Mailboxes of this organisation cannot be connected here. Nothing was changed.",
    ),
    "taken": (409, "Not connected", "$detail Nothing was changed. You can close this window."),
    "unusable": (
        409,
        "Not connected",
        "Microsoft offers no mailbox for this account that a program may use. Nothing was changed.",
    ),
    "link_unusable": (
        410,
        "This link was used already or is too old",
        "Go back to your CRM's settings and press Connect again.",
    ),
    "try_again": (503, "Microsoft did not answer", "Nothing was changed. Press Connect again in a minute."),
    "unclear": (
        503,
        "That did not work just now",
        "Go back to your CRM's settings in a minute. If no mailbox is shown as connected there, press Connect again.",
    ),
    "failed": (
        400,
        "The sign-in did not complete",
        "Nothing was changed. Press Connect again in your CRM's settings.",
    ),
}


def _outcome(err: PostbraidError) -> func.HttpResponse:
    """What a person reads instead of a problem document; Microsoft's own texts are never shown (O-9)."""
    if isinstance(err, SignInFailed):
        return _result(err.reason if err.reason in RESULTS else "failed")
    for kind, outcome in OUTCOMES.items():
        if isinstance(err, kind):
            return _result(outcome, err.detail)
    raise err


def _result(outcome: str, detail: str = "") -> func.HttpResponse:
    status, title, text = RESULTS[outcome]
    said = Template(text).substitute(detail=detail)
    html = Template(template("result.html")).substitute(
        outcome=escape(outcome), title=escape(title), text=escape(said)
    )
    return page(html, ALONE, status=status)


def _form(req: func.HttpRequest) -> dict[str, str]:
    """A small form, each name once. Raises InvalidRequest."""
    try:
        fields = parse_qs(req.get_body().decode("ascii"), strict_parsing=True, max_num_fields=30)
    except (ValueError, UnicodeDecodeError) as err:
        raise InvalidRequest("This is not a form.") from err
    if any(len(values) > 1 for values in fields.values()):
        raise InvalidRequest("A field came twice.")
    return {name: values[0] for name, values in fields.items()}


def _cookie(value: str, max_age_seconds: int) -> str:
    """Binds a browser to its sign-in; SameSite=None because the callback is a cross-site form_post (O-3)."""
    return f"{COOKIE}={value}; Path=/; Max-Age={max_age_seconds}; Secure; HttpOnly; SameSite=None"


def _cookie_of(req: func.HttpRequest) -> str | None:
    """Our own cookie, whatever else programs of this host have set; the platform joins several headers by commas."""
    for pair in (req.headers.get("cookie") or "").replace(",", ";").split(";"):
        name, _, value = pair.strip().partition("=")
        if name == COOKIE:
            return value
    return None
