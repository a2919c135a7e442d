"""App Service's identity endpoint, and the controls of the stand-ins below /__control.

Source: Microsoft, "Use managed identities for App Service and Azure Functions", "REST endpoint reference". What it
answers when something is wrong is from field reports (azure-docs issue 43543, azure-sdk-for-js issue 11595).
"""

from __future__ import annotations

import hmac
import uuid
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.azuresim.config import Assignment, Config
from sandbox.azuresim.tokens import Issuer, UnknownResource
from sandbox.azuresim.vault import ROLES, Vault

API_VERSION = "2019-08-01"


def build_identity(config: Config, vault: Vault, issuer: Issuer) -> Starlette:
    """The endpoint and the controls, as an ASGI application for a port that only this machine reaches."""
    issued: list[dict[str, str]] = []

    async def token(request: Request) -> Response:
        try:
            principal, resource = _judge(config, request)
            made = issuer.issue(config.identity, resource)
        except _Refused as error:
            return _refusal(error.status, error.text)
        except UnknownResource as error:
            return _refusal(
                400, f"AADSTS500011: The resource principal named {error} was not found in the tenant."
            )
        issued.append({"resource": resource, "client_id": principal})
        return JSONResponse(
            {
                "access_token": made["access_token"],
                "client_id": principal,
                "expires_on": str(made["expires_on"]),
                "resource": resource,
                "token_type": "Bearer",
            }
        )

    async def list_tokens(_request: Request) -> Response:
        return JSONResponse({"tokens": issued})

    return Starlette(
        routes=[
            Route("/msi/token", token),
            Route("/__control/tokens", list_tokens),
            *_controls(config, vault, issuer),
        ]
    )


class _Refused(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def _judge(config: Config, request: Request) -> tuple[str, str]:
    """The client id and the resource that a token is wanted for; raises _Refused."""
    query = request.query_params
    if not hmac.compare_digest(request.headers.get("x-identity-header", ""), config.identity_header):
        raise _Refused(401, "The X-IDENTITY-HEADER header is missing or wrong.")
    if query.get("api-version") != API_VERSION:
        raise _Refused(400, "The api-version is not supported.")
    if query.get("client_id") != config.identity.client_id:
        raise _Refused(
            400,
            "No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId.",
        )
    if not query.get("resource"):
        raise _Refused(400, "The resource is missing.")
    return config.identity.client_id, query["resource"]


def _refusal(status: int, text: str) -> Response:
    body = {"statusCode": status, "message": text, "correlationId": str(uuid.uuid4())}
    return JSONResponse(body, status)


def _controls(config: Config, vault: Vault, issuer: Issuer) -> list[Route]:
    """What Azure does not have: the log, the issuer's keys, the operator's tokens, roles, throttling."""

    async def health(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def keys(_request: Request) -> Response:
        return JSONResponse({"issuer": issuer.exchange_issuer, "keys": issuer.public_keys()})

    async def log(_request: Request) -> Response:
        return JSONResponse({"requests": vault.shown_log()})

    async def operator_token(request: Request) -> Response:
        try:
            made = issuer.issue(config.operator, (await request.json())["resource"])
        except UnknownResource as error:
            return JSONResponse({"error": f"no resource {error}"}, 400)
        return JSONResponse({**made, "tenant": config.tenant_id})

    async def throttle(request: Request) -> Response:
        wanted: dict[str, Any] = await request.json()
        vault.throttled, vault.retry_after = int(wanted["count"]), wanted.get("retry_after")
        return JSONResponse({})

    async def roles(request: Request) -> Response:
        wanted = [Assignment(**each) for each in (await request.json())["roles"]]
        unknown = [each.role for each in wanted if each.role not in ROLES]
        if unknown:
            return JSONResponse({"error": f"no role {unknown[0]}"}, 400)
        vault.roles = wanted
        return JSONResponse({})

    return [
        Route("/__control/health", health),
        Route("/__control/keys", keys),
        Route("/__control/vault-log", log),
        Route("/__control/operator-token", operator_token, methods=["POST"]),
        Route("/__control/throttle", throttle, methods=["POST"]),
        Route("/__control/roles", roles, methods=["PUT"]),
    ]
