"""From an ASGI request to what the worker gets: lower-cased joined headers, non-empty query values, a whole body.

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
    """The request announces, or sends, more than the limit."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request, read as far as needed to route it."""

    method: str
    raw_path: str
    path: str
    url: str
    headers: Mapping[str, str]
    query: Mapping[str, str]


def read_call(request: Request) -> Call:
    """Everything but the body."""
    scope = request.scope
    raw = scope.get("raw_path") or scope["path"].encode()
    raw_path = _without_dots(raw.decode("latin-1"))
    query = scope["query_string"].decode("latin-1")
    headers = _headers(request)
    host = headers.get("host", "localhost")
    url = f"{scope['scheme']}://{host}{raw_path}" + (f"?{query}" if query else "")
    return Call(request.method, raw_path, decoded(raw_path), url, headers, _query(query))


async def read_body(request: Request, limit_bytes: int) -> bytes:
    """The body when `Content-Length` announces one, else nothing: a chunked body does not reach the function.

    Raises BodyTooLarge.
    """
    announced = request.headers.get("content-length", "")
    if not announced.isdigit() or int(announced) == 0:
        return b""
    if int(announced) > limit_bytes:
        raise BodyTooLarge(announced)
    return await request.body()


def http_datum(call: Call, route_values: Mapping[str, str], body: bytes) -> Datum:
    """The request as the library's converter for `func.HttpRequest` takes it."""
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
    """Names compare without case and keep their first spelling; repeated values are joined; empty ones vanish."""
    spelling: dict[str, str] = {}
    values: dict[str, list[str]] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        first = spelling.setdefault(name.lower(), name)
        values.setdefault(first, []).append(value)
    joined = {name: ",".join(several) for name, several in values.items()}
    return {name: value for name, value in joined.items() if value}


def _without_dots(path: str) -> str:
    """Kestrel resolves `.` and `..` before anything else sees the path (RFC 3986, 5.2.4)."""
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
