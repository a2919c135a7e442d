"""Serve Graph: find the operation, check caller and limits, apply faults, execute, write the request log."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from starlette.responses import Response

from sandbox.graphsim import calls
from sandbox.graphsim.errors import ConnectionCut, GraphError, access_denied, bad_request, not_simulated
from sandbox.graphsim.faults import NONSENSE
from sandbox.graphsim.operations import OPERATIONS
from sandbox.graphsim.render import when

if TYPE_CHECKING:
    from starlette.requests import Request

    from sandbox.graphsim.calls import Call, Operation, Reply
    from sandbox.graphsim.faults import Fault
    from sandbox.graphsim.requestlog import Entry
    from sandbox.graphsim.world import World

PREFIX = "/v1.0"
PROBE_HEADER = "x-simulator-probe"
"""By this header whoever calls on purpose, such as a test, says why; Graph ignores headers that it does not know."""
# What Graph has and the simulator does not: by the last segment of a path, and by method and operation.
_MISSING = {
    "$batch": "JSON batching",
    "delta": "delta queries",
    "translateexchangeids": "translateExchangeIds",
    "mailboxsettings": "mailbox settings",
    "reply": "reply in one call",
    "replyall": "replyAll in one call",
    "forward": "forward in one call",
}
_MISSING_METHODS = {
    ("PATCH", "folder.get"): "renaming folders",
    ("DELETE", "folder.get"): "deleting folders",
    ("POST", "folder.children"): "folders below folders",
    ("POST", "folder.messages"): "drafts made in a folder",
}


async def serve_graph(world: World, request: Request) -> Response:
    """Answer one request below /v1.0."""
    entry = world.log.start(when(world.now()), request.method, request.url.path, request.url.query)
    try:
        response = await _answer(world, request, entry)
    except GraphError as error:
        entry.error = error.code
        response = _error_response(world, request, error)
    entry.status = response.status_code
    entry.bytes = len(response.body)
    return response


async def _answer(world: World, request: Request, entry: Entry) -> Response:
    body = await request.body()
    entry.request_bytes = len(body)
    entry.probe = request.headers.get(PROBE_HEADER) or _probe_of(request)
    segments = _with_me(world, request, calls.segments_of(request.scope["raw_path"], PREFIX))
    try:
        operation, ids = _find(request.method, segments)
    except GraphError:
        world.entra.authenticate(request.headers.get("authorization"))  # without a token 401 comes first
        raise
    entry.operation = operation.name
    call = _make_call(world, request, entry, body, segments, ids)
    entry.address = _address(world, call)
    asks_for_body = calls.asks_for_body(call.raw_query, operation)
    fault = world.faults.hit(operation.name, request.method, entry.address, of_body=asks_for_body)
    if fault:
        entry.fault = fault.kind
        await _apply_fault(world, fault, call, operation)
    if fault and fault.kind == "nonsense":
        media, content = NONSENSE[fault.body]
        return Response(content, fault.status or 200, _tracing(world, request), media)
    reply = await _execute(call, operation, request)
    if fault and fault.kind == "drop_after":
        raise ConnectionCut
    return _response(world, request, reply)


async def _execute(call: Call, operation: Operation, request: Request) -> Reply:
    """Authenticate, take a slot of the mailbox, check what all operations have in common, call the handler."""
    world = call.world
    grant = call.grant = world.entra.authenticate(call.headers.get("authorization"))
    call.style, applied = calls.parse_prefer(request.headers.getlist("prefer"))
    call.query = calls.parse_query(call.raw_query, operation)
    if world.throttle.in_force(grant.user.address, world.now()):
        call.entry.fault = "throttle"
    with world.throttle.slot((grant.client_id, grant.user.address.lower()), world.now(), len(call.body)):
        await asyncio.sleep(world.knobs.number("service_seconds"))
        if len(call.body) > calls.MAX_REQUEST_BYTES:
            raise GraphError(
                413, "RequestEntityTooLarge", "The request body exceeds the maximum size of 4 MB."
            )
        if operation.scopes and not grant.scopes & set(operation.scopes):
            raise access_denied()
        if operation.name.startswith("user.foreign"):
            raise access_denied()
        reply = await operation.handler(call)
    if applied:
        reply.headers["Preference-Applied"] = applied
    return reply


def _probe_of(request: Request) -> str | None:
    """Why a request finds something out and no more: it carries no token, or it asks for an id and nothing else."""
    if "authorization" not in request.headers:
        return "without a token"
    if request.method == "GET" and request.query_params.get("$select") == "id":
        return "is it there?"
    return None


def _with_me(world: World, request: Request, segments: list[str]) -> list[str]:
    """The segments with `users/{the caller}` replaced by `me`; another user's stay as they are."""
    if len(segments) < 2 or segments[0].lower() != "users":
        return segments
    grant = world.entra.peek(request.headers.get("authorization"))
    names = {grant.user.user_id.lower(), grant.user.address.lower()} if grant else set()
    return ["me", *segments[2:]] if segments[1].lower() in names else segments


