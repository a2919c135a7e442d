"""The CRM as an ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from sandbox.democrm import api, control, pages
from sandbox.democrm.crm import Crm
from sandbox.democrm.guard import Guard

HERE = Path(__file__).parent


def build_app(crm: Crm, hosts: tuple[str, ...] = ()) -> Starlette:
    """The application of a CRM. It answers only loopback names and `hosts`, against DNS rebinding."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        await crm.product.close()
        crm.store.close()

    app = Starlette(
        routes=[
            *api.ROUTES,
            *control.ROUTES,
            *pages.ROUTES,
            Mount("/static", StaticFiles(directory=HERE / "static"), name="static"),
        ],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost", "testserver", *hosts]),
            Middleware(Guard, app_origin=crm.product.origin),
        ],
        exception_handlers={HTTPException: pages.show_missing},
        lifespan=lifespan,
    )
    app.state.crm = crm
    return app
