"""`SignIn` through MSAL, unmodified: authorization code with PKCE, `form_post`, one cache per connection (O-1, K-7).

MSAL is synchronous, so it runs in a thread; its HTTP goes back to our loop and out through the one transport. A fresh
application with a fresh cache serves each call, because MSAL answers a repeated bad request from memory for a minute.
MSAL does not validate the ID token (its documentation leaves that to the application), so that is done here (O-6).
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

import httpx

from shared.domain.errors import GrantDead, ProviderUnavailable, SignInFailed, Throttled
from shared.domain.model import Grant, Refreshed
from shared.ports import Clock
from shared.transport import NeverSent, NoAnswer, Transport

SCOPES: Final = ("User.Read", "Mail.Read", "Mail.ReadWrite", "Mail.Send")
TIMEOUT_SECONDS: Final = 15.0
SKEW: Final = timedelta(minutes=5)

# Only these say that the user must come back; an operator's mistake marks nobody (Entra, "Error codes").
DEAD: Final = frozenset({"invalid_grant", "interaction_required", "consent_required", "login_required"})
OPERATOR: Final = frozenset(
    {"invalid_client", "unauthorized_client", "invalid_scope", "invalid_request", "invalid_resource"}
)
ADMIN_CONSENT: Final = frozenset({65001, 90094, 90095})
DECLINED: Final = frozenset({65004})

Credential = str | dict[str, Any] | None


class EntraSignIn:
    """Sign-in and refresh for one app registration."""

    def __init__(
        self,
        transport: Transport,
        *,
        client_id: str,
        client_credential: Credential,
        authority: str,
        redirect_uri: str,
        instance_discovery: bool,
        clock: Clock,
    ) -> None:
        self._transport = transport
        self._client_id = client_id
        self._credential = client_credential
        self._authority = authority
        self._redirect_uri = redirect_uri
        self._instance_discovery = instance_discovery
        self._clock = clock
        self._discovered: dict[str, _Answer] = {}

    async def begin(self, *, state: str, login_hint: str | None = None) -> tuple[str, dict[str, Any]]:
        """Where to send the browser, and the flow to keep."""

        def start(app: Any) -> dict[str, Any]:
            flow: dict[str, Any] = app.initiate_auth_code_flow(
                list(SCOPES),
                redirect_uri=self._redirect_uri,
                state=state,
                login_hint=login_hint,
                prompt="select_account",
                response_mode="form_post",
            )
            return flow

        flow = await self._with_app(start, None)
        if "auth_uri" not in flow:
            raise SignInFailed("operator_error")
        return str(flow["auth_uri"]), flow

    async def redeem(self, flow: Mapping[str, Any], response: Mapping[str, str]) -> Grant:
        """Exchange the code and check whose it is."""
        if response.get("state") != flow.get("state"):
            raise SignInFailed("state_mismatch")
        if "error" in response:
            raise _failed({"error": response["error"], "error_codes": _codes(response)})
        cache = _fresh_cache(None)
        result = await self._with_app(
            lambda app: app.acquire_token_by_auth_code_flow(dict(flow), dict(response), scopes=list(SCOPES)),
            cache,
        )
        if "access_token" not in result:
            raise _failed(result)
        claims = result.get("id_token_claims") or {}
        self._judge_claims(claims, str(flow.get("nonce", "")))
        granted = tuple(str(result.get("scope", "")).split())
        missing = {scope.lower() for scope in SCOPES} - {one.rpartition("/")[2].lower() for one in granted}
        if missing:
            raise SignInFailed("scopes_missing")
        return Grant(
            tid=str(claims["tid"]),
            oid=str(claims["oid"]),
            username=str(claims.get("preferred_username", "")),
            cache=cache.serialize(),
            access_token=str(result["access_token"]),
            expires_at=self._until(result),
            scopes=granted,
        )

    def _judge_claims(self, claims: Mapping[str, Any], nonce: str) -> None:
        """Audience, issuer of that very tenant, time and nonce; identity is (tid, oid) and nothing else."""
        tid = str(claims.get("tid", ""))
        expected = hashlib.sha256(nonce.encode("ascii")).hexdigest()
        good = (
            tid
            and claims.get("oid")
            and claims.get("aud") == self._client_id
            and str(claims.get("iss", "")).rstrip("/").endswith(f"/{tid}/v2.0")
            and hmac.compare_digest(str(claims.get("nonce", "")).encode(), expected.encode())
        )
        if not good:
            raise SignInFailed("identity_unproven")
        if float(claims.get("exp", 0)) < (self._clock.now() - SKEW).timestamp():
            raise SignInFailed("identity_unproven")

    async def refresh(self, cache: str, *, claims: str | None = None) -> Refreshed:
        """A fresh access token."""
        held = _fresh_cache(cache)

        def renew(app: Any) -> dict[str, Any] | None:
            accounts = app.get_accounts()
            if not accounts:
                return {"error": "invalid_grant"}
            result: dict[str, Any] | None = app.acquire_token_silent_with_error(
                list(SCOPES), account=accounts[0], force_refresh=True, claims_challenge=claims
            )
            return result

        result = await self._with_app(renew, held) or {"error": "invalid_grant"}
        if "access_token" in result:
            return Refreshed(held.serialize(), str(result["access_token"]), self._until(result))
        if result.get("error") in DEAD:
            raise GrantDead
        raise ProviderUnavailable

    def _until(self, result: Mapping[str, Any]) -> datetime:
        return self._clock.now() + timedelta(seconds=float(result.get("expires_in", 0)))

    async def _with_app(self, use: Callable[[Any], Any], cache: Any) -> Any:
        """Run MSAL in a thread with a limit on its time. Raises ProviderUnavailable, Throttled."""
        loop = asyncio.get_running_loop()
        client = _HttpClient(self._transport, loop, self._discovered)
        try:
            return await asyncio.wait_for(
                asyncio.to_thread(self._use, use, cache, client), TIMEOUT_SECONDS * 2
            )
        except TimeoutError as err:
            raise ProviderUnavailable from err

    def _use(self, use: Callable[[Any], Any], cache: Any, client: _HttpClient) -> Any:
        import msal

        app = msal.ConfidentialClientApplication(
            self._client_id,
            client_credential=self._credential,
            authority=self._authority,
            token_cache=cache,
            http_client=client,
            instance_discovery=None if self._instance_discovery else False,
        )
        return use(app)


class _Answer:
    """A response in the shape MSAL reads."""

    def __init__(self, status_code: int, text: str, headers: Mapping[str, str]) -> None:
        self.status_code = status_code
        self.text = text
        self.headers = dict(headers)

    def raise_for_status(self) -> None:
        """MSAL calls this on discovery."""
        if self.status_code >= 400:  # noqa: PLR2004 - errors
            raise ProviderUnavailable


class _HttpClient:
    """What MSAL calls in its thread; the request itself runs on our loop."""

    def __init__(
        self, transport: Transport, loop: asyncio.AbstractEventLoop, discovered: dict[str, _Answer]
    ) -> None:
        self._transport = transport
        self._loop = loop
        self._discovered = discovered

    def get(self, url: str, params: Any = None, headers: Any = None, **_: Any) -> _Answer:
        """Discovery documents; each is fetched once a process."""
        whole = f"{url}?{urlencode(params)}" if params else url
        if whole not in self._discovered:
            answer = self._run("discover", httpx.Request("GET", whole, headers=headers or {}))
            if answer.status_code != httpx.codes.OK:
                return answer
            self._discovered[whole] = answer
        return self._discovered[whole]

    def post(self, url: str, params: Any = None, data: Any = None, headers: Any = None, **_: Any) -> _Answer:
        """The token endpoint."""
        return self._run("token", httpx.Request("POST", url, params=params, data=data, headers=headers or {}))

    def close(self) -> None:
        """The transport stays open."""

    def _run(self, operation: str, request: httpx.Request) -> _Answer:
        sending = self._transport.send("entra", operation, request, timeout_seconds=TIMEOUT_SECONDS)
        try:
            answer = asyncio.run_coroutine_threadsafe(sending, self._loop).result(TIMEOUT_SECONDS * 2)
        except (NeverSent, NoAnswer) as err:
            raise ProviderUnavailable from err
        if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
            raise Throttled(10.0)
        if answer.status_code >= 500:  # noqa: PLR2004 - their side
            raise ProviderUnavailable
        return _Answer(answer.status_code, answer.text, {k.title(): v for k, v in answer.headers.items()})


def _fresh_cache(serialized: str | None) -> Any:
    import msal

    cache = msal.SerializableTokenCache()
    if serialized:
        cache.deserialize(serialized)
    return cache


def _codes(response: Mapping[str, str]) -> list[int]:
    """AADSTS numbers of a redirect's description; the text itself goes nowhere (O-9)."""
    text = response.get("error_description", "")
    return [
        int(part[6:].split(":")[0])
        for part in text.split()
        if part.startswith("AADSTS") and part[6:].split(":")[0].isdigit()
    ]


def _failed(result: Mapping[str, Any]) -> SignInFailed | ProviderUnavailable:
    """Their error as our reason; the description is neither shown nor logged (O-9)."""
    error, codes = str(result.get("error", "")), set(result.get("error_codes") or ())
    if error in ("temporarily_unavailable", "server_error"):
        return ProviderUnavailable()
    if codes & ADMIN_CONSENT:
        return SignInFailed("admin_consent_required")
    if error == "access_denied" or codes & DECLINED:
        return SignInFailed("declined")
    if error in OPERATOR:
        return SignInFailed("operator_error")
    if error in DEAD:
        return SignInFailed("interaction_required")
    return SignInFailed("failed")
