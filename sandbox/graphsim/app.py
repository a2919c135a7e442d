"""The simulator as an ASGI application, used in process or served on ports."""

from __future__ import annotations

import asyncio
import inspect
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.graphsim import admin_consent, control, login
from sandbox.graphsim.config import SimulatorConfig
from sandbox.graphsim.entra import Entra
from sandbox.graphsim.faults import Faults, Sleep
from sandbox.graphsim.graph import serve_graph
from sandbox.graphsim.ids import IdMaker
from sandbox.graphsim.knobs import Knobs
from sandbox.graphsim.notifications import Notifier
from sandbox.graphsim.pages import outlook
from sandbox.graphsim.requestlog import RequestLog
from sandbox.graphsim.schedule import Schedule
from sandbox.graphsim.store import Store
from sandbox.graphsim.subscriptions import Subscriptions
from sandbox.graphsim.throttling import Throttle
from sandbox.graphsim.uploads import Uploads, serve_upload
from sandbox.graphsim.world import World

if TYPE_CHECKING:
    from datetime import datetime

    import httpx
    from starlette.requests import Request

    from sandbox.graphsim.config import Clock

__all__ = ["Simulator", "SimulatorConfig", "build_simulator"]

METHODS = ["GET", "POST", "PATCH", "PUT", "DELETE"]


@dataclass(slots=True)
class Simulator:
    """A simulator: `app` answers requests, `run_due` runs the scheduled jobs that are due."""

    world: World
    app: Starlette

    async def run_due(self) -> int:
        """Run all jobs that are due now, including those that they schedule for now; return how many ran."""
        done = 0
        while (job := self.world.schedule.pop_due(self.world.now())) is not None:
            result = job()
            if inspect.isawaitable(result):
                await result
            done += 1
        return done

    def next_due_at(self) -> datetime | None:
        """When the next scheduled job is due, or None."""
        return self.world.schedule.next_at()


def build_simulator(
    config: SimulatorConfig,
    clock: Clock,
    http: httpx.AsyncClient | None = None,
    sleep: Sleep = asyncio.sleep,
) -> Simulator:
    """Build a simulator; `http` posts its notifications, `sleep` lets the time of a delayed request pass."""
    knobs = Knobs()
    for name, value in config.knobs.items():
        knobs.set(name, value)
    ids = IdMaker(config.seed, knobs.text("ids_differ_by_case") == "yes")
    chances = random.Random(config.seed + 1)
    store = Store()
    world = World(
        config=config, clock=clock, http=http, random=chances, knobs=knobs, ids=ids, store=store, schedule=Schedule(),
        log=RequestLog(), faults=Faults(chances), throttle=Throttle(knobs), uploads=Uploads(),
        sleep=sleep,
    )  # fmt: skip
    world.entra = Entra(world)
    world.subscriptions = Subscriptions(world)
    world.notifier = Notifier(world)
    for application in config.applications:
        world.entra.register(application)
    return Simulator(world, _routes(world))


def _routes(world: World) -> Starlette:
    async def graph(request: Request) -> Response:
        return await serve_graph(world, request)

    async def upload(request: Request) -> Response:
        return await serve_upload(world, request)

    async def discovery(request: Request) -> Response:
        return login.discovery(world, request.path_params["tenant"])

    async def instance(request: Request) -> Response:
        return login.instance_discovery(world, request.query_params.get("authorization_endpoint", ""))

    async def keys(_request: Request) -> Response:
        return JSONResponse(world.entra.public_keys())

    async def authorize(request: Request) -> Response:
        return await login.authorize(world, request)

    async def token(request: Request) -> Response:
        return await login.issue_token(world, request)

    async def approve(request: Request) -> Response:
        return await admin_consent.serve(world, request)

    app = Starlette(
        routes=[
            *control.routes(world),
            *outlook.routes(world),
            Route("/common/discovery/instance", instance),
            Route("/{tenant}/v2.0/.well-known/openid-configuration", discovery),
            Route("/{tenant}/discovery/v2.0/keys", keys),
            Route("/{tenant}/oauth2/v2.0/authorize", authorize, methods=["GET", "POST"]),
            Route("/{tenant}/v2.0/adminconsent", approve, methods=["GET", "POST"]),
            Route("/{tenant}/oauth2/v2.0/token", token, methods=["POST"]),
            Route("/v1.0/{path:path}", graph, methods=METHODS),
            Route("/api/v2.0/{path:path}", upload, methods=METHODS),
        ]
    )
    app.state.world = world
    return app
