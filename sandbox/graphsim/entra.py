"""Entra: applications, sign-ins, codes and tokens.

Sources: Microsoft identity platform, "OAuth 2.0 authorization code flow", "Refresh tokens", "ID token claims
reference", "Microsoft Entra authentication and authorization error codes".
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from sandbox.graphsim.assertions import check_assertion
from sandbox.graphsim.config import Application
from sandbox.graphsim.errors import EntraError, invalid_token, revoked_token

if TYPE_CHECKING:
    from datetime import datetime

    from sandbox.graphsim.store import User
    from sandbox.graphsim.world import World

CODE_LIFE = timedelta(minutes=10)
OIDC_SCOPES = {"openid", "profile", "email", "offline_access"}
GRAPH_SCOPES = {
    "User.Read", "User.ReadWrite", "Mail.Read", "Mail.ReadBasic", "Mail.ReadWrite", "Mail.Send", "MailboxSettings.Read",
}  # fmt: skip
GRAPH_PREFIX = "https://graph.microsoft.com/"


@dataclass(frozen=True, slots=True)
class Grant:
    """The user, application and scopes of an access token."""

    user: User
    client_id: str
    scopes: frozenset[str]
    expires_at: datetime
    token: str


@dataclass(slots=True)
class Code:
    """An authorization code."""

    user: User
    client_id: str
    redirect_uri: str
    scope: str
    challenge: str | None
    challenge_method: str
    nonce: str | None
    expires_at: datetime
    used: bool = False


@dataclass(slots=True)
class RefreshToken:
    """A refresh token. Use does not end it; disuse and revocation do."""

    user: User
    client_id: str
    scope: str
    used_at: datetime
    revoked: bool = False


@dataclass(slots=True)
class Entra:
    """The applications, sign-ins, codes and tokens, in memory."""

    world: World
    applications: dict[str, Application] = field(default_factory=dict)
    issuers: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Others whose tokens may be assertions, each with its key set."""
    codes: dict[str, Code] = field(default_factory=dict)
    refresh_tokens: dict[str, RefreshToken] = field(default_factory=dict)
    grants: dict[str, Grant] = field(default_factory=dict)
    consents: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    revoked_at: dict[str, datetime] = field(default_factory=dict)
    users_may_consent: bool = True
    approvals: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    _key: rsa.RSAPrivateKey | None = None

    @property
    def key(self) -> rsa.RSAPrivateKey:
        """The key that signs ID tokens; made at its first use, because that is slow."""
        if self._key is None:
            self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        return self._key

    def register(self, application: Application) -> None:
        """Add an application, or replace it."""
        self.applications[application.client_id] = application

    def peek(self, authorization: str | None) -> Grant | None:
        """The grant of a token, valid or not, or None; for the log."""
        scheme, _, token = (authorization or "").partition(" ")
        return self.grants.get(token.strip()) if scheme.lower() == "bearer" else None

    def authenticate(self, authorization: str | None) -> Grant:
        """The grant of a request's token; raises Graph's 401."""
        if not authorization:
            raise invalid_token("Access token is empty.")
        grant = self.peek(authorization)
        if grant is None:
            raise invalid_token("IDX14100: JWT is not well formed, there are no dots (.).")
        if grant.expires_at <= self.world.now():
            raise invalid_token("Lifetime validation failed, the token is expired.")
        if since := self.revoked_at.get(grant.token):
            raise revoked_token(since)
        return grant

    def approve(self, tenant_id: str, client_id: str, scope: str) -> None:
        """Record an administrator's approval of these scopes for all people of the organisation."""
        self.approvals.setdefault((tenant_id, client_id), set()).update(_names(scope))

    def is_approved(self, user: User, query: dict[str, str]) -> bool:
        """Whether an administrator has approved all that this sign-in asks for."""
        approved = self.approvals.get((user.tenant_id, query["client_id"]), set())
        return set(_names(query.get("scope", ""))) <= approved

    def may_sign_in(self, user: User, query: dict[str, str]) -> bool:
        """Whether this person may use the application: by an own consent or an administrator's."""
        return self.users_may_consent or user.personal or self.is_approved(user, query)

    def issue_code(self, user: User, query: dict[str, str]) -> str:
        """Record the consent of an approved sign-in and issue a code for it."""
        code = self.world.ids.opaque("0.A", 60)
        self.consents.setdefault((user.user_id, query["client_id"]), set()).update(
            _names(query.get("scope", ""))
        )
        self.codes[code] = Code(
            user, query["client_id"], query["redirect_uri"], query.get("scope", ""),
            query.get("code_challenge"), query.get("code_challenge_method", "plain"), query.get("nonce"),
            self.world.now() + CODE_LIFE,
        )  # fmt: skip
        return code

    def client_info(self, user: User) -> str:
        """The `client_info` of a token response, as MSAL reads it."""
        return _b64(json.dumps({"uid": user.user_id, "utid": user.tenant_id}).encode())

    def redeem_code(self, form: dict[str, str]) -> dict[str, Any]:
        """Answer grant_type=authorization_code; raises EntraError."""
        code = self.codes.get(form.get("code", ""))
        if code is None or code.client_id != form["client_id"]:
            raise EntraError("invalid_grant", 9002313, "Invalid request. Request is malformed or invalid.")
        if code.used:
            raise EntraError(
                "invalid_grant",
                54005,
                "OAuth2 Authorization code was already redeemed, please retry with a new valid code.",
            )
        if code.expires_at <= self.world.now():
            raise EntraError(
                "invalid_grant",
                70008,
                "The provided authorization code or refresh token has expired due to inactivity.",
            )
        if form.get("redirect_uri") != code.redirect_uri:
            raise EntraError(
                "invalid_grant",
                500112,
                "The reply address does not match the reply address provided when requesting Authorization code.",
            )
        self._check_verifier(code, form.get("code_verifier"))
        code.used = True
        return self._issue_tokens(code.user, code.client_id, form.get("scope") or code.scope, code.nonce)

    def _check_verifier(self, code: Code, verifier: str | None) -> None:
        if code.challenge is None:
            return
        shown = verifier or ""
        if code.challenge_method == "S256":
            shown = _b64(hashlib.sha256(shown.encode()).digest())
        if shown != code.challenge:
            raise EntraError(
                "invalid_grant",
                501481,
                "The Code_Verifier does not match the code_challenge supplied in the authorization request.",
            )

    def redeem_refresh_token(self, form: dict[str, str]) -> dict[str, Any]:
        """Answer grant_type=refresh_token; raises EntraError."""
        token = self.refresh_tokens.get(form.get("refresh_token", ""))
        if token is None or token.client_id != form["client_id"]:
            raise EntraError("invalid_grant", 9002313, "Invalid request. Request is malformed or invalid.")
        if token.revoked:
            raise EntraError(
                "invalid_grant",
                50173,
                "The provided grant has expired due to it being revoked, a fresh auth token is needed.",
            )
        idle = timedelta(days=self.world.knobs.number("refresh_token_days"))
        if self.world.now() - token.used_at > idle:
            raise EntraError(
                "invalid_grant",
                700082,
                "The refresh token has expired due to inactivity.",
                suberror="token_expired",
            )
        token.used_at = self.world.now()
        return self._issue_tokens(token.user, token.client_id, form.get("scope") or token.scope, None)

    def check_client(self, form: dict[str, str], basic: tuple[str, str] | None) -> str:
        """Check client_secret, Basic or an assertion and say which it was; sets `client_id` from Basic.

        Return `secret`, `certificate` or `federated`; raises EntraError.
        """
        if basic:
            form["client_id"], form["client_secret"] = basic
        application = self.applications.get(form.get("client_id", ""))
        if application is None:
            raise EntraError("unauthorized_client", 700016, "Application was not found in the directory.")
        if form.get("client_assertion"):
            return check_assertion(self, application, form)
        if application.client_secret is None or form.get("client_secret") != application.client_secret:
            raise EntraError("invalid_client", 7000215, "Invalid client secret provided.", 401)
        return "secret"

    def _issue_tokens(self, user: User, client_id: str, scope: str, nonce: str | None) -> dict[str, Any]:
        names = _names(scope)
        unknown = [name for name in names if name not in GRAPH_SCOPES | OIDC_SCOPES and name != ".default"]
        if unknown:
            raise EntraError(
                "invalid_scope",
                70011,
                f"The provided value for the input parameter 'scope' is not valid: {unknown[0]}.",
            )
        consented = self.consents.get((user.user_id, client_id), set())
        granted = sorted(GRAPH_SCOPES & (consented if ".default" in names else set(names)))
        if not set(granted) <= consented:
            raise EntraError(
                "invalid_grant",
                65001,
                f"The user or administrator has not consented to use the application with ID '{client_id}'.",
                suberror="consent_required",
            )
        seconds = int(self.world.knobs.number("access_token_seconds")) or self.world.random.randint(
            3600, 5400
        )
        token = self.world.ids.opaque("EwB", 80)
        expires_at = self.world.now() + timedelta(seconds=seconds)
        self.grants[token] = Grant(user, client_id, frozenset(granted), expires_at, token)
        answer: dict[str, Any] = {
            "token_type": "Bearer",
            "scope": " ".join(granted),
            "expires_in": seconds,
            "ext_expires_in": seconds,
            "access_token": token,
            "client_info": self.client_info(user),
        }
        if "offline_access" in names:
            refresh = self.world.ids.opaque("1.A", 90)
            self.refresh_tokens[refresh] = RefreshToken(user, client_id, scope, self.world.now())
            answer["refresh_token"] = refresh
        if "openid" in names:
            answer["id_token"] = self._id_token(user, client_id, nonce)
        return answer

    def _id_token(self, user: User, client_id: str, nonce: str | None) -> str:
        now = int(self.world.now().timestamp())
        claims = {
            "aud": client_id,
            "iss": f"https://login.microsoftonline.com/{user.tenant_id}/v2.0",
            "iat": now, "nbf": now, "exp": now + 3600,
            "name": user.display_name, "oid": user.user_id, "preferred_username": user.address,
            "sub": _b64(hashlib.sha256(f"{user.user_id}{client_id}".encode()).digest()),
            "tid": user.tenant_id, "ver": "2.0",
            **({"nonce": nonce} if nonce else {}),
        }  # fmt: skip
        head = _b64(json.dumps({"typ": "JWT", "alg": "RS256", "kid": "simulated-key-1"}).encode())
        signed = f"{head}.{_b64(json.dumps(claims).encode())}"
        signature = self.key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_b64(signature)}"

    def public_keys(self) -> dict[str, Any]:
        """The key set of /discovery/v2.0/keys."""
        numbers = self.key.public_key().public_numbers()
        return {
            "keys": [
                {
                    "kty": "RSA", "use": "sig", "alg": "RS256", "kid": "simulated-key-1",
                    "n": _b64(numbers.n.to_bytes(256, "big")), "e": _b64(numbers.e.to_bytes(3, "big")),
                }
            ]
        }  # fmt: skip

    def public_pem(self) -> bytes:
        """The public key, for tests."""
        return self.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def forget(self) -> None:
        """Delete all codes, tokens, consents, approvals and revocations."""
        for kept in (self.codes, self.refresh_tokens, self.grants, self.consents, self.revoked_at):
            kept.clear()
        self.approvals.clear()
        self.users_may_consent = True

    def revoke(self, user: User) -> None:
        """End all sessions of a user, as an administrator or the user does."""
        for token in self.refresh_tokens.values():
            if token.user is user:
                token.revoked = True
        if self.world.knobs.text("revoked_access_tokens") == "refused":
            ended = [token for token, grant in self.grants.items() if grant.user is user]
            self.revoked_at |= dict.fromkeys(ended, self.world.now())
        self.world.subscriptions.end_sessions(user)


def _names(scope: str) -> list[str]:
    """The scopes in a scope parameter, those of Graph without its address."""
    return [name.removeprefix(GRAPH_PREFIX) for name in scope.split()]


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
