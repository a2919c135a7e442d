"""Access tokens of a directory: issued to its principals, signed by one key, read by the vault.

Time here is the machine's own: the Azure SDK keeps tokens by it, and a world's clock is moved by days.
Source: Microsoft identity platform, "Access token claims reference" (versions 1.0 and 2.0).
"""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

if TYPE_CHECKING:
    from sandbox.azuresim.config import Principal

KEY_ID = "azuresim-key-1"
VAULT = "https://vault.azure.net"
STORAGE = "https://storage.azure.com"
EXCHANGE = "api://AzureADTokenExchange"
RESOURCES = (VAULT, STORAGE, EXCHANGE)
"""What tokens can be had for: everything that the product uses, and nothing else."""


class UnknownResource(ValueError):
    """Nobody in the directory offers that resource."""


class BadToken(ValueError):
    """A token that is refused; `code` and text are the vault's."""


@dataclass(slots=True)
class Issuer:
    """A directory's token service."""

    tenant_id: str
    token_seconds: int
    key: rsa.RSAPrivateKey

    @property
    def exchange_issuer(self) -> str:
        """Who issues the tokens that Entra takes as assertions: version 2.0 ("workload identity federation")."""
        return f"https://login.microsoftonline.com/{self.tenant_id}/v2.0"

    @property
    def issuer(self) -> str:
        """Who issues the tokens for Azure's own services: version 1.0."""
        return f"https://sts.windows.net/{self.tenant_id}/"

    def issue(self, principal: Principal, resource: str) -> dict[str, Any]:
        """A token for a resource, with `expires_on` in unix seconds; raises UnknownResource."""
        audience = resource.rstrip("/")
        if audience not in RESOURCES:
            raise UnknownResource(resource)
        federated = audience == EXCHANGE
        now = int(time.time())
        claims = {
            "aud": audience,
            "iss": self.exchange_issuer if federated else self.issuer,
            "iat": now,
            "nbf": now,
            "exp": now + self.token_seconds,
            ("azp" if federated else "appid"): principal.client_id,
            "oid": principal.principal_id,
            "sub": principal.principal_id,
            "tid": self.tenant_id,
            "uti": uuid.uuid4().hex,
            "ver": "2.0" if federated else "1.0",
        }
        token = jwt.encode(claims, self.key, algorithm="RS256", headers={"kid": KEY_ID})
        return {"access_token": token, "expires_on": now + self.token_seconds, "resource": resource}

    def read(self, token: str) -> dict[str, Any]:
        """The claims of a token for the vault; raises BadToken with what the vault says."""
        try:
            return dict(
                jwt.decode(
                    token,
                    self.key.public_key(),
                    ["RS256"],
                    audience=VAULT,
                    issuer=self.issuer,
                    options={"require": ["aud", "iss", "exp", "nbf", "oid"]},
                )
            )
        except jwt.InvalidAudienceError as error:
            raise BadToken(f"AKV10022: Invalid audience. Expected {VAULT}.") from error
        except jwt.InvalidIssuerError as error:
            raise BadToken(f"AKV10032: Invalid issuer. Expected one of {self.issuer}.") from error
        except jwt.InvalidTokenError as error:
            raise BadToken(f"Error validating token: {error}") from error

    def public_keys(self) -> list[dict[str, Any]]:
        """The key set that others check tokens with (RFC 7517)."""
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        return [{**public, "kid": KEY_ID, "use": "sig", "alg": "RS256"}]
