"""Make a `Host` from an app, its host.json and the storage it shall use."""

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
from sandbox.devhost.invocation import Invoker, OnTimeout, cancel_only
from sandbox.devhost.keys import Keys
from sandbox.devhost.monitor import MemoryTimers, TimerStore
from sandbox.devhost.outputs import OutputWriter
from sandbox.devhost.processor import QueueProcessor
from sandbox.devhost.queues import MemoryQueues, QueueAccess
from sandbox.devhost.routes import build_routes, valid_names
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
    on_timeout: OnTimeout = cancel_only,
) -> Host:
    """Index the app and wire it; nothing is started and nothing is sent.

    `queues` is one storage for all connections, or a function from connection name to storage; by default it is in
    memory, and so is what timers keep. Raises what indexing and host.json raise.
    """
    clock = clock or RealClock()
    environ = os.environ if environ is None else environ
    config = load_host_json({"version": "2.0"} if host_json is None else host_json, environ)
    indexed = index_module(app) if isinstance(app, ModuleType) else index_app(app)
    named, misnamed = valid_names(indexed)
    table, clashing = build_routes(named, config.http.route_prefix)
    dropped = (*misnamed, *clashing)
    gone = {one.function for one in dropped}
    functions = {one.name: one for one in named if one.name not in gone}
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
        errors=tuple(f"{one.function}: {one.reason}" for one in dropped),
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
    outputs.wrote = host.wrote
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
    """What listeners are made of."""

    config: HostConfig
    clock: Clock
    environ: Mapping[str, str]
    invoker: Invoker
    outputs: OutputWriter
    access: Callable[[str], QueueAccess]
    store: TimerStore

    def processors(self, functions: Mapping[str, IndexedFunction]) -> dict[str, QueueProcessor]:
        """One for each queue function that is not disabled."""
        return {
            name: QueueProcessor(
                function=one,
                queue=resolve_text(one.trigger.text("queueName"), self.environ),
                queues=self.access(one.trigger.text("connection")),
                rules=self.config.queues,
                invoker=self.invoker,
                outputs=self.outputs,
            )
            for name, one in functions.items()
            if one.is_queue and not is_disabled(name, self.environ)
        }

    def timers(self, functions: Mapping[str, IndexedFunction]) -> dict[str, Timer]:
        """One for each timer function that is not disabled."""
        return {
            name: Timer(
                function=one,
                schedule=parse_schedule(resolve_text(one.trigger.text("schedule"), self.environ)),
                clock=self.clock,
                store=self.store,
                invoker=self.invoker,
                outputs=self.outputs,
            )
            for name, one in functions.items()
            if one.is_timer and not is_disabled(name, self.environ)
        }
