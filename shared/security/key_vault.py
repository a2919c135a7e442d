"""The key-encryption key in Key Vault (K-1): RSA-OAEP-256; the private half never leaves the vault.

Source: Key Vault, "About keys", "Key operations"; azure-keyvault-keys. A data key is wrapped by the newest version of
the key and remembers which one that was: `<version>.<base64url>`. So a new version changes nothing that is there, and
`python -m shared.ops rewrap-keys` moves the data keys to it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from shared.domain.errors import KeyUnavailable, SealBroken
from shared.security.sealing import bytes_of, text_of

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.core.exceptions import AzureError
    from azure.keyvault.keys.crypto.aio import CryptographyClient

BAD_REQUEST: Final = 400
Observe = Callable[[str, str], None]


class VaultKeyWrapper:
    """`KeyWrapper` over `https://<vault>/keys/<name>`, an address without a version.

    `options` are those of Azure's client; `observe` is told of each operation. Errors of both methods: KeyUnavailable
    when the vault does not answer, throttles or refuses the identity; nobody's mailbox is to blame for that.
    """

    def __init__(
        self,
        key_url: str,
        credential: AsyncTokenCredential,
        observe: Observe,
        options: Callable[[], dict[str, Any]],
    ) -> None:
        self._key_url = key_url
        self._credential = credential
        self._observe = observe
        self._options = options
        self._by_version: dict[str, CryptographyClient] = {}

    @property
    def kek_id(self) -> str:
        """The key's name; the version stands beside each data key."""
        return f"vault-{self._key_url.rpartition('/')[2]}"

    async def wrap(self, key: bytes) -> str:
        """Wrap with the newest version. Raises KeyUnavailable."""
        from azure.keyvault.keys.crypto import KeyWrapAlgorithm

        self._observe("vault", "wrap")
        async with _answered(), self._open(self._key_url) as client:
            wrapped = await client.wrap_key(KeyWrapAlgorithm.rsa_oaep_256, key)
        version = (wrapped.key_id or "").removeprefix(self._key_url).strip("/")
        if not version:
            raise KeyUnavailable("The key vault did not say which version of the key it used.")
        return f"{version}.{text_of(wrapped.encrypted_key)}"

    async def unwrap(self, wrapped: str) -> bytes:
        """Unwrap with the version that wrapped. Raises KeyUnavailable; SealBroken when it was not wrapped by it."""
        from azure.keyvault.keys.crypto import KeyWrapAlgorithm

        version, dot, text = wrapped.partition(".")
        if not dot or not version.isalnum():
            raise SealBroken
        if version not in self._by_version:
            self._by_version[version] = self._open(f"{self._key_url}/{version}")
        self._observe("vault", "unwrap")
        async with _answered():
            found = await self._by_version[version].unwrap_key(KeyWrapAlgorithm.rsa_oaep_256, bytes_of(text))
        return bytes(found.key)

    def version_of(self, wrapped: str) -> str:
        """The vault's id of the version that wrapped this."""
        return wrapped.partition(".")[0]

    async def close(self) -> None:
        """Let go of the connections."""
        for client in self._by_version.values():
            await client.close()
        self._by_version.clear()

    def _open(self, key_id: str) -> CryptographyClient:
        from azure.keyvault.keys.crypto.aio import CryptographyClient

        return CryptographyClient(key_id, self._credential, **self._options())


@asynccontextmanager
async def _answered() -> AsyncIterator[None]:
    """The vault's failures in our words: without its texts, which may name hosts and ids."""
    from azure.core.exceptions import AzureError

    try:
        yield
    except AzureError as err:
        raise _error_of(err) from err


def _error_of(err: AzureError) -> KeyUnavailable | SealBroken:
    status = getattr(err, "status_code", None)
    if status == BAD_REQUEST:
        return SealBroken()
    asked = str(getattr(getattr(err, "response", None), "headers", {}).get("Retry-After", ""))
    error = KeyUnavailable(retry_after_seconds=float(asked) if asked.isdigit() else None)
    vars(error).update(status=status)
    return error
