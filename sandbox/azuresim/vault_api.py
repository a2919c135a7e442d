"""The data plane of a Key Vault over HTTP: challenge, keys, secrets.

Sources: Microsoft, "Authentication, requests and responses" (Key Vault), "Azure Key Vault REST API reference",
"Azure Key Vault throttling guidance".
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.azuresim import vault as vaults
from sandbox.azuresim.tokens import VAULT, BadToken, Issuer
from sandbox.azuresim.vault import Entry, KeyVersion, SecretVersion, Vault, VaultError

Json = dict[str, Any]
Operation = Callable[[Vault, Request, Entry], Awaitable[Json]]


def build_vault(vault: Vault, issuer: Issuer) -> Starlette:
    """The vault's own host, as an ASGI application."""

    def at(path: str, method: str, action: str, operation: Operation) -> Route:
        async def serve(request: Request) -> Response:
            return await _serve(vault, issuer, request, action, operation)

        return Route(path, serve, methods=[method])

    return Starlette(
        routes=[
            at("/keys/{name}/create", "POST", vaults.CREATE_KEY, _create_key),
            at("/keys/{name}/rotate", "POST", vaults.ROTATE_KEY, _rotate_key),
            at("/keys/{name}/{version}/wrapkey", "POST", vaults.WRAP, _wrap),
            at("/keys/{name}/{version}/unwrapkey", "POST", vaults.UNWRAP, _unwrap),
            at("/keys/{name}/{version:path}", "GET", vaults.READ_KEY, _get_key),
            at("/keys/{name}", "GET", vaults.READ_KEY, _get_key),
            at("/secrets/{name}/{version:path}", "GET", vaults.GET_SECRET, _get_secret),
            at("/secrets/{name}", "GET", vaults.GET_SECRET, _get_secret),
            at("/secrets/{name}", "PUT", vaults.SET_SECRET, _set_secret),
        ]
    )


async def _serve(
    vault: Vault, issuer: Issuer, request: Request, action: str, operation: Operation
) -> Response:
    """Judge the caller, do it, and write it down."""
    name, version = request.path_params["name"], request.path_params.get("version", "").strip("/")
    entry = Entry(time.time(), action.removeprefix("Microsoft.KeyVault/vaults/"), name, version, "")
    vault.log.append(entry)
    try:
        claims = _claims(vault, issuer, request)
        entry.principal_id = str(claims["oid"])
        vault.throttle()
        _check_version(request)
        vault.allow(claims, action, "/".join(request.url.path.split("/")[1:3]))
        return JSONResponse(await operation(vault, request, entry))
    except VaultError as error:
        entry.status = error.status
        body: Json = {"code": error.code, "message": error.text}
        if error.inner:
            body["innererror"] = {"code": error.inner}
        return JSONResponse({"error": body}, error.status, headers=error.headers)


def _check_version(request: Request) -> None:
    if "api-version" not in request.query_params:
        raise VaultError(400, "BadParameter", "api-version must be specified")


def _claims(vault: Vault, issuer: Issuer, request: Request) -> Json:
    """Whose token it is; raises VaultError with the challenge that tells a client where to get one."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    authority = f"https://login.microsoftonline.com/{vault.config.tenant_id}"
    challenge = f'Bearer authorization="{authority}", resource="{VAULT}"'
    if scheme.lower() != "bearer" or not token:
        text = "AKV10000: Request is missing a Bearer or PoP token."
        raise VaultError(401, "Unauthorized", text, headers={"WWW-Authenticate": challenge})
    try:
        return issuer.read(token.strip())
    except BadToken as error:
        wrong = f'{challenge}, error="invalid_token", error_description="{error}"'
        raise VaultError(401, "Unauthorized", str(error), headers={"WWW-Authenticate": wrong}) from error


async def _create_key(vault: Vault, request: Request, entry: Entry) -> Json:
    wanted = await _body(request)
    bits = wanted.get("key_size", 2048)
    if wanted.get("kty") != "RSA" or bits not in {2048, 3072, 4096}:
        raise VaultError(400, "BadParameter", "Property kty or key_size has invalid value.")
    made = vault.add_key_version(entry.name, bits)
    return _shown_key(vault, entry.name, made)


async def _rotate_key(vault: Vault, _request: Request, entry: Entry) -> Json:
    vault.key(entry.name)
    return _shown_key(vault, entry.name, vault.add_key_version(entry.name))


async def _get_key(vault: Vault, _request: Request, entry: Entry) -> Json:
    return _shown_key(vault, entry.name, vault.key(entry.name, entry.version))


async def _wrap(vault: Vault, request: Request, entry: Entry) -> Json:
    key = vault.key(entry.name, entry.version)
    algorithm, value = await _operands(request)
    wrapped = vaults.wrap(key, algorithm, value)
    entry.bytes = len(value)
    return {"kid": _key_id(vault, entry.name, key), "value": _b64(wrapped)}


async def _unwrap(vault: Vault, request: Request, entry: Entry) -> Json:
    key = vault.key(entry.name, entry.version)
    algorithm, value = await _operands(request)
    plain = vaults.unwrap(key, algorithm, value)
    entry.bytes = len(plain)
    return {"kid": _key_id(vault, entry.name, key), "value": _b64(plain)}


async def _get_secret(vault: Vault, _request: Request, entry: Entry) -> Json:
    return _shown_secret(vault, entry.name, vault.secret(entry.name, entry.version))


async def _set_secret(vault: Vault, request: Request, entry: Entry) -> Json:
    value = (await _body(request)).get("value")
    if not isinstance(value, str):
        raise VaultError(400, "BadParameter", "Property value has invalid value.")
    return _shown_secret(vault, entry.name, vault.add_secret_version(entry.name, value))


async def _body(request: Request) -> Json:
    try:
        body = await request.json()
    except ValueError as error:
        raise VaultError(400, "BadParameter", "The request body is no JSON.") from error
    if not isinstance(body, dict):
        raise VaultError(400, "BadParameter", "The request body is no JSON object.")
    return body


async def _operands(request: Request) -> tuple[str, bytes]:
    body = await _body(request)
    try:
        text = str(body["value"])
        value = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (KeyError, binascii.Error, ValueError) as error:
        raise VaultError(400, "BadParameter", "Property value has invalid value.") from error
    return str(body.get("alg")), value


def _key_id(vault: Vault, name: str, key: KeyVersion) -> str:
    return f"https://{vault.config.vault_host}/keys/{name}/{key.version}"


def _shown_key(vault: Vault, name: str, key: KeyVersion) -> Json:
    numbers = key.private.public_key().public_numbers()
    return {
        "key": {
            "kid": _key_id(vault, name, key),
            "kty": "RSA",
            "key_ops": ["encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"],
            "n": _b64(numbers.n.to_bytes(key.private.key_size // 8, "big")),
            "e": _b64(numbers.e.to_bytes(3, "big")),
        },
        "attributes": _attributes(key.created),
    }


def _shown_secret(vault: Vault, name: str, secret: SecretVersion) -> Json:
    place = f"https://{vault.config.vault_host}/secrets/{name}/{secret.version}"
    return {"value": secret.value, "id": place, "attributes": _attributes(secret.created)}


def _attributes(created: int) -> Json:
    return {
        "enabled": True,
        "created": created,
        "updated": created,
        "recoveryLevel": "Recoverable",
        "recoverableDays": 90,
    }


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
