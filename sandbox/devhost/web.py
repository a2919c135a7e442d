"""The host's HTTP server as an ASGI app: route, authorise, throttle, call the function, write its outputs, answer.

Facts: azure-functions-host, `FunctionInvocationMiddleware.cs`, `ExceptionMiddleware.cs`, `HomepageMiddleware.cs` and
its controllers under `/admin`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import Receive, Scope, Send

from sandbox.devhost.functions import IndexedFunction
from sandbox.devhost.hostjson import HttpRules
from sandbox.devhost.invocation import FunctionFailed, Invoker
from sandbox.devhost.keys import Keys, presented_key
from sandbox.devhost.outputs import OutputFailed, OutputWriter
from sandbox.devhost.requests import DEFAULT_BODY_LIMIT, BodyTooLarge, Call, http_datum, read_body, read_call
from sandbox.devhost.responses import BadResponse, empty, to_response
from sandbox.devhost.routes import Route, RouteTable
from sandbox.devhost.throttle import Throttle, TooManyRequests

log = logging.getLogger("devhost.http")

HOME_PAGE = "<!doctype html><title>Functions</title><p>Your Functions app is up and running.</p>"

RunByHand = Callable[[IndexedFunction, str], Awaitable[None]]


async def _log_not_run(function: IndexedFunction, text: str) -> None:
    """Log that nothing was run; a host replaces this."""
    log.warning("function '%s' was not run with %d characters of input", function.name, len(text))


def _drain_nothing() -> None:
    """Do nothing; a host replaces this."""


@dataclass(slots=True)
class WebApp:
    """Serves every HTTP function, the home page and the host's own paths below `/admin`."""

    table: RouteTable
    functions: Mapping[str, IndexedFunction]
    invoker: Invoker
    outputs: OutputWriter
    keys: Keys
    rules: HttpRules
    throttle: Throttle
    environ: Mapping[str, str]
    run_by_hand: RunByHand = _log_not_run
    drain: Callable[[], None] = _drain_nothing
    errors: tuple[str, ...] = ()
    _began: float = field(default_factory=time.monotonic)
    _background: set[asyncio.Future[None]] = field(default_factory=set)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI request."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        response = await self._answer(request)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        call = read_call(request)
        if call.path.lower().startswith("/admin/"):
            return await self._answer_admin(call, request)
        found = self.table.find(call.method, call.path)
        if found is None:
            return self._home() if call.path == "/" and call.method in {"GET", "HEAD"} else empty(404)
        route, values = found
        refusal = self._refusal(route, call)
        if refusal is not None:
            return empty(refusal)
        return await self._answer_throttled(route, values, call, request)

    def _refusal(self, route: Route, call: Call) -> int | None:
        key = presented_key(call.headers, call.query)
        if is_disabled(route.function.name, self.environ) and not self.keys.is_master(key):
            return 404
        return None if self.keys.admits(route.auth_level, route.function.name, key) else 401

    async def _answer_throttled(
        self, route: Route, values: Mapping[str, str], call: Call, request: Request
    ) -> Response:
        try:
            async with self.throttle.slot():
                body = await read_body(request, self._body_limit())
                return await self._call_function(route.function, values, call, body)
        except TooManyRequests:
            return empty(429, {"X-FUNCTION-SCALEOUT": "1"})
        except BodyTooLarge:
            return empty(413)

    async def _call_function(
        self, function: IndexedFunction, values: Mapping[str, str], call: Call, body: bytes
    ) -> Response:
        datum = http_datum(call, values, body)
        try:
            outcome = await self.invoker.invoke(
                function, {function.trigger.name: datum}, trace_parent=call.headers.get("traceparent", "")
            )
            await self.outputs.write(function, outcome)
            return to_response(outcome.returned, self.rules.custom_headers)
        except FunctionFailed:
            return empty(500)
        except (OutputFailed, BadResponse):
            log.exception("function '%s': its response or an output could not be sent", function.name)
            return empty(500)

    def _body_limit(self) -> int:
        text = self.environ.get("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT", "")
        return int(text) if text.isdigit() else DEFAULT_BODY_LIMIT

    def _home(self) -> Response:
        hidden = self.environ.get("AzureWebJobsDisableHomepage", "").lower() == "true"
        return empty(204) if hidden else HTMLResponse(HOME_PAGE)

    async def _answer_admin(self, call: Call, request: Request) -> Response:
        """Answer the host's own paths; all but ping need the master key."""
        path = call.path.lower().strip("/")
        if path == "admin/host/ping" and call.method in {"GET", "POST"}:
            return empty(200)
        if not self.keys.is_master(presented_key(call.headers, call.query)):
            return empty(401)
        if path.startswith("admin/functions/") and call.method == "POST":
            return await self._start_by_hand(path.removeprefix("admin/functions/"), request)
        return self._answer_host_command(call.method, path)

    def _answer_host_command(self, method: str, path: str) -> Response:
        match method, path:
            case "GET", "admin/host/status":
                return JSONResponse(self._status())
            case "POST", "admin/host/synctriggers":
                return JSONResponse({"status": "success"})  # Azure scales by the triggers; here nothing does
            case "POST", "admin/host/drain":
                self.drain()
                return empty(202)
            case _:
                return empty(404)

    def _status(self) -> dict[str, Any]:
        return {
            "state": "Running",
            "version": "development host",
            "processUptime": int((time.monotonic() - self._began) * 1000),
            "errors": list(self.errors),
            "functionAppContentEditingState": "Unknown",
        }

    async def _start_by_hand(self, name: str, request: Request) -> Response:
        function = next((found for key, found in self.functions.items() if key.lower() == name), None)
        if function is None:
            return empty(404)
        try:
            given = json.loads(await request.body() or b"{}")
        except ValueError:
            return empty(400)
        text = given.get("input") if isinstance(given, dict) else None
        running = asyncio.ensure_future(self.run_by_hand(function, "" if text is None else str(text)))
        self._background.add(running)
        running.add_done_callback(self._background.discard)
        return empty(202)


def is_disabled(function: str, environ: Mapping[str, str]) -> bool:
    """Whether the app setting `AzureWebJobs.<name>.Disabled` is true or 1 (`_` for `.` on Linux)."""
    names = (f"AzureWebJobs.{function}.Disabled", f"AzureWebJobs_{function}_Disabled")
    return any(environ.get(name, "").lower() in {"true", "1"} for name in names)
