"""HTTP: is it up, and can it work."""

from __future__ import annotations

import azure.functions as func

from functions.boundary import json_answer, public
from shared.bootstrap import services
from shared.state import keys

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
    """One cheap call of each store; one that does not answer raises StoreUnavailable, which is a 503."""
    del req
    s = services()
    await s.tables.get(keys.TENANTS, "health", "ping")
    await s.blobs.get(keys.STAGING, "health/ping")
    await s.queues.count(keys.CHANGES)
    return json_answer({"status": "ready"})
