"""Who may call what: the one layer of authentication (X-1), in front of every route."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from functions.boundary import POLICIES
from shared.domain.errors import StoreUnavailable
from shared.domain.model import Tenant
from shared.state import keys
from shared.state.codec import Stored, encode
from tests.builders import NOW
from tests.functions.answers import problem
from tests.functions.app import App
from tests.functions.host import Route, routes

HTTP = {route.name: route for route in routes()}
ANY = "x" * 26
PLACES = {
    "{user_id}": "u_ann",
    "{message_id}": f"msg_{'a' * 26}_{'b' * 26}",
    "{token}": "t",
    "{name}": "n",
    "{secret}": "s",
}


def _request(route: Route) -> tuple[str, str]:
    path = f"/{route.template}"
    for place, value in PLACES.items():
        path = path.replace(place, value)
    return next(iter(sorted(route.methods))), path


def _with(policy: str) -> list[Any]:
    chosen = [route for route in routes() if POLICIES.get(route.name, "").split(":")[0] == policy]
    return [pytest.param(*_request(route), route.name, id=route.name) for route in chosen]


keyed = pytest.mark.parametrize(("method", "path", "name"), _with("tenant_key"))
paged = pytest.mark.parametrize(("method", "path", "name"), _with("session"))


def test_every_route_has_a_policy() -> None:
    """Every route has a policy by decorator but Graph's two, which judge path secret and clientState."""
    assert set(HTTP) - set(POLICIES) == {"receive_notifications", "receive_lifecycle_notifications"}


def test_only_these_routes_are_open() -> None:
    """The routes open to everybody are exactly those listed here."""
    assert {name for name, policy in POLICIES.items() if policy == "open"} == {
        "show_settings_page",
        "show_admin_consent_page",
        "serve_asset",
        "show_openapi",
        "health_live",
        "health_ready",
    }


WRONG_KEYS = {
    "none": None,
    "empty": "",
    "no scheme": "{key}",
    "another scheme": "Basic {key}",
    "only the scheme": "Bearer",
    "cut": "Bearer {key[:-1]}",
    "unknown": f"Bearer psk_{'a' * 12}_{'A' * 43}",
    "another secret": "Bearer {other}",
    "twice": "Bearer {key} {key}",
    "of strange characters": "Bearer psk_../.._\u00e9",
}


@keyed
@pytest.mark.parametrize("wrong", WRONG_KEYS.values(), ids=WRONG_KEYS)
async def test_no_route_of_the_crm_opens_without_its_key(
    app: App, method: str, path: str, name: str, wrong: str | None
) -> None:
    """A CRM route without a valid key answers 401, the same for every fault, and names the scheme to use."""
    good = app.tenant.api_key
    mixed = good[:17] + app.other.api_key[17:]
    shown = (wrong or "").replace("{key[:-1]}", good[:-1]).replace("{key}", good).replace("{other}", mixed)
    answer = await app.call(method, path, headers={} if wrong is None else {"Authorization": shown})
    document = problem(answer, 401, "not-authenticated")
    assert document["detail"] == "A valid credential is needed."
    assert answer.headers["www-authenticate"] == "Bearer"


@keyed
async def test_a_key_never_works_in_a_query(app: App, method: str, path: str, name: str) -> None:
    """An API key in the query opens no route, because addresses end up in logs."""
    params = {"key": app.tenant.api_key, "authorization": f"Bearer {app.tenant.api_key}"}
    problem(await app.call(method, path, params=params), 401, "not-authenticated")


@keyed
async def test_an_expired_key_is_no_key(app: App, method: str, path: str, name: str) -> None:
    """An API key is refused from the moment of its end."""
    key = await app.make_key(app.tenant.tenant_id, expires_at=NOW + timedelta(hours=1))
    assert (await app.call(method, path, key=key)).status != 401
    app.clock.forward(hours=1)
    problem(await app.call(method, path, key=key), 401, "not-authenticated")


@keyed
async def test_a_disabled_tenant_is_locked_out(app: App, method: str, path: str, name: str) -> None:
    """A disabled tenant's key opens no route."""
    tenant_id = app.tenant.tenant_id
    disabled = Tenant(tenant_id, "Northwind", "https://crm.example/hooks", disabled=True)
    await app.tables.upsert(keys.TENANTS, tenant_id, "tenant", encode(Stored(disabled)))
    problem(await app.call(method, path, key=app.tenant.api_key), 401, "not-authenticated")


@keyed
async def test_a_key_opens_what_its_scope_names(app: App, method: str, path: str, name: str) -> None:
    """A key without the route's scope is refused with a problem that names the scope, and that scope alone suffices."""
    scope = POLICIES[name].split(":")[1]
    lacking = await app.make_key(app.tenant.tenant_id, tuple({"send", "read", "connect"} - {scope}))
    document = problem(await app.call(method, path, key=lacking), 403, "not-allowed")
    assert scope in document["detail"]
    enough = await app.make_key(app.tenant.tenant_id, (scope,))
    assert (await app.call(method, path, key=enough)).status not in {401, 403}


@paged
@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "Basic ", ""])
async def test_no_route_of_the_page_opens_without_its_session(
    app: App, method: str, path: str, name: str, scheme: str
) -> None:
    """A page route refuses a made-up token, none, and a tenant's key, whatever the session cookie says (W-5)."""
    session = await app.page_session()
    for token in (ANY, "", app.tenant.api_key):
        headers = {"Authorization": f"{scheme}{token}", "Cookie": f"session={session}"}
        problem(await app.call(method, path, headers=headers), 401, "not-authenticated")
    problem(await app.call(method, path), 401, "not-authenticated")
    # 404 where the path names a thread that is not there: with the session the route is open.
    assert (await app.call(method, path, key=session)).status in {404 if "/threads/" in path else 200, 201}


