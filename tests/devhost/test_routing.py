"""Which function gets a request."""

from __future__ import annotations

import azure.functions as func
import pytest

from sandbox.devhost.inprocess import build_host
from tests.devhost.apps import add_route, anonymous_app, ask, serving


async def test_a_request_reaches_its_function() -> None:
    """A path below /api is matched without regard to case or a trailing slash."""
    app = serving("show", "items/{id}", ["GET"])
    assert (await ask(app, "GET", "/api/items/7")).text == "show:id=7"
    assert (await ask(app, "GET", "/API/Items/7/")).text == "show:id=7"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/items/7"),
        ("HEAD", "/api/items/7"),
        ("OPTIONS", "/api/items/7"),
        ("GET", "/api/items"),
        ("GET", "/items/7"),
        ("GET", "/api/other"),
    ],
)
async def test_anything_else_is_404(method: str, path: str) -> None:
    """A wrong path or method is 404, never 405, and HEAD and OPTIONS are not derived from GET."""
    answer = await ask(serving("show", "items/{id}", ["GET"]), method, path)
    assert (answer.status_code, answer.content) == (404, b"")


async def test_no_methods_means_all() -> None:
    """A route without methods answers every method."""
    for method in ("GET", "DELETE", "OPTIONS"):
        assert (await ask(serving("any", "any"), method, "/api/any")).status_code == 200


async def test_the_first_name_wins() -> None:
    """Of two routes that match, the function whose name comes first answers, literal or not."""
    app = anonymous_app()
    add_route(app, "z_status", "send/status")
    add_route(app, "A_send", "send/{id}")
    assert (await ask(app, "GET", "/api/send/status")).text == "A_send:id=status"


async def test_a_constraint_lets_the_next_route_answer() -> None:
    """A route whose constraint fails does not match, so a later function may answer."""
    app = anonymous_app()
    add_route(app, "a_number", "send/{id:int}")
    add_route(app, "b_text", "send/{id}")
    assert (await ask(app, "GET", "/api/send/7")).text == "a_number:id=7"
    assert (await ask(app, "GET", "/api/send/status")).text == "b_text:id=status"


async def test_the_same_route_with_other_methods() -> None:
    """Two functions may share a route if their methods differ."""
    app = anonymous_app()
    add_route(app, "get_it", "oauth/confirm", ["GET"])
    add_route(app, "post_it", "oauth/confirm", ["POST"])
    host = build_host(app, environ={})
    assert host.dropped == ()
    assert (await ask(host, "POST", "/api/oauth/confirm")).text == "post_it:"


async def test_a_clash_drops_the_later_function() -> None:
    """Of two functions with the same route and a common method, the later by name is left out."""
    app = anonymous_app()
    add_route(app, "b_late", "It/", ["POST", "GET"])
    add_route(app, "a_early", "it", ["GET"])
    host = build_host(app, environ={})
    assert [
        (dropped.function, "conflicts with the route of function 'a_early'" in dropped.reason)
        for dropped in host.dropped
    ] == [("b_late", True)]
    assert (await ask(host, "POST", "/api/it")).status_code == 404
    assert (await ask(host, "GET", "/api/it")).text == "a_early:"


@pytest.mark.parametrize("route", ["admin/x", "/runtime/x", "Administrate"])
def test_reserved_routes(route: str) -> None:
    """A route that begins like the host's own is left out."""
    (dropped,) = build_host(serving("mine", route), environ={}).dropped
    assert "conflicts with one or more built in routes" in dropped.reason


def test_bad_template_and_bad_name() -> None:
    """A bad route template or function name costs that function only."""
    app = anonymous_app()
    add_route(app, "good", "good")
    add_route(app, "bad", "x/{a:nonsense}")
    add_route(app, "host", "host")
    host = build_host(app, environ={})
    assert sorted(dropped.function for dropped in host.dropped) == ["bad", "host"]
    assert list(host.functions) == ["good"]


async def test_another_prefix() -> None:
    """`routePrefix` replaces `api`, and an empty one removes it."""
    app = serving("one", "one")
    for prefix, path in (("v2/x", "/v2/x/one"), ("", "/one")):
        config = {"version": "2.0", "extensions": {"http": {"routePrefix": prefix}}}
        host = build_host(app, host_json=config, environ={})
        assert (await ask(host, "GET", path)).text == "one:"
        assert (await ask(host, "GET", "/api/one")).status_code == 404


async def test_the_route_defaults_to_the_name() -> None:
    """A function without a route is found under its own name."""
    app = anonymous_app()

    @app.route()
    async def hello(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse("hi")

    assert (await ask(app, "GET", "/api/hello")).text == "hi"


async def test_the_home_page() -> None:
    """The home page answers 200, or 204 when it is switched off."""
    app = serving("one", "one")
    assert (await ask(app, "GET", "/")).status_code == 200
    quiet = build_host(app, environ={"AzureWebJobsDisableHomepage": "true"})
    assert (await ask(quiet, "GET", "/")).status_code == 204