def _find(method: str, segments: list[str]) -> tuple[Operation, dict[str, str]]:
    if what := _MISSING.get(segments[-1].lower()):
        raise not_simulated(what)
    known = [(operation, ids) for operation in OPERATIONS if (ids := operation.match(segments)) is not None]
    for operation, ids in known:
        if operation.method == method:
            return operation, ids
        if what := _MISSING_METHODS.get((method, operation.name)):
            raise not_simulated(what)
    if known:
        raise GraphError(405, "BadRequest", f"The HTTP method '{method}' is not supported for this resource.")
    if segments[0].lower() == "users":
        raise access_denied()
    raise bad_request(f"Resource not found for the segment '{segments[-1]}'.")


def _make_call(
    world: World, request: Request, entry: Entry, body: bytes, segments: list[str], ids: dict[str, str]
) -> Call:
    entry.message_id = ids.get("message")
    return calls.Call(
        world=world, method=request.method, segments=segments, ids=ids, raw_query=request.url.query, query={},
        headers=calls.headers_of(request), body=body, base_url=f"{request.url.scheme}://{request.url.netloc}",
        entry=entry,
    )  # fmt: skip


def _address(world: World, call: Call) -> str | None:
    grant = world.entra.peek(call.headers.get("authorization"))
    return grant.user.address if grant else None


async def _apply_fault(world: World, fault: Fault, call: Call, operation: Operation) -> None:
    """Apply a fault that comes before the operation; the caller handles drop_after."""
    if fault.kind == "drop_before":
        raise ConnectionCut
    if fault.kind == "delay":
        await world.sleep(fault.seconds)
    if fault.kind == "commit_late":
        _commit_later(world, fault, call, operation)
    if fault.kind in {"status", "commit_late"}:
        status = fault.status or (504 if fault.kind == "commit_late" else 503)
        fault.status = status
        headers = {"Retry-After": fault.retry_after} if fault.retry_after else {}
        raise GraphError(status, fault.error_code(), "The simulator was told to answer this.", headers)


def _commit_later(world: World, fault: Fault, call: Call, operation: Operation) -> None:
    """Schedule the operation for later; its result is only logged."""
    call.grant = world.entra.authenticate(call.headers.get("authorization"))
    call.query = calls.parse_query(call.raw_query, operation)
    call.style, _ = calls.parse_prefer([call.headers.get("prefer", "")])

    async def job() -> None:
        try:
            await operation.handler(call)
        except GraphError as error:
            call.entry.error = f"late: {error.code}"

    world.schedule.add(world.now() + timedelta(seconds=fault.seconds), job)


def _response(world: World, request: Request, reply: Reply) -> Response:
    headers = reply.headers | _tracing(world, request)
    if reply.json is not None:
        content = json.dumps(reply.json, ensure_ascii=False).encode(errors="backslashreplace")
        media = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"
        return Response(content, reply.status, headers, media)
    return Response(reply.content, reply.status, headers, reply.media_type)


def _tracing(world: World, request: Request) -> dict[str, str]:
    request_id = world.ids.guid()
    return {
        "request-id": request_id,
        "client-request-id": request.headers.get("client-request-id", request_id),
        "x-ms-ags-diagnostic": '{"ServerInfo":{"DataCenter":"Simulator"}}',
        "Date": time.strftime("%a, %d %b %Y %H:%M:%S GMT", world.now().timetuple()),
    }


def _error_response(world: World, request: Request, error: GraphError) -> Response:
    """The error body (Microsoft Graph, "Error responses and resource types")."""
    headers = _tracing(world, request)
    inner = {
        "date": world.now().strftime("%Y-%m-%dT%H:%M:%S"),
        "request-id": headers["request-id"],
        "client-request-id": headers["client-request-id"],
    }
    body = {
        "error": {"code": error.code, "message": error.message, world.knobs.text("inner_error_name"): inner}
    }
    return Response(json.dumps(body).encode(), error.status, headers | error.headers, "application/json")
