"""`SignIn` through MSAL, unmodified: authorization code with PKCE, `form_post`, one cache per connection (O-1, K-7).

MSAL is synchronous, so it runs in a thread; its HTTP goes back to our loop and out through the one transport. A fresh
application with a fresh cache serves each call, because MSAL answers a repeated bad request from memory for a minute.
MSAL does not validate the ID token (its documentation leaves that to the application), so that is done here (O-6).
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from shared.domain.errors import GrantDead, ProviderUnavailable, SignInFailed, UpstreamSurprise
from shared.domain.model import Grant, Refreshed
from shared.graph.msal_http import TIMEOUT_SECONDS, Answer, MsalHttp, json_object
from shared.graph.refusals import Unanswered, failed, refresh_refused
from shared.ports import Clock
from shared.transport import Transport

SCOPES: Final = ("User.Read", "Mail.Read", "Mail.ReadWrite", "Mail.Send")
# What an administrator approves: all that a sign-in asks for, so that no person is asked again.
CONSENT_SCOPES: Final = ("openid", "profile", "offline_access", *SCOPES)
SKEW: Final = timedelta(minutes=5)

LONGEST_TOKEN_SECONDS: Final = 7 * 86_400
# What it raises for a bad setting, and for an answer whose members are not what it takes them for.
MSAL_FAILS: Final = (ValueError, LookupError, RuntimeError, TypeError, AttributeError, ArithmeticError)
_GUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

Assertion = Callable[[], Awaitable[str]]
Credential = str | dict[str, Any] | Assertion | None
"""A client secret; MSAL's form of a certificate; or where a fresh assertion comes from (raises ProviderUnavailable)."""


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
        consent_uri: str,
        instance_discovery: bool,
        clock: Clock,
    ) -> None:
        self._transport = transport
        self._client_id = client_id
        self._credential = client_credential
        self._authority = authority
        self._redirect_uri = redirect_uri
        self._consent_uri = consent_uri
        self._instance_discovery = instance_discovery
        self._clock = clock
        self._discovered: dict[str, Answer] = {}
        self._unanswered = Unanswered(clock)

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

        try:
            flow = await self._run_with_app(start, None)
        except UpstreamSurprise as err:
            raise SignInFailed("operator_error") from err
        return str(flow["auth_uri"]), flow

    def consent_link(self, flow: Mapping[str, Any]) -> str:
        """At the place where this person signed in; without user and state, for anybody to hand on.

        Source: "Admin consent on the Microsoft identity platform". Of no account in particular, so its audience is
        `organizations` where the sign-in took any account.
        """
        parts = urlsplit(str(flow["auth_uri"]))
        audience = parts.path.split("/")[1]
        organisation = "organizations" if audience in ("common", "consumers") else audience
        asked = {
            "client_id": self._client_id,
            "redirect_uri": self._consent_uri,
            "scope": " ".join(CONSENT_SCOPES),
        }
        query = urlencode(asked, quote_via=quote)
        return f"{parts.scheme}://{parts.netloc}/{organisation}/v2.0/adminconsent?{query}"

    async def redeem(self, flow: Mapping[str, Any], response: Mapping[str, str]) -> Grant:
        """Exchange the code and check whose it is."""
        _judge_response(flow, response)
        cache = _fresh_cache(None)

        def exchange(app: Any) -> Any:
            try:
                return app.acquire_token_by_auth_code_flow(dict(flow), dict(response), scopes=list(SCOPES))
            except RuntimeError:
                raise SignInFailed("identity_unproven") from None  # MSAL looked at the nonce, and quotes it

        try:
            result = await self._run_with_app(exchange, cache)
        except UpstreamSurprise as err:
            raise SignInFailed("operator_error") from err
        if "access_token" not in result:
            raise failed(result)
        claims = result.get("id_token_claims") or {}
        self._judge_claims(claims, str(flow.get("nonce", "")), response.get("iss"))
        granted = tuple(str(result.get("scope", "")).split())
        missing = {scope.lower() for scope in SCOPES} - {
            scope_name.rpartition("/")[2].lower() for scope_name in granted
        }
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

    def _judge_claims(self, claims: Mapping[str, Any], nonce: str, iss: str | None) -> None:
        """Audience, issuer of that very tenant, time and nonce; identity is (tid, oid) and nothing else (O-6).

        An `iss` beside the code must be the token's (RFC 9207, 2.4). The nonce was sent hashed.
        """
        tid, oid, exp = claims.get("tid"), claims.get("oid"), claims.get("exp")
        expected = hashlib.sha256(nonce.encode()).hexdigest()
        proven = (
            isinstance(tid, str)
            and _GUID.fullmatch(tid) is not None
            and isinstance(oid, str)
            and oid != ""
            and claims.get("aud") == self._client_id
            and claims.get("iss") == self._issuer_of(tid)
            and iss in {None, claims.get("iss")}
            and hmac.compare_digest(str(claims.get("nonce", "")).encode(), expected.encode())
            and isinstance(exp, int | float)
            and exp >= (self._clock.now() - SKEW).timestamp()
        )
        if not proven:
            raise SignInFailed("identity_unproven")

    def _issuer_of(self, tid: str) -> str | None:
        """Who speaks for a tenant: the OpenID configuration says, with a placeholder where many tenants share it."""
        for answer in self._discovered.values():
            issuer = json_object(answer.text).get("issuer")
            if isinstance(issuer, str):
                return issuer.replace("{tenantid}", tid)
        return None

    async def refresh(self, cache: str, *, claims: str | None = None) -> Refreshed:
        """A fresh access token; where Entra did not answer, it is asked again after a while only.

        What MSAL cannot read, or refuses by itself, is an outage: it is no user's fault.
        """
        if not json_object(cache):
            raise GrantDead  # without a refresh token nobody but the user can help
        held = _fresh_cache(cache)

        def renew(app: Any) -> dict[str, Any] | None:
            accounts = app.get_accounts()
            if not accounts:
                return {"error": "invalid_grant"}
            result: dict[str, Any] | None = app.acquire_token_silent_with_error(
                list(SCOPES), account=accounts[0], force_refresh=True, claims_challenge=claims
            )
            return result

        with self._unanswered.asking(hashlib.sha256(cache.encode()).hexdigest()):
            try:
                result = await self._run_with_app(renew, held) or {"error": "invalid_grant"}
            except UpstreamSurprise as err:
                raise ProviderUnavailable from err
            if "access_token" not in result:
                raise refresh_refused(result)
        return Refreshed(held.serialize(), str(result["access_token"]), self._until(result))

    async def check(self) -> None:
        """Fetch an assertion, where the app has that instead of a secret. Raises ProviderUnavailable."""
        if callable(self._credential):
            await self._credential()

    def _until(self, result: Mapping[str, Any]) -> datetime:
        """One of no sensible length is used once: a token that continuous evaluation watches lasts 28 hours."""
        try:
            seconds = float(result.get("expires_in") or 0)
        except (TypeError, ValueError):
            seconds = 0
        return self._clock.now() + timedelta(seconds=seconds if 0 <= seconds <= LONGEST_TOKEN_SECONDS else 0)

    async def _run_with_app(self, use: Callable[[Any], Any], cache: Any) -> Any:
        """Run MSAL in a thread with a limit on its time.

        Raises ProviderUnavailable, Throttled; UpstreamSurprise for what MSAL itself refuses: a wrong authority, a bad
        setting, an answer that it cannot read.
        """
        loop = asyncio.get_running_loop()
        client = MsalHttp(self._transport, loop, self._discovered)
        try:
            return await asyncio.wait_for(
                asyncio.to_thread(self._use, use, cache, client, loop), TIMEOUT_SECONDS * 2
            )
        except TimeoutError as err:
            raise ProviderUnavailable from err
        except MSAL_FAILS as err:
            raise UpstreamSurprise from err

    def _use(
        self, use: Callable[[Any], Any], cache: Any, client: MsalHttp, loop: asyncio.AbstractEventLoop
    ) -> Any:
        import msal

        app = msal.ConfidentialClientApplication(
            self._client_id,
            client_credential=_for_msal(self._credential, loop),
            authority=self._authority,
            token_cache=cache,
            http_client=client,
            instance_discovery=None if self._instance_discovery else False,
        )
        return use(app)


