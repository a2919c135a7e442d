"""Tenant keys `psk_<key id>_<43 characters>`: 256 random bits, stored as a keyed hash (A-1)."""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Final

from shared.domain.model import ApiKey
from shared.ports import Random

SCOPES: Final = ("send", "read", "connect")
_KEY: Final = re.compile(r"psk_(?P<key_id>[a-z0-9]{12})_(?P<secret>[A-Za-z0-9_-]{43})")
_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz234567"


class ApiKeyring:
    """Makes and checks keys with the deployment's pepper."""

    def __init__(self, pepper: str) -> None:
        self._pepper = pepper.encode()

    def mint(self, tenant_id: str, random: Random, scopes: tuple[str, ...] = SCOPES) -> tuple[str, ApiKey]:
        """A new key, shown once, and the record that is kept."""
        key_id = "".join(_ALPHABET[byte & 31] for byte in random.bytes(12))
        secret = random.token(32)
        return f"psk_{key_id}_{secret}", ApiKey(key_id, tenant_id, self._hash(secret), scopes)

    def parse(self, header: str | None) -> tuple[str, str] | None:
        """(key id, secret) of `Bearer psk_…`, or None."""
        scheme, _, token = (header or "").partition(" ")
        match = _KEY.fullmatch(token) if scheme.lower() == "bearer" else None
        return (match["key_id"], match["secret"]) if match else None

    def matches(self, secret: str, secret_hash: str) -> bool:
        """Compared in constant time (X-8)."""
        return hmac.compare_digest(self._hash(secret).encode(), secret_hash.encode())

    def _hash(self, secret: str) -> str:
        return hmac.new(self._pepper, secret.encode(), hashlib.sha256).hexdigest()
