"""clientState: `v1.<mailbox key>.<generation>.<nonce>.<HMAC-SHA256>`, so a forgery is refused without any I/O (G-2)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import Final

MAX_CHARACTERS: Final = 128
_FORM: Final = re.compile(
    r"(?P<signed>v1\.(?P<mailbox>[A-Za-z0-9_-]{1,64})\.(?P<generation>[0-9]{1,9})\.[A-Za-z0-9_-]{1,16})\.(?P<mac>[A-Za-z0-9_-]{43})"
)


class ClientStateSigner:
    """Mints with the first key, accepts both (rotation)."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = [key.encode() for key in keys]

    @property
    def key_id(self) -> str:
        """Tells the key that mints from others, and nothing of it."""
        return _mac(self._keys[0], "key-id")[:8]

    def mint(self, mailbox_key: str, generation: int, nonce: str) -> str:
        """A clientState. Raises ValueError when it would be longer than Graph takes."""
        signed = f"v1.{mailbox_key}.{generation}.{nonce}"
        minted = f"{signed}.{_mac(self._keys[0], signed)}"
        if len(minted) > MAX_CHARACTERS:
            msg = f"a clientState has at most {MAX_CHARACTERS} characters"
            raise ValueError(msg)
        return minted

    def verify(self, client_state: str) -> tuple[str, int] | None:
        """(mailbox key, generation), or None when it is not ours."""
        match = _FORM.fullmatch(client_state) if len(client_state) <= MAX_CHARACTERS else None
        if match is None:
            return None
        given = match["mac"].encode()
        good = [hmac.compare_digest(_mac(key, match["signed"]).encode(), given) for key in self._keys]
        return (match["mailbox"], int(match["generation"])) if any(good) else None


def _mac(key: bytes, signed: str) -> str:
    return (
        base64.urlsafe_b64encode(hmac.new(key, signed.encode(), hashlib.sha256).digest())
        .rstrip(b"=")
        .decode()
    )
