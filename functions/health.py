"""HTTP: is it up, and can it work."""

from __future__ import annotations

import azure.functions as func

from functions.boundary import json_answer, public
from shared.bootstrap import services
from shared.domain.errors import Misconfigured, NotReady

bp = func.Blueprint()


@bp.route(route="health/live", methods=["GET", "HEAD"], auth_level=func.AuthLevel.ANONYMOUS)
@public("open")
async def health_live(req: func.HttpRequest) -> func.HttpResponse:
    """The process answers; nothing else is touched."""
    del req
    return json_answer({"status": "live"})


@bp.route(route="health/ready", methods=["GET", "HEAD"], auth_level=func.AuthLevel.ANONYMOUS)
@public("open")
async def health_ready(req: func.HttpRequest) -> func.HttpResponse:
    """A few cheap calls of each service that the app rests on; 503 with all faults, by names of settings."""
    from shared.sync.readiness import find_faults

    del req
    try:
        s = services()
    except Misconfigured as err:
        raise Misconfigured(faults=err.faults, shown=True) from None
    faults = await find_faults(s)
    if faults:
        raise NotReady(faults=faults)
    return json_answer({"status": "ready"})
