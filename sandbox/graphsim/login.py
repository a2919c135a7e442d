"""The sign-in pages and endpoints of Entra."""

from __future__ import annotations

import base64
import html
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from sandbox.graphsim.errors import EntraError
from sandbox.graphsim.login_pages import (
    AuthorizePageError,
    account_page,
    approval_needed_page,
    consent_page,
    sorry,
)
from sandbox.graphsim.pages.layout import page

if TYPE_CHECKING:
    from starlette.requests import Request

    from sandbox.graphsim.faults import Fault
    from sandbox.graphsim.store import User
    from sandbox.graphsim.world import World

REQUIRED = ("client_id", "response_type", "redirect_uri", "scope")


def discovery(world: World, tenant: str) -> JSONResponse:
    """The OpenID configuration; the authorize page is on http, so that browsers need not trust the local CA."""
    secure, plain = world.config.entra, world.config.public_http_url
    issuer = "{tenantid}" if tenant in {"common", "organizations", "consumers"} else tenant
    return JSONResponse(
        {
            "token_endpoint": f"{secure}/{tenant}/oauth2/v2.0/token",
            "token_endpoint_auth_methods_supported": [
                "client_secret_post",
                "private_key_jwt",
                "client_secret_basic",
            ],
            "jwks_uri": f"{secure}/{tenant}/discovery/v2.0/keys",
            "response_modes_supported": ["query", "fragment", "form_post"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "response_types_supported": ["code", "id_token", "code id_token"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "issuer": f"https://login.microsoftonline.com/{issuer}/v2.0",
            "request_uri_parameter_supported": False,
            "userinfo_endpoint": f"{secure}/oidc/userinfo",
            "authorization_endpoint": f"{plain}/{tenant}/oauth2/v2.0/authorize",
            "device_authorization_endpoint": f"{secure}/{tenant}/oauth2/v2.0/devicecode",
            "end_session_endpoint": f"{plain}/{tenant}/oauth2/v2.0/logout",
            "claims_supported": [
                "sub",
                "iss",
                "aud",
                "exp",
                "iat",
                "nonce",
                "oid",
                "tid",
                "preferred_username",
                "name",
            ],
            "tenant_region_scope": None,
            "cloud_instance_name": "microsoftonline.com",
            "msgraph_host": "graph.microsoft.com",
        }
    )


def instance_discovery(world: World, authorization_endpoint: str) -> JSONResponse:
    """The instance discovery document: which hosts belong to the cloud."""
    tenant = authorization_endpoint.split("/")[3] if authorization_endpoint.count("/") > 3 else "common"
    address = f"{world.config.entra}/{tenant}/v2.0/.well-known/openid-configuration"
    host = world.config.entra.removeprefix("https://").split(":")[0]
    metadata = [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}]
    return JSONResponse({"tenant_discovery_endpoint": address, "api-version": "1.1", "metadata": metadata})


def check_authorize(world: World, query: dict[str, str]) -> None:
    """Raise AuthorizePageError when client, redirect URI or a parameter of a sign-in is wrong."""
    check_client(world, query, REQUIRED)


def check_client(world: World, query: dict[str, str], required: tuple[str, ...]) -> None:
    """Raise AuthorizePageError when client or redirect URI is wrong, or a parameter is missing."""
    application = world.entra.applications.get(query.get("client_id", ""))
    if application is None:
        raise AuthorizePageError("AADSTS700016: Application was not found in the directory.")
    if query.get("redirect_uri") not in application.redirect_uris:
        raise AuthorizePageError(
            "AADSTS50011: The redirect URI specified in the request does not match the redirect URIs configured "
            "for the application."
        )
    missing = [name for name in required if not query.get(name)]
    if missing:
        raise AuthorizePageError(f"AADSTS900144: The request must contain the parameter '{missing[0]}'.")


def complete_sign_in(world: World, query: dict[str, str], user: User | None, decision: str) -> dict[str, str]:
    """Issue a code when the user accepted; return the fields, or the error, for the application."""
    state = {"state": query["state"]} if "state" in query else {}
    if query.get("response_type") != "code":
        return {
            "error": "unsupported_response_type",
            "error_description": "AADSTS700054: response_type is not enabled.",
            **state,
        }
    if user is None or decision != "accept":
        text = "AADSTS65004: User declined to consent to access the app."
        return {"error": "access_denied", "error_subcode": "cancel", "error_description": text, **state}
    if not world.entra.may_sign_in(user, query):
        text = "AADSTS90094: The grant requires administrator permission."
        return {"error": "access_denied", "error_description": text, **state}
    fields = {"code": world.entra.issue_code(user, query), **state, "session_state": world.ids.guid()}
    if query.get("client_info") == "1":
        fields["client_info"] = world.entra.client_info(user)
    return fields


def callback_response(query: dict[str, str], fields: dict[str, str]) -> Response:
    """The response that sends the fields to the application: a redirect, or a form that submits itself."""
    target = query["redirect_uri"]
    mode = query.get("response_mode", "query")
    if mode != "form_post":
        sign = "#" if mode == "fragment" else "&" if "?" in target else "?"
        return RedirectResponse(f"{target}{sign}{urlencode(fields)}", 302)
    inputs = "".join(
        f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
        for name, value in fields.items()
    )
    form = (
        f'<form method="post" action="{html.escape(target)}" id="back">{inputs}'
        '<p>Going back to the application…</p><button data-testid="continue">Continue</button></form>'
        '<script>document.getElementById("back").submit()</script>'
    )
    return HTMLResponse(page("Working…", form, narrow=True))


async def authorize(world: World, request: Request) -> Response:
    """Serve the authorize endpoint: GET shows the pages, POST carries the decision."""
    if request.method == "POST":
        form = {name: str(value) for name, value in (await request.form()).items()}
        query = dict(parse_qsl(form.get("query", ""), keep_blank_values=True))
    else:
        form, query = {}, dict(request.query_params)
    try:
        check_authorize(world, query)
    except AuthorizePageError as error:
        return sorry(error)
    user = world.store.user(query.pop("account", ""))
    if form:
        return callback_response(query, complete_sign_in(world, query, user, form.get("decision", "")))
    if query.get("prompt") == "none":
        fields = {
            "error": "login_required",
            "error_description": "AADSTS50058: Session information is not sufficient for single sign-on.",
            "state": query.get("state", ""),
        }
        return callback_response(query, fields)
    if user is None:
        return account_page(world, query)
    return _after_account(world, query, user)


def _after_account(world: World, query: dict[str, str], user: User) -> Response:
    """What follows the choice of an account: the permissions, unless an administrator has decided on them."""
    asked = {**query, "account": user.address}
    if world.entra.is_approved(user, query):
        return callback_response(query, complete_sign_in(world, query, user, "accept"))
    if not world.entra.may_sign_in(user, query):
        return approval_needed_page(world, asked, user)
    return consent_page(world, asked, user)


async def issue_token(world: World, request: Request) -> JSONResponse:
    """Serve the token endpoint."""
    entry = world.log.start(world.now().strftime("%Y-%m-%dT%H:%M:%SZ"), "POST", request.url.path, "")
    entry.operation = "entra.token"
    form = {name: str(value) for name, value in (await request.form()).items()}
    fault = world.faults.hit("entra.token", "POST", None)
    try:
        _raise_fault(fault)
        entry.credential = world.entra.check_client(form, _basic(request))
        answer = _redeem(world, form)
        entry.status = 200
        return JSONResponse(answer, headers={"Cache-Control": "no-store", "Pragma": "no-cache"})
    except EntraError as error:
        entry.status, entry.error = error.status, error.error
        return JSONResponse(error_body(world, error), error.status)


# The answers of planned faults of the token endpoint, by AADSTS number: error, suberror, status
# ("Microsoft Entra authentication and authorization error codes"; suberrors are general knowledge).
PLANNED: dict[str, tuple[str, str | None, int]] = {
    "50076": ("interaction_required", "basic_action", 400),
    "50079": ("interaction_required", "basic_action", 400),
    "53003": ("interaction_required", "message_only", 400),
    "65001": ("invalid_grant", "consent_required", 400),
    "50173": ("invalid_grant", "bad_token", 400),
    "70043": ("invalid_grant", "bad_token", 400),
    "700082": ("invalid_grant", "token_expired", 400),
    "7000215": ("invalid_client", None, 401),
    "7000222": ("invalid_client", None, 401),
    "50033": ("invalid_grant", None, 400),
    "50196": ("invalid_grant", None, 400),
    "90024": ("temporarily_unavailable", None, 400),
    "90033": ("temporarily_unavailable", None, 400),
    "90055": ("temporarily_unavailable", None, 400),
}


def _raise_fault(fault: Fault | None) -> None:
    """Raise the error of a fault's AADSTS number, or else a transient error with the fault's status."""
    if fault and fault.code in PLANNED:
        error, suberror, status = PLANNED[fault.code]
        raise EntraError(
            error, int(fault.code), "The simulator was told to answer this.", fault.status or status, suberror
        )
    if fault and fault.status:
        text = "A transient error has occurred. Please try again."
        raise EntraError("temporarily_unavailable", 90033, text, fault.status)


def _redeem(world: World, form: dict[str, str]) -> dict[str, Any]:
    match form.get("grant_type"):
        case "authorization_code":
            return world.entra.redeem_code(form)
        case "refresh_token":
            return world.entra.redeem_refresh_token(form)
        case other:
            raise EntraError(
                "unsupported_grant_type", 70003, f"The app requested an unsupported grant type '{other}'."
            )


def error_body(world: World, error: EntraError) -> dict[str, Any]:
    """The JSON of an error, with trace ids and the AADSTS text."""
    trace, correlation, now = world.ids.guid(), world.ids.guid(), world.now().strftime("%Y-%m-%d %H:%M:%SZ")
    text = (
        f"AADSTS{error.number}: {error.text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {now}"
    )
    body: dict[str, Any] = {
        "error": error.error,
        "error_description": text,
        "error_codes": [error.number],
        "timestamp": now,
        "trace_id": trace,
        "correlation_id": correlation,
        "error_uri": f"https://login.microsoftonline.com/error?code={error.number}",
    }
    return body | ({"suberror": error.suberror} if error.suberror else {})


def _basic(request: Request) -> tuple[str, str] | None:
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, _, secret = base64.b64decode(text).decode().partition(":")
    except ValueError as error:
        raise EntraError("invalid_client", 7000215, "Invalid client secret provided.", 401) from error
    return name, secret