@paged
async def test_a_link_or_ticket_is_no_session(app: App, method: str, path: str, name: str) -> None:
    """Neither a link's token nor a start ticket opens a page route as a session."""
    link = await app.v1("POST", "session-links", json={"user": {"id": "u_ann"}})
    ticket = await app.call("POST", "/session/start-tickets", key=await app.page_session())
    for token in (link.json()["url"].split("#")[1], ticket.json()["ticket"]):
        problem(await app.call(method, path, key=token), 401, "not-authenticated")


LIMITS = {
    ("POST", "/v1/messages"): 4 * 2**20,
    ("POST", "/v1/files"): 3 * 2**20,
    ("POST", "/v1/session-links"): 256 * 2**10,
    ("POST", "/session"): 16 * 2**10,
    ("POST", "/session/start-tickets"): 16 * 2**10,
    ("POST", "/oauth/start"): 16 * 2**10,
    ("POST", "/oauth/callback"): 64 * 2**10,
}


@pytest.mark.parametrize(
    ("where", "limit"), LIMITS.items(), ids=lambda case: case[1] if isinstance(case, tuple) else ""
)
async def test_a_body_over_its_limit_is_refused_before_it_is_read(
    app: App, where: tuple[str, str], limit: int
) -> None:
    """A body over its route's limit is answered with 413 before it is parsed (X-2)."""
    method, path = where
    key = await app.page_session() if path.startswith("/session/") else app.tenant.api_key
    answer = await app.call(method, path, key=key, body=b"{" * (limit + 1))
    problem(answer, 413, "body-too-large")


@keyed
async def test_nobody_learns_of_limits_without_a_key(app: App, method: str, path: str, name: str) -> None:
    """A body over the limit without a key is answered with 401, so the credential is judged first."""
    problem(await app.call(method, path, body=b"x" * (5 * 2**20)), 401, "not-authenticated")


TOUCHES_STORES = [route for route in routes() if POLICIES.get(route.name, "open") != "open"] + [
    HTTP["health_ready"]
]


@pytest.mark.parametrize("route", TOUCHES_STORES, ids=lambda route: route.name)
async def test_a_store_that_is_down_is_a_503(app: App, route: Route) -> None:
    """While storage is down people get a 503 page and programs a 503 problem with Retry-After.

    Nothing of the store's words gets out.
    """
    method, path = _request(route)
    key = await app.page_session() if POLICIES[route.name] == "session" else app.tenant.api_key
    app.store_down(StoreUnavailable("account northwindstore.table.core.windows.net"))
    body: dict[str, Any] = {"json": {"token": "x" * 30}} if route.name == "open_session" else {}
    if path.startswith(("/oauth", "/disconnect")):
        body = {"form": {"ticket": ANY, "state": ANY, "csrf_token": ANY}, "cookie": ANY}
    if route.name == "download_file":
        parts = (app.tenant.tenant_id, PLACES["{message_id}"], "att_1")
        path = f"/files/{app.services.file_links.mint(parts, NOW + timedelta(1))}"
    answer = await app.call(method, path, key=key, **body)
    if path in {"/oauth/confirm", "/disconnect/confirm"} and method == "POST":
        assert answer.status == 410  # the page's own token is wrong before any store is asked
        return
    assert "windows.net" not in answer.text
    if path.startswith(("/oauth", "/disconnect")):
        assert (answer.status, answer.headers["content-type"][:9]) == (503, "text/html")
        return
    problem(answer, 503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0


async def test_liveness_needs_no_store(app: App) -> None:
    """The liveness check says `live` although every store is down."""
    app.store_down(StoreUnavailable())
    assert (await app.call("GET", "/health/live")).json() == {"status": "live"}


async def test_readiness_is_a_few_reads_of_each_store(app: App) -> None:
    """The readiness check reads chores, two watermarks, one blob and the head of each queue, for GET and HEAD."""
    pings: list[str] = []
    for store in (app.tables, app.blobs, app.queues):
        store.observe = lambda port, _: pings.append(port)
    for method in ("GET", "HEAD"):
        assert (await app.call(method, "/health/ready")).status == 200
    assert Counter(pings) == {"table": 2 * 3, "blob": 2, "queue": 2 * len(keys.QUEUES)}


@pytest.mark.parametrize("route", TOUCHES_STORES, ids=lambda route: route.name)
async def test_an_unforeseen_error_tells_nothing_of_the_inside(
    app: App, route: Route, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error nobody foresaw is a 500 whose text is neither in the answer nor in the log (X-5, L-1)."""
    method, path = _request(route)
    key = await app.page_session() if POLICIES[route.name] == "session" else app.tenant.api_key
    app.store_down(ZeroDivisionError("canary: ann@northwind.example"))
    body: dict[str, Any] = {"json": {"token": "x" * 30}} if route.name == "open_session" else {}
    if path.startswith(("/oauth", "/disconnect")):
        body = {"form": {"ticket": ANY, "state": ANY}, "cookie": ANY}
    answer = await app.call(method, path, key=key, **body)
    if answer.status in {404, 410}:
        return  # refused before any store was asked
    document = problem(answer, 500, "unexpected")
    assert "canary" not in str(document)
    shown = capsys.readouterr()
    assert "canary" not in shown.out + shown.err


async def test_the_document_is_served(app: App) -> None:
    """The OpenAPI document is served without a key."""
    answer = await app.call("GET", "/openapi.json")
    assert answer.json()["openapi"].startswith("3.1")
