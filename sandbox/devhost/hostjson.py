"""Read and check host.json; app settings override its values.

Facts: Microsoft, "host.json reference for Azure Functions 2.x and later"; "Azure Queue storage trigger and bindings",
section "host.json settings"; any value may be replaced by an app setting `AzureFunctionsJobHost__a__b`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.devhost.timespan import parse_timespan

OVERRIDE_PREFIX = "azurefunctionsjobhost__"
DEFAULT_TIMEOUT_SECONDS = 30 * 60.0
EVENT_KEYS = frozenset({"http", "queues", "servicebus", "eventhub"})
"""Sections that runtime 1.x read at the top level; newer runtimes ignore them there."""
KNOWN_KEYS = EVENT_KEYS | {
    *(
        "version",
        "functiontimeout",
        "retry",
        "functions",
        "watchdirectories",
        "watchfiles",
        "singleton",
        "logging",
    ),
    *("aggregator", "healthmonitor", "extensionbundle", "manageddependencies", "customhandler", "httpworker"),
    *("extensions", "concurrency", "telemetrymode"),
}
KNOWN_EXTENSION_KEYS = {
    "queues": {
        *("batchsize", "newbatchthreshold", "maxpollinginterval", "visibilitytimeout"),
        *("maxdequeuecount", "messageencoding"),
    },
    "http": {
        *("routeprefix", "maxoutstandingrequests", "maxconcurrentrequests", "dynamicthrottlesenabled"),
        *("hsts", "customheaders"),
    },
}


class HostJsonError(ValueError):
    """The host refuses to start with this host.json."""


@dataclass(frozen=True, slots=True)
class QueueRules:
    """`extensions.queues`: the settings of all queue functions of the app."""

    batch_size: int = 16
    new_batch_threshold: int = 8
    max_polling_seconds: float = 60.0
    visibility_seconds: float = 0.0
    max_dequeue_count: int = 5
    base64: bool = True


@dataclass(frozen=True, slots=True)
class HttpRules:
    """`extensions.http`; None means no limit."""

    route_prefix: str = "api"
    max_concurrent: int | None = None
    max_outstanding: int | None = None
    custom_headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HostConfig:
    """The values of host.json that this host uses, and warnings about values that have no effect."""

    queues: QueueRules = QueueRules()
    http: HttpRules = field(default_factory=HttpRules)
    timeout_seconds: float | None = DEFAULT_TIMEOUT_SECONDS
    warnings: tuple[str, ...] = ()


def load_host_json(source: Path | Mapping[str, Any], environ: Mapping[str, str]) -> HostConfig:
    """Read host.json, apply overrides from app settings and check it; raises HostJsonError with all faults in it."""
    document = _read(source) if isinstance(source, Path) else source
    if document.get("version") != "2.0":
        raise HostJsonError('host.json: "version" must be the string "2.0"')
    values = _Values(_apply_overrides(_lowered(document), environ))
    config = HostConfig(_queues(values), _http(values), _timeout(values), tuple(_warnings(values.tree)))
    if values.faults:
        raise HostJsonError("host.json: " + "; ".join(values.faults))
    return config


def _read(path: Path) -> Mapping[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise HostJsonError(f"no host.json in {path.parent}") from None
    except ValueError as error:
        raise HostJsonError(f"host.json is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise HostJsonError("host.json must hold an object")
    return document


def _lowered(value: Any) -> Any:
    """The value with all keys in lower case: .NET configuration compares keys without case."""
    return (
        {key.lower(): _lowered(inner) for key, inner in value.items()}
        if isinstance(value, Mapping)
        else value
    )


def _apply_overrides(tree: dict[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    for name, value in environ.items():
        if name.lower().startswith(OVERRIDE_PREFIX):
            *parents, last = name.lower().removeprefix(OVERRIDE_PREFIX).split("__")
            branch = tree
            for parent in parents:
                branch = branch.setdefault(parent, {})
            branch[last] = value
    return tree


class _Values:
    """Typed reads from the tree; faults are collected in `faults` instead of raised, to report all at once."""

    def __init__(self, tree: dict[str, Any]) -> None:
        self.tree = tree
        self.faults: list[str] = []

    def at(self, path: str) -> Any:
        """The value at a dotted path, or None."""
        value: Any = self.tree
        for part in path.lower().split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        return value

    def integer(self, path: str, default: int, low: int, high: int | None = None) -> int:
        """The whole number at a path; the default when there is none or when it is out of bounds (a fault)."""
        raw = self.at(path)
        if raw is None:
            return default
        try:
            number = int(raw)
        except (TypeError, ValueError):
            number = low - 1
        if isinstance(raw, bool) or number < low or (high is not None and number > high):
            bounds = f"at least {low}" if high is None else f"from {low} to {high}"
            self.faults.append(f"{path} must be a whole number {bounds}, not {raw!r}")
            return default
        return number

    def seconds(self, path: str, default: float, low: float) -> float:
        """The TimeSpan at a path, in seconds; below `low` it is a fault."""
        raw = self.at(path)
        if raw is None:
            return default
        try:
            seconds = parse_timespan(str(raw))
        except ValueError as error:
            self.faults.append(f"{path}: {error}")
            return default
        if seconds < low:
            self.faults.append(f"{path} must be at least {low} seconds, not {raw!r}")
        return seconds


def _queues(values: _Values) -> QueueRules:
    batch_size = values.integer("extensions.queues.batchSize", 16, 1, 32)
    encoding = str(values.at("extensions.queues.messageEncoding") or "base64").lower()
    if encoding not in {"base64", "none"}:
        values.faults.append(
            f'extensions.queues.messageEncoding must be "base64" or "none", not {encoding!r}'
        )
    return QueueRules(
        batch_size=batch_size,
        # The default is half a batch for each core; the smallest instance has one core.
        new_batch_threshold=values.integer("extensions.queues.newBatchThreshold", batch_size // 2, 0),
        max_polling_seconds=values.seconds("extensions.queues.maxPollingInterval", 60.0, 0.1),
        visibility_seconds=values.seconds("extensions.queues.visibilityTimeout", 0.0, 0.0),
        max_dequeue_count=values.integer("extensions.queues.maxDequeueCount", 5, 1),
        base64=encoding != "none",
    )


def _http(values: _Values) -> HttpRules:
    prefix = values.at("extensions.http.routePrefix")
    concurrent = values.integer("extensions.http.maxConcurrentRequests", -1, -1)
    outstanding = values.integer("extensions.http.maxOutstandingRequests", -1, -1)
    headers = values.at("extensions.http.customHeaders") or {}
    return HttpRules(
        route_prefix="api" if prefix is None else str(prefix).strip("/"),
        max_concurrent=concurrent if concurrent > 0 else None,
        max_outstanding=outstanding if outstanding > 0 else None,
        custom_headers={str(name): str(value) for name, value in headers.items()},
    )


def _timeout(values: _Values) -> float | None:
    if str(values.at("functionTimeout")) == "-1":
        return None
    return values.seconds("functionTimeout", DEFAULT_TIMEOUT_SECONDS, 1.0)


def _warnings(tree: Mapping[str, Any]) -> Iterator[str]:
    for key in tree.keys() - KNOWN_KEYS:
        yield f'host.json: "{key}" is not known and has no effect'
    for key in tree.keys() & EVENT_KEYS:
        yield f'host.json: "{key}" has no effect here, it belongs under "extensions"'
    concurrency = tree.get("concurrency")
    adaptive = concurrency.get("dynamicconcurrencyenabled") if isinstance(concurrency, Mapping) else None
    if str(adaptive).lower() == "true":
        yield 'host.json: "concurrency.dynamicConcurrencyEnabled" is not imitated, batchSize and newBatchThreshold hold'
    extensions = tree.get("extensions")
    for extension, known in KNOWN_EXTENSION_KEYS.items():
        section = extensions.get(extension) if isinstance(extensions, Mapping) else None
        for key in (section.keys() - known) if isinstance(section, Mapping) else ():
            yield f'host.json: "extensions.{extension}.{key}" is not known and has no effect'
