"""Build a `Host` from an app, its host.json and the storage it uses."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import azure.functions as func

from sandbox.devhost.connections import resolve_text
from sandbox.devhost.context import Clock, RealClock
from sandbox.devhost.functions import IndexedFunction
from sandbox.devhost.host import Host
from sandbox.devhost.hostjson import HostConfig, HttpRules, load_host_json
from sandbox.devhost.indexing import index_app, index_module
from sandbox.devhost.invocation import Invoker, OnTimeout, log_timeout
from sandbox.devhost.keys import Keys
from sandbox.devhost.monitor import MemoryTimers, TimerStore
from sandbox.devhost.outputs import OutputWriter
from sandbox.devhost.processor import QueueProcessor
from sandbox.devhost.queues import MemoryQueues, QueueAccess
from sandbox.devhost.routes import build_routes, with_valid_names
from sandbox.devhost.schedule import parse_schedule
from sandbox.devhost.throttle import DEFAULT_HTTP_CONCURRENCY, Throttle
from sandbox.devhost.timers import Timer
from sandbox.devhost.web import WebApp, is_disabled


def build_host(
    app: func.FunctionApp | ModuleType,
    *,
    host_json: Path | Mapping[str, Any] | None = None,
    queues: QueueAccess | Callable[[str], QueueAccess] | None = None,
    timers: TimerStore | None = None,
    clock: Clock | None = None,
    environ: Mapping[str, str] | None = None,
    keys: Keys | None = None,
    http_concurrency: int = DEFAULT_HTTP_CONCURRENCY,
    on_timeout: OnTimeout = log_timeout,
) -> Host:
    """Index the app and connect its parts; no listener is started and nothing is sent.

    `queues` is one storage for all connections, or a function from connection name to storage; by default it is in
    memory, and so is the status of timers. Raises FunctionLoadError, ValueError and HostJsonError.
    """
    clock = clock or RealClock()
    environ = os.environ if environ is None else environ
    config = load_host_json({"version": "2.0"} if host_json is None else host_json, environ)
    indexed = index_module(app) if isinstance(app, ModuleType) else index_app(app)
    named, misnamed = with_valid_names(indexed)
    table, clashing = build_routes(named, config.http.route_prefix)
    dropped = (*misnamed, *clashing)
    left_out = {drop.function for drop in dropped}
    functions = {function.name: function for function in named if function.name not in left_out}
    invoker = Invoker(config.timeout_seconds, environ, on_timeout)
    access = _access(queues, clock)
    outputs = OutputWriter(access, environ, base64_texts=config.queues.base64)
    asgi = WebApp(
        table=table,
        functions=functions,
        invoker=invoker,
        outputs=outputs,
        keys=keys or Keys(),
        rules=config.http,
        throttle=_throttle(config.http, http_concurrency),
        environ=environ,
        errors=tuple(f"{drop.function}: {drop.reason}" for drop in dropped),
    )
    parts = _Parts(config, clock, environ, invoker, outputs, access, timers or MemoryTimers())
    host = Host(
        functions=functions,
        dropped=dropped,
        config=config,
        table=table,
        asgi=asgi,
        invoker=invoker,
        outputs=outputs,
        processors=parts.processors(functions),
        timers=parts.timers(functions),
    )
    outputs.on_written = host.wake_listeners
    asgi.run_by_hand = host.run_by_hand
    asgi.drain = host.drain
    return host


def _throttle(rules: HttpRules, concurrency: int) -> Throttle:
    return Throttle(min(concurrency, rules.max_concurrent or concurrency), rules.max_outstanding)


def _access(
    queues: QueueAccess | Callable[[str], QueueAccess] | None, clock: Clock
) -> Callable[[str], QueueAccess]:
    if queues is None:
        queues = MemoryQueues(clock)
    if callable(queues):
        return queues
    storage = queues
    return lambda _: storage


@dataclass(frozen=True, slots=True)
class _Parts:
    """What queue processors and timers are built from."""

    config: HostConfig
    clock: Clock
    environ: Mapping[str, str]
    invoker: Invoker
    outputs: OutputWriter
    access: Callable[[str], QueueAccess]
    store: TimerStore

    def processors(self, functions: Mapping[str, IndexedFunction]) -> dict[str, QueueProcessor]:
        """A processor for each queue function that is not disabled, by name."""
        return {
            name: QueueProcessor(
                function=function,
                queue=resolve_text(function.trigger.text("queueName"), self.environ),
                queues=self.access(function.trigger.text("connection")),
                rules=self.config.queues,
                invoker=self.invoker,
                outputs=self.outputs,
            )
            for name, function in functions.items()
            if function.is_queue and not is_disabled(name, self.environ)
        }

    def timers(self, functions: Mapping[str, IndexedFunction]) -> dict[str, Timer]:
        """A timer for each timer function that is not disabled, by name."""
        return {
            name: Timer(
                function=function,
                schedule=parse_schedule(resolve_text(function.trigger.text("schedule"), self.environ)),
                clock=self.clock,
                store=self.store,
                invoker=self.invoker,
                outputs=self.outputs,
            )
            for name, function in functions.items()
            if function.is_timer and not is_disabled(name, self.environ)
        }