def _for_msal(credential: Credential, loop: asyncio.AbstractEventLoop) -> str | dict[str, Any] | None:
    """MSAL asks for an assertion in its thread, once for each token request; it is fetched on our loop."""
    if credential is None or isinstance(credential, str | dict):
        return credential
    get_assertion = credential

    async def fetch() -> str:
        return await get_assertion()

    def ask() -> str:
        future = asyncio.run_coroutine_threadsafe(fetch(), loop)
        try:
            return future.result(TIMEOUT_SECONDS)
        except TimeoutError as err:
            future.cancel()
            raise ProviderUnavailable from err

    return {"client_assertion": ask}


def _fresh_cache(serialized: str | None) -> Any:
    import msal

    cache = msal.SerializableTokenCache()
    if serialized:
        cache.deserialize(serialized)
    return cache


def _judge_response(flow: Mapping[str, Any], response: Mapping[str, str]) -> None:
    """State first, before anything else of the answer is believed. Raises SignInFailed, ProviderUnavailable."""
    sent, came = str(flow.get("state") or ""), response.get("state") or ""
    if not sent or not hmac.compare_digest(sent.encode(), came.encode()):
        raise SignInFailed("state_mismatch")
    if "error" in response:
        raise failed(response)
    if not response.get("code"):
        raise SignInFailed("failed")
