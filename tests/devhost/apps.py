"""Small apps and what tests need to drive them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import azure.functions as func
import httpx

from sandbox.devhost.inprocess import Host, build_host

Handler = Callable[..., Any]


def anonymous_app() -> func.FunctionApp:
    return func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


def serving(name: str, route: str, methods: list[str] | None = None, **more: Any) -> func.FunctionApp:
    """An app with one function that answers its own name and what the route gave it."""
    app = anonymous_app()
    add_route(app, name, route, methods, **more)
    return app


def add_route(
    app: func.FunctionApp, name: str, route: str, methods: list[str] | None = None, **more: Any
) -> None:
    async def answer(req: func.HttpRequest) -> func.HttpResponse:
        values = ",".join(f"{key}={value}" for key, value in req.route_params.items())
        return func.HttpResponse(f"{name}:{values}")

    answer.__name__ = name
    app.route(route=route, methods=methods, **more)(answer)


def handled(handler: Handler, **more: Any) -> func.FunctionApp:
    """An app with one function at /api/it."""
    app = anonymous_app()
    app.route(route="it", **more)(handler)
    return app


@asynccontextmanager
async def client_of(host: Host) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(host.asgi)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:7071") as client:
        yield client


async def ask(app: func.FunctionApp | Host, method: str, path: str, **more: Any) -> httpx.Response:
    """One request to an app (or to a host made of it)."""
    host = app if isinstance(app, Host) else build_host(app, environ={})
    async with client_of(host) as client:
        return await client.request(method, path, **more)
