"""Logs: few lines, each an event with fields from a list of allowed ones (L-1, L-2); counters of call sites (T-1)."""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections import Counter
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from shared.invocation import invocation

# Never in a log: tokens, codes, keys, cookies, signatures, subjects, bodies, names of files, addresses, whole URLs.
ALLOWED: Final = frozenset({
    "event", "level", "timestamp", "function", "status", "problem", "hints", "dropped", "enqueued", "poison",
    "past_due",
    "error", "where", "stack", "tenant", "mailbox", "connection", "thread", "decision", "reason", "operation", "port",
    "request_id", "code", "work", "instance", "decided", "erased", "failed", "faults",
    "skipped", "graph_message_id", "threads", "in_mailbox", "told", "not_synced", "found_late",
    "minutes",
})  # fmt: skip
_CODE: Final = re.compile(r"[A-Za-z0-9_.]{1,80}")
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9-]{1,64}")
QUIET: Final = ("azure", "httpx", "httpcore", "msal", "urllib3", "asyncio")


class Log:
    """The product's logger; structlog is loaded by the first line, not by the start of the app."""

    def info(self, event: str, **fields: object) -> None:
        """Something happened that was meant to."""
        self._logger().info(event, **fields)

    def error(self, event: str, **fields: object) -> None:
        """Something happened that nobody foresaw."""
        self._logger().error(event, **fields)

    @staticmethod
    def _logger() -> Any:
        import structlog

        return structlog.get_logger("postbraid")


log = Log()


class Counters:
    """How often each call site was crossed: `observe(port, operation)`."""

    def __init__(self) -> None:
        self.calls: Counter[tuple[str, str]] = Counter()

    def __call__(self, port: str, operation: str) -> None:
        """Count one call."""
        self.calls[port, operation] += 1


def set_up_logging(*, local: bool) -> None:
    """JSON lines in the cloud, readable ones on a terminal; chatty libraries are told to be quiet."""
    import structlog

    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=False) if local else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            only_allowed,
            renderer,
        ],
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr)
        if local
        else structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def only_allowed(_logger: Any, _method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Drop every field that is not on the list, or says nothing."""
    return {name: value for name, value in fields.items() if name in ALLOWED and value is not None}


@contextmanager
def canonical_line(function: str) -> Iterator[dict[str, object]]:
    """One line per invocation, whatever happens in it; the caller fills fields in."""
    fields: dict[str, object] = {}
    try:
        with invocation():
            yield fields
    except Exception as err:
        fields["error"] = type(err).__name__
        raise
    finally:
        log.info("invocation.finished", function=function, **fields)


def new_instance() -> str:
    """A name for one occurrence of a problem: in its document and in the log (RFC 9457, 3.1.5)."""
    import uuid

    return uuid.uuid4().urn


class Answer(NamedTuple):
    """What a line says of the answer behind an error; None is left out of it."""

    status: int | None
    code: str | None
    request_id: str | None


def answer_of(error: Exception) -> Answer:
    """The answer behind an error, as far as there was one.

    What the other side wrote is let through only where it looks like what it should be, since it could hold anything.
    """
    status = getattr(error, "status", None)
    code, request_id = str(getattr(error, "code", "")), str(getattr(error, "request_id", ""))
    return Answer(
        status if isinstance(status, int) and status else None,
        code if _CODE.fullmatch(code) else None,
        request_id if _REQUEST_ID.fullmatch(request_id) else None,
    )


def log_unexpected(error: Exception, instance: str | None = None) -> None:
    """An error nobody foresaw, once, with its place and without its texts."""
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    where = " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames))
    log.error("unexpected", error=type(error).__name__, where=where, instance=instance)
