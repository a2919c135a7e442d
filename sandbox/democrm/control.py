"""Controls for tests, which a real CRM does not have: show the state, simulate an outage, reset."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.democrm.crm import answer, crm_of
from sandbox.democrm.receiving import Outage
from sandbox.democrm.store import KINDS


class OutageInput(msgspec.Struct, forbid_unknown_fields=True):
    """`POST /__control/outage`; a count of 0 ends the outage."""

    count: int
    status: int = 503
    retry_after_seconds: int | None = None


async def show_state(request: Request) -> Response:
    """Show all records, the outage in force and the time."""
    crm = crm_of(request)
    records = {kind: list(getattr(crm.store, kind).values()) for kind in KINDS}
    return answer(
        records | {"now": crm.clock.now(), "outage": crm.receiver.outage, "version": crm.store.version}
    )


async def show_attempts(request: Request) -> Response:
    """Show every request to the webhook endpoint with its answer, refused ones included."""
    return answer({"attempts": list(crm_of(request).receiver.attempts)})


async def set_outage(request: Request) -> Response:
    """Let the next webhooks be answered with an error."""
    try:
        wanted = msgspec.json.decode(await request.body(), type=OutageInput)
    except msgspec.DecodeError as err:
        return answer({"error": str(err)}, 400)
    receiver = crm_of(request).receiver
    receiver.outage = Outage(wanted.count, wanted.status, wanted.retry_after_seconds)
    return answer(receiver.outage)


async def reset(request: Request) -> Response:
    """Reset the CRM to its initial data."""
    crm = crm_of(request)
    crm.store.reset()
    crm.receiver.attempts.clear()
    crm.receiver.outage = Outage()
    return answer({"version": crm.store.version})


ROUTES = [
    Route("/__control/state", show_state),
    Route("/__control/events", show_attempts),
    Route("/__control/outage", set_outage, methods=["POST"]),
    Route("/__control/reset", reset, methods=["POST"]),
]
