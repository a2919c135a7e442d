"""Encryption at rest (K-1 to K-5): AES-256-GCM under a data key per tenant, wrapped by one key-encryption key.

A sealed value is `v1.<kek id>.<data key id>.<base64url of nonce and ciphertext>`. The place it lies in (table,
partition, row, field) and the version are authenticated with it, so a value moved elsewhere does not open.
"""

from __future__ import annotations

import base64
import binascii
import json
import stat
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from shared.domain.errors import RowExists, SealBroken
from shared.ports import Clock, Random

VERSION: Final = "v1"
NONCE_BYTES: Final = 12
KEY_BYTES: Final = 32
CACHED_FOR: Final = timedelta(minutes=10)


class KeyWrapper(Protocol):
    """The key-encryption key: Key Vault in the cloud, a file on somebody's own machine."""

    @property
    def kek_id(self) -> str:
        """Its id and version, without dots."""
        ...

    async def wrap(self, key: bytes) -> str:
        """A data key, wrapped, as text."""
        ...

    async def unwrap(self, wrapped: str) -> bytes:
        """The inverse. Raises SealBroken."""
        ...


class DataKeys(Protocol):
    """Where wrapped data keys are kept."""

    async def load_data_key(self, tenant_id: str, key_id: str | None) -> tuple[str, str] | None:
        """(id, wrapped) of one key; without an id the newest."""
        ...

    async def create_data_key(self, tenant_id: str, key_id: str, wrapped: str) -> None:
        """Keep a new one. Raises RowExists."""
        ...


class LocalKeyWrapper:
    """A 32-byte key from a file that only its owner may read; for PROFILE=local (K-5). RFC 3394 key wrap."""

    kek_id = "local"

    def __init__(self, path: Path) -> None:
        self._path = path

    def _key(self) -> bytes:
        if stat.S_IMODE(self._path.stat().st_mode) & 0o077:
            raise SealBroken("The key file must be readable by its owner alone (mode 600).")
        key = self._path.read_bytes()
        if len(key) != KEY_BYTES:
            raise SealBroken("The key file must hold exactly 32 bytes.")
        return key

    async def wrap(self, key: bytes) -> str:
        """Wrap a data key."""
        return _text(aes_key_wrap(self._key(), key))

    async def unwrap(self, wrapped: str) -> bytes:
        """Unwrap a data key."""
        try:
            return aes_key_unwrap(self._key(), _bytes(wrapped))
        except InvalidUnwrap as err:
            raise SealBroken from err


class EnvelopeSealer:
    """The `Sealer` port. Unwrapped data keys stay in memory for at most ten minutes."""

    def __init__(self, wrapper: KeyWrapper, keys: DataKeys, clock: Clock, random: Random) -> None:
        self._wrapper = wrapper
        self._keys = keys
        self._clock = clock
        self._chance = random
        self._cache: dict[tuple[str, str | None], tuple[str, bytes, datetime]] = {}

    async def seal(self, tenant_id: str, place: Sequence[str], plain: bytes) -> str:
        """Seal for exactly this place."""
        key_id, key = await self._key(tenant_id, None)
        nonce = self._chance.bytes(NONCE_BYTES)
        sealed = AESGCM(key).encrypt(nonce, plain, _bound_to(place))
        return ".".join((VERSION, self._wrapper.kek_id, key_id, _text(nonce + sealed)))

    async def unseal(self, tenant_id: str, place: Sequence[str], sealed: str) -> bytes:
        """Open what was sealed for exactly this place. Raises SealBroken, also for an unknown version or key."""
        parts = sealed.split(".")
        if len(parts) != 4 or parts[0] != VERSION or parts[1] != self._wrapper.kek_id:  # noqa: PLR2004 - the format's parts
            raise SealBroken
        _, key = await self._key(tenant_id, parts[2])
        raw = _bytes(parts[3])
        try:
            return AESGCM(key).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], _bound_to(place))
        except (InvalidTag, ValueError) as err:
            raise SealBroken from err

    async def _key(self, tenant_id: str, key_id: str | None) -> tuple[str, bytes]:
        cached = self._cache.get((tenant_id, key_id))
        if cached is not None and cached[2] > self._clock.now():
            return cached[0], cached[1]
        found = await self._keys.load_data_key(tenant_id, key_id)
        if found is None:
            if key_id is not None:
                raise SealBroken
            found = await self._create(tenant_id)
        key = await self._wrapper.unwrap(found[1])
        self._cache[tenant_id, key_id] = (found[0], key, self._clock.now() + CACHED_FOR)
        return found[0], key

    async def _create(self, tenant_id: str) -> tuple[str, str]:
        """The tenant's first data key; when two workers make one, the first stays."""
        wrapped = await self._wrapper.wrap(self._chance.bytes(KEY_BYTES))
        try:
            await self._keys.create_data_key(tenant_id, "k1", wrapped)
        except RowExists:
            found = await self._keys.load_data_key(tenant_id, None)
            if found is None:
                raise SealBroken from None
            return found
        return "k1", wrapped


def _bound_to(place: Sequence[str]) -> bytes:
    return json.dumps([VERSION, *place], ensure_ascii=True, separators=(",", ":")).encode()


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError) as err:
        raise SealBroken from err
