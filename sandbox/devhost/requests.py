"""Convert an ASGI request to what the worker receives: lower-case joined headers, non-empty query values, the body.

Facts: azure-functions-host, `GrpcMessageConversionExtensions.cs`; azure-functions-runtime, its capabilities.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from azure.functions.meta import Datum
from starlette.requests import Request

from sandbox.devhost.templates import decoded

DEFAULT_BODY_LIMIT = 104_857_600


class BodyTooLarge(Exception):
    """The request's `Content-Length` is over the limit."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request without its body."""

    method: str
    raw_path: str
    path: str
    url: str
    headers: Mapping[str, str]
    query: Mapping[str, str]


def read_call(request: Request) -> Call:
    """The request's method, path, headers and query; the body is not read."""
    scope = request.scope
    raw = scope.get("raw_path") or scope["path"].encode()
    raw_path = _without_dots(raw.decode("latin-1"))
    query = scope["query_string"].decode("latin-1")
    headers = _headers(request)
    host = headers.get("host", "localhost")
    url = f"{scope['scheme']}://{host}{raw_path}" + (f"?{query}" if query else "")
    return Call(request.method, raw_path, decoded(raw_path), url, headers, _query(query))


async def read_body(request: Request, limit_bytes: int) -> bytes:
    """Read the body when `Content-Length` announces one; else nothing, because the host drops a chunked body.

    Raises BodyTooLarge.
    """
    announced = request.headers.get("content-length", "")
    if not announced.isdigit() or int(announced) == 0:
        return b""
    if int(announced) > limit_bytes:
        raise BodyTooLarge(announced)
    return await request.body()


def http_datum(call: Call, route_values: Mapping[str, str], body: bytes) -> Datum:
    """The request in the form that the library's converter for `func.HttpRequest` decodes."""
    return Datum(
        {
            "method": Datum(call.method, "string"),
            "url": Datum(call.url, "string"),
            "headers": _strings(call.headers),
            "query": _strings(call.query),
            "params": _strings(route_values),
            "body": Datum(body, "bytes"),
        },
        "http",
    )


def _strings(values: Mapping[str, str]) -> dict[str, Datum]:
    return {name: Datum(value, "string") for name, value in values.items()}


def _headers(request: Request) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in request.headers.raw:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


def _query(text: str) -> dict[str, str]:
    """Query values by name: names compare without case, repeated values are joined, empty ones are left out."""
    spelling: dict[str, str] = {}
    values: dict[str, list[str]] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        first = spelling.setdefault(name.lower(), name)
        values.setdefault(first, []).append(value)
    joined = {name: ",".join(several) for name, several in values.items()}
    return {name: value for name, value in joined.items() if value}


def _without_dots(path: str) -> str:
    """The path with `.` and `..` resolved, which Kestrel does first (RFC 3986, 5.2.4)."""
    if not re.search(r"(^|/)\.{1,2}(/|$)", path):
        return path
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in {".", ".."}:
        kept.append("")
    return "/" + "/".join(kept)
