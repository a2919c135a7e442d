"""The boundary: every route says who may call it and how much it reads; every error becomes a problem document.

The platform lets everybody in (`anonymous`), because its shared keys can't tell tenants apart; the policies here
are the one layer of authentication (X-1). Graph's two routes have none of them: the secret in their path and the
clientState of each item protect them (`graph_webhooks.py`).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

import azure.functions as func
import msgspec

from shared.bootstrap import services
from shared.domain.errors import (
    BodyTooLarge,
    FieldError,
    InvalidRequest,
    NotAllowed,
    NotAuthenticated,
    PostbraidError,
)
from shared.domain.model import Tenant
from shared.problem import UNEXPECTED, problem_for
from shared.services import Services
from shared.state.sessions import Session
from shared.telemetry import canonical_line, log_unexpected, new_instance

KIB: Final = 1024
MIB: Final = 1024 * KIB
# A number of thousands of digits is not even parsed.
PAGE_LIMIT: Final = re.compile(r"[1-9][0-9]?|[1-4][0-9]{2}|500")
SECURITY_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=31536000",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}

Answering = Callable[[func.HttpRequest], Awaitable[func.HttpResponse]]
POLICIES: Final[dict[str, str]] = {}


@dataclass(frozen=True, slots=True)
class Caller:
    """A CRM server behind a valid key."""

    tenant: Tenant


def public(policy: str, limit_bytes: int = 16 * KIB) -> Callable[[Answering], Answering]:
    """A route that anybody may call; `policy` names what protects it instead (X-1)."""

    def decorate(handler: Answering) -> Answering:
        async def call(req: func.HttpRequest) -> func.HttpResponse:
            check_length(req, limit_bytes)
            return await handler(req)

        return _answer_problems(handler, policy, call)

    return decorate


def tenant_key(
    scope: str, limit_bytes: int = 256 * KIB
) -> Callable[[Callable[[func.HttpRequest, Caller], Awaitable[func.HttpResponse]]], Answering]:
    """A route for a CRM's server with a key of this scope."""

    def decorate(handler: Callable[[func.HttpRequest, Caller], Awaitable[func.HttpResponse]]) -> Answering:
        async def call(req: func.HttpRequest) -> func.HttpResponse:
            caller = await _find_caller(services(), req.headers.get("authorization"), scope)
            check_length(req, limit_bytes)
            return await handler(req, caller)

        return _answer_problems(handler, f"tenant_key:{scope}", call)

    return decorate


def session(
    handler: Callable[[func.HttpRequest, Session], Awaitable[func.HttpResponse]],
) -> Answering:
    """A route for our own settings page: its session token comes in a header, so no other site can send it (W-5)."""

    async def call(req: func.HttpRequest) -> func.HttpResponse:
        from shared.sync.connect.open_session import find_session

        check_length(req, 16 * KIB)
        found = await find_session(services(), bearer_of(req))
        return await handler(req, found)

    return _answer_problems(handler, "session", call)


def bearer_of(req: func.HttpRequest) -> str | None:
    """The token that a request shows."""
    scheme, _, token = (req.headers.get("authorization") or "").partition(" ")
    return token if scheme == "Bearer" else None


def _answer_problems(handler: Callable[..., Any], policy: str, call: Answering) -> Answering:
    """Turn errors into problems and write one canonical line; the worker sees a function of `req` alone."""

    async def answering(req: func.HttpRequest) -> func.HttpResponse:
        with canonical_line(handler.__name__) as line:
            try:
                response = await call(req)
            except PostbraidError as err:
                line["problem"] = type(err).__name__
                response = problem(err, line)
                if response.status_code == UNEXPECTED[-1]:
                    log_unexpected(err, str(line["instance"]))  # the answer says that it was noted
            except Exception as err:  # noqa: BLE001 - one of the two places that may
                response = problem(err, line)
                log_unexpected(err, str(line["instance"]))
            line["status"] = response.status_code
            return response

    answering.__name__ = answering.__qualname__ = handler.__name__
    answering.__doc__ = handler.__doc__
    answering.__module__ = handler.__module__
    POLICIES[handler.__name__] = policy
    return answering


def check_length(req: func.HttpRequest, limit_bytes: int) -> None:
    """The length is judged before anything is parsed (X-2)."""
    if len(req.get_body()) > limit_bytes:
        raise BodyTooLarge(f"The body may have at most {limit_bytes} bytes.")


def page_limit(req: func.HttpRequest) -> int:
    """How many of a list the caller wants on a page: 100 without a word. Raises InvalidRequest."""
    limit = req.params.get("limit", "100")
    if PAGE_LIMIT.fullmatch(limit) is None:
        raise InvalidRequest("limit is a number from 1 to 500.", (FieldError("/limit", "1 to 500"),))
    return int(limit)


async def _find_caller(s: Services, header: str | None, scope: str) -> Caller:
    """The tenant comes from the credential, never from path or body (A-3)."""
    parsed = s.api_keys.parse(header)
    key = await s.tenants.key(parsed[0]) if parsed else None
    if parsed is None or key is None or not s.api_keys.matches(parsed[1], key.secret_hash):
        raise NotAuthenticated
    if key.expires_at is not None and key.expires_at <= s.clock.now():
        raise NotAuthenticated
    if scope not in key.scopes:
        raise NotAllowed(f"The key lacks the scope {scope}.")
    tenant = await s.tenants.remembered(key.tenant_id)
    if tenant.disabled:
        raise NotAuthenticated
    return Caller(tenant)


def problem(err: Exception, line: MutableMapping[str, object]) -> func.HttpResponse:
    """RFC 9457. Its `instance` stands in the canonical line too, so that a caller's report finds what happened."""
    line["instance"] = instance = new_instance()
    status, headers, body = problem_for(err, instance)
    return func.HttpResponse(body, status_code=status, headers={**SECURITY_HEADERS, **headers})


def json_answer(
    content: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> func.HttpResponse:
    """A JSON answer with the headers every answer has (X-6)."""
    all_headers = {**SECURITY_HEADERS, **(headers or {}), "Content-Type": "application/json"}
    return func.HttpResponse(msgspec.json.encode(content), status_code=status, headers=all_headers)


def page(
    html: str, policy: str, headers: Mapping[str, str] | None = None, status: int = 200
) -> func.HttpResponse:
    """One of our own pages with its Content-Security-Policy."""
    all_headers = {
        **SECURITY_HEADERS,
        "Content-Security-Policy": policy,
        **(headers or {}),
        "Content-Type": "text/html; charset=utf-8",
    }
    return func.HttpResponse(html.encode(), status_code=status, headers=all_headers)
