"""Signed, expiring tokens for links to staged files (F-5): `<parts>~<expiry>~<HMAC>`; nothing is stored for them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final

KIND: Final = "file"
_PART: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
_TOKEN: Final = re.compile(r"([A-Za-z0-9_-]+~)+[0-9]+~[A-Za-z0-9_-]{43}")
MAX_CHARACTERS: Final = 400


class LinkSigner:
    """Mints with the first key, accepts both (rotation)."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = [key.encode() for key in keys]

    def mint(self, parts: Sequence[str], expires_at: datetime) -> str:
        """A token for the path. Raises ValueError for a part that does not fit one."""
        if not all(_PART.fullmatch(part) for part in parts):
            msg = "a part of a link is an id of ours"
            raise ValueError(msg)
        signed = "~".join((*parts, str(int(expires_at.timestamp()))))
        return f"{signed}~{_mac(self._keys[0], signed)}"

    def verify(self, token: str, now: datetime) -> tuple[str, ...] | None:
        """The parts, or None when the token is not ours or too old."""
        signed, _, mac = token.rpartition("~")
        parts = signed.split("~")
        if len(token) > MAX_CHARACTERS or _TOKEN.fullmatch(token) is None:
            return None
        good = [hmac.compare_digest(_mac(key, signed).encode(), mac.encode()) for key in self._keys]
        if not any(good) or int(parts[-1]) <= now.timestamp():
            return None
        return tuple(parts[:-1])


def _mac(key: bytes, signed: str) -> str:
    digest = hmac.new(key, f"{KIND}~{signed}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
