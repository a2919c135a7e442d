"""The report on a built host, and the log format with the function that wrote each line."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Iterator, Mapping

from sandbox.devhost.connections import resolve_text
from sandbox.devhost.functions import IndexedFunction
from sandbox.devhost.host import Host
from sandbox.devhost.invocation import running_function
from sandbox.devhost.report import Line, Report
from sandbox.devhost.web import is_disabled


def describe(host: Host, environ: Mapping[str, str], port: int | None = None) -> Report:
    """The report on a built host: its functions, what was left out, warnings."""
    lines = [
        *_http_lines(host, environ),
        *_lines(host.functions.values(), environ),
    ]
    dropped = {drop.function: drop.reason for drop in host.dropped}
    return Report(port, lines, dropped, host.config.warnings)


def _http_lines(host: Host, environ: Mapping[str, str]) -> Iterator[Line]:
    for route in host.table.routes:
        methods = ",".join(sorted(route.methods)) or "*"
        path = "".join(f"/{part}" for part in (host.table.prefix, route.template.text) if part)
        notes = [route.auth_level] if route.auth_level != "anonymous" else []
        yield Line(
            "http", route.function.name, f"{methods:<7} {path}", _note(route.function, environ, *notes)
        )


def _lines(functions: Iterable[IndexedFunction], environ: Mapping[str, str]) -> Iterator[Line]:
    for function in functions:
        if function.is_queue:
            queue = resolve_text(function.trigger.text("queueName"), environ)
            note = _note(function, environ, f"in {function.trigger.text('connection')}")
            yield Line("queue", function.name, queue, note)
        elif function.is_timer:
            schedule = resolve_text(function.trigger.text("schedule"), environ)
            yield Line("timer", function.name, schedule, _note(function, environ))
        elif not function.is_http:
            yield Line("other", function.name, function.trigger.type, "this host has no listener for it")


def _note(function: IndexedFunction, environ: Mapping[str, str], *notes: str) -> str:
    return ", ".join((*notes, *(["disabled"] if is_disabled(function.name, environ) else [])))


class _WithFunction(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.function = running_function.get()
        return True


def set_up_logging(group: str, *, debug: bool = False) -> None:
    """Send all log lines to stderr, each with the function during whose call it was written."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_WithFunction())
    handler.setFormatter(
        logging.Formatter(
            f"%(asctime)s.%(msecs)03d {group} [%(function)s] %(levelname)s %(name)s: %(message)s", "%H:%M:%S"
        )
    )
    logging.basicConfig(level=logging.DEBUG if debug else logging.INFO, handlers=[handler], force=True)
    for noisy in ("azure", "httpx", "httpcore", "urllib3", "msal", "uvicorn.access", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
