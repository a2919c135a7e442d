"""Encryption at rest (K-1 to K-5): AES-256-GCM under a data key per tenant, wrapped by one key-encryption key.

A sealed value is `v1.<kek id>.<data key id>.<base64url of nonce and ciphertext>`; the version of the key-encryption key
stands beside the wrapped data key, so that re-wrapping one changes no sealed value. The place it lies in (table,
partition, row, field) and the version are authenticated with it, so a value moved elsewhere does not open.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import stat
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from shared.domain.errors import RowChanged, RowExists, RowMissing, SealBroken, UnknownForm
from shared.ports import Clock, Random, Rewrapped

VERSION: Final = "v1"
LATER_VERSION: Final = re.compile(r"v[1-9]\d{0,3}")
NONCE_BYTES: Final = 12
KEY_BYTES: Final = 32
CACHED_FOR: Final = timedelta(minutes=10)


class KeyWrapper(Protocol):
    """The key-encryption key: Key Vault in the cloud, a file on somebody's own machine."""

    @property
    def kek_id(self) -> str:
        """Its id, without dots."""
        ...

    async def wrap(self, key: bytes) -> str:
        """A data key, wrapped by the newest version, as text that names the version. Raises KeyUnavailable."""
        ...

    async def unwrap(self, wrapped: str) -> bytes:
        """The inverse. Raises SealBroken, KeyUnavailable."""
        ...

    def version_of(self, wrapped: str) -> str:
        """Which version of the key wrapped this."""
        ...

    async def close(self) -> None:
        """Let go of the connections."""
        ...


class DataKeys(Protocol):
    """Where wrapped data keys are kept."""

    async def load_data_key(self, tenant_id: str, key_id: str | None) -> tuple[str, str] | None:
        """(id, wrapped) of one key; without an id the newest."""
        ...

    async def create_data_key(self, tenant_id: str, key_id: str, wrapped: str) -> None:
        """Keep a new one. Raises RowExists."""
        ...

    def all_data_keys(self) -> AsyncIterator[tuple[str, str, str, str]]:
        """(tenant id, key id, wrapped, ETag) of every tenant's data keys."""
        ...

    async def replace_data_key(self, tenant_id: str, key_id: str, wrapped: str, etag: str) -> None:
        """Keep the same key wrapped anew. Raises RowChanged, RowMissing."""
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
        return text_of(aes_key_wrap(self._key(), key))

    async def unwrap(self, wrapped: str) -> bytes:
        """Unwrap a data key."""
        try:
            return aes_key_unwrap(self._key(), bytes_of(wrapped))
        except InvalidUnwrap as err:
            raise SealBroken from err

    def version_of(self, wrapped: str) -> str:
        """A file has one version; another key does not open what this one wrapped."""
        del wrapped
        return self.kek_id

    async def close(self) -> None:
        """Nothing is open."""


class EnvelopeSealer:
    """The `Sealer` port. Unwrapped data keys stay in memory for at most ten minutes."""

    def __init__(self, wrapper: KeyWrapper, keys: DataKeys, clock: Clock, random: Random) -> None:
        self._wrapper = wrapper
        self._keys = keys
        self._clock = clock
        self._chance = random
        self._cache: dict[tuple[str, str | None], tuple[str, bytes, datetime]] = {}
        self._proven_until: datetime | None = None

    async def seal(self, tenant_id: str, place: Sequence[str], plain: bytes) -> str:
        """Seal for exactly this place."""
        key_id, key = await self._key(tenant_id, None)
        nonce = self._chance.bytes(NONCE_BYTES)
        sealed = AESGCM(key).encrypt(nonce, plain, _bound_to(place))
        return ".".join((VERSION, self._wrapper.kek_id, key_id, text_of(nonce + sealed)))

    async def unseal(self, tenant_id: str, place: Sequence[str], sealed: str) -> bytes:
        """Open what was sealed for exactly this place. Raises SealBroken, also for an unknown key; UnknownForm."""
        parts = sealed.split(".")
        if parts[0] != VERSION and LATER_VERSION.fullmatch(parts[0]):
            raise UnknownForm
        if len(parts) != 4 or parts[0] != VERSION or parts[1] != self._wrapper.kek_id:  # noqa: PLR2004 - the format's parts
            raise SealBroken
        _, key = await self._key(tenant_id, parts[2])
        raw = bytes_of(parts[3])
        try:
            return AESGCM(key).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], _bound_to(place))
        except (InvalidTag, ValueError) as err:
            raise SealBroken from err

    async def check(self) -> None:
        """Wrap and unwrap once, and again only after ten minutes. Raises KeyUnavailable, SealBroken."""
        if self._proven_until is not None and self._proven_until > self._clock.now():
            return
        key = self._chance.bytes(KEY_BYTES)
        if await self._wrapper.unwrap(await self._wrapper.wrap(key)) != key:
            raise SealBroken
        self._proven_until = self._clock.now() + CACHED_FOR

    async def rewrap(self) -> Rewrapped:
        """Wrap every data key with the newest version (K-4). Sealed values stay as they are; stopped, it goes on.

        Raises KeyUnavailable; SealBroken for a data key that no version opens.
        """
        rewrapped = current = 0
        async for tenant_id, key_id, wrapped, etag in self._keys.all_data_keys():
            key = await self._wrapper.unwrap(wrapped)
            fresh = await self._wrapper.wrap(key)
            if self._wrapper.version_of(fresh) == self._wrapper.version_of(wrapped):
                current += 1
                continue
            with suppress(RowChanged, RowMissing):  # loses to another rewrapping; then it is done
                await self._keys.replace_data_key(tenant_id, key_id, fresh, etag)
            rewrapped += 1
        return Rewrapped(rewrapped, current)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._wrapper.close()

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
        until = self._clock.now() + CACHED_FOR
        self._cache[tenant_id, key_id] = self._cache[tenant_id, found[0]] = (found[0], key, until)
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


def text_of(raw: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def bytes_of(text: str) -> bytes:
    """The inverse. Raises SealBroken."""
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError) as err:
        raise SealBroken from err
