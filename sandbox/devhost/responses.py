"""Convert what a function returned to an ASGI response; cookies are written as ASP.NET writes them.

Facts: azure-functions-host, `RawScriptResult.cs` and `HttpBinding.cs`; ASP.NET Core, `ResponseCookies.Append` and
`SetCookieHeaderValue` (the value is percent-encoded, attribute names are lower-case, the path defaults to `/`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from http.cookies import Morsel, SimpleCookie
from typing import Any
from urllib.parse import quote

from azure.functions.meta import Datum
from starlette.responses import Response

WRITTEN_BY_THE_SERVER = frozenset({"content-length", "transfer-encoding", "connection", "keep-alive", "date"})
WITHOUT_BODY = frozenset({204, 205, 304})


class BadResponse(Exception):
    """The host cannot send what the function returned: the caller gets a 500."""


def empty(status: int, headers: Mapping[str, str] | None = None) -> Response:
    """A response without a body, as the host itself sends."""
    return Response(status_code=status, headers=dict(headers) if headers else None)


def to_response(returned: Datum | None, custom_headers: Mapping[str, str]) -> Response:
    """The response for a function's return value; raises BadResponse."""
    if returned is None or returned.value is None:
        return _add_headers(empty(200), custom_headers)
    if returned.type == "string":
        return _add_headers(_from_text(returned.value), custom_headers)
    value = returned.value
    status = _status(value["status_code"].value)
    body = value["body"].value
    if status in WITHOUT_BODY and body:
        raise BadResponse(f"a {status} has no body, yet the function gave one")
    response = Response(body, status)
    for name, datum in value["headers"].items():
        if name.lower() not in WRITTEN_BY_THE_SERVER:
            response.headers[name] = datum.value
    for cookie in value["cookies"] or ():
        for line in _cookie_lines(cookie):
            response.headers.append("set-cookie", line)
    return _add_headers(response, custom_headers)


def _add_headers(response: Response, custom_headers: Mapping[str, str]) -> Response:
    for name, value in custom_headers.items():
        response.headers.setdefault(name, value)
    return response


def _status(text: Any) -> int:
    number = int(text) if str(text).isdigit() else 0
    if not 100 <= number <= 999:
        raise BadResponse(f"{text!r} is not a status code")
    return number


def _from_text(text: str) -> Response:
    """The response for a returned `str`: its text, or what it describes when it is a JSON object with a `body`."""
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if not isinstance(document, dict) or "body" not in document:
        return Response(text, media_type="text/plain")
    body = document["body"]
    response = Response(
        body if isinstance(body, str) else json.dumps(body),
        _status(document.get("status", document.get("statusCode", 200))),
        media_type="text/plain" if isinstance(body, str) else "application/json",
    )
    for name, value in (document.get("headers") or {}).items():
        response.headers[str(name)] = str(value)
    return response


def _cookie_lines(cookie: SimpleCookie) -> Iterator[str]:
    for name, morsel in cookie.items():
        yield "; ".join(_cookie_parts(name, morsel))


def _cookie_parts(name: str, morsel: Morsel[str]) -> Iterator[str]:
    yield f"{name}={quote(morsel.value, safe='')}"
    for attribute in ("expires", "max-age", "domain"):
        if morsel[attribute]:
            yield f"{attribute}={morsel[attribute]}"
    yield f"path={morsel['path'] or '/'}"
    if morsel["secure"]:
        yield "secure"
    same_site = str(morsel["samesite"]).lower()
    if same_site in {"lax", "strict", "none"}:
        yield f"samesite={same_site}"
    if morsel["httponly"]:
        yield "httponly"
