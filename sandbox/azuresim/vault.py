"""A Key Vault's keys, secrets, roles and log, in memory.

Sources: Microsoft, "Azure Key Vault REST API reference", "Provide access to Key Vault keys, certificates, and
secrets with Azure role-based access control".
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from sandbox.azuresim.config import Assignment, Config

_OF = "Microsoft.KeyVault/vaults/"
READ_KEY, CREATE_KEY, ROTATE_KEY = f"{_OF}keys/read", f"{_OF}keys/create/action", f"{_OF}keys/rotate/action"
WRAP, UNWRAP = f"{_OF}keys/wrap/action", f"{_OF}keys/unwrap/action"
GET_SECRET, SET_SECRET = f"{_OF}secrets/getSecret/action", f"{_OF}secrets/setSecret/action"

ROLES: Mapping[str, frozenset[str]] = {
    "Key Vault Crypto User": frozenset({READ_KEY, WRAP, UNWRAP}),
    "Key Vault Crypto Service Encryption User": frozenset({READ_KEY, WRAP, UNWRAP}),
    "Key Vault Crypto Officer": frozenset({READ_KEY, CREATE_KEY, ROTATE_KEY, WRAP, UNWRAP}),
    "Key Vault Secrets User": frozenset({GET_SECRET}),
    "Key Vault Secrets Officer": frozenset({GET_SECRET, SET_SECRET}),
}
"""Of each built-in role the actions that are imitated here."""

OAEP_256 = "RSA-OAEP-256"
_PADDING = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)

_Version = TypeVar("_Version")


@dataclass(slots=True)
class VaultError(Exception):
    """An error answer: status, code and text."""

    status: int
    code: str
    text: str
    inner: str | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class KeyVersion:
    """One version of an RSA key; its private half never leaves the vault."""

    version: str
    private: rsa.RSAPrivateKey
    created: int


@dataclass(frozen=True, slots=True)
class SecretVersion:
    """One version of a secret."""

    version: str
    value: str
    created: int


@dataclass(slots=True)
class Entry:
    """A line of the log. `bytes` is the size of what was wrapped or came out unwrapped; its content is not kept."""

    at: float
    action: str
    name: str
    version: str
    principal_id: str
    status: int = 200
    bytes: int | None = None


@dataclass(slots=True)
class Vault:
    """One vault: everything by name, versions in the order of their making."""

    config: Config
    roles: list[Assignment] = field(default_factory=list)
    keys: dict[str, list[KeyVersion]] = field(default_factory=dict)
    secrets: dict[str, list[SecretVersion]] = field(default_factory=dict)
    log: list[Entry] = field(default_factory=list)
    throttled: int = 0
    retry_after: str | None = None

    @classmethod
    def of(cls, config: Config) -> Vault:
        """The vault that the settings describe."""
        vault = cls(config, list(config.roles))
        for name in config.keys:
            vault.add_key_version(name)
        for name, value in config.secrets.items():
            vault.add_secret_version(name, value)
        return vault

    def add_key_version(self, name: str, bits: int = 2048) -> KeyVersion:
        """Make a new version, which is the newest from now on."""
        made = KeyVersion(uuid.uuid4().hex, rsa.generate_private_key(65537, bits), int(time.time()))
        self.keys.setdefault(name, []).append(made)
        return made

    def add_secret_version(self, name: str, value: str) -> SecretVersion:
        """Set a secret; older versions stay."""
        made = SecretVersion(uuid.uuid4().hex, value, int(time.time()))
        self.secrets.setdefault(name, []).append(made)
        return made

    def key(self, name: str, version: str = "") -> KeyVersion:
        """A version of a key, or the newest; raises VaultError."""
        return _found(
            self.keys.get(name, []), version, lambda each: each.version, f"key with (name/id) {name}", "Key"
        )

    def secret(self, name: str, version: str = "") -> SecretVersion:
        """A version of a secret, or the newest; raises VaultError."""
        return _found(
            self.secrets.get(name, []),
            version,
            lambda each: each.version,
            f"secret with (name/id) {name}",
            "Secret",
        )

    def allow(self, claims: Mapping[str, Any], action: str, place: str) -> None:
        """Raise VaultError unless a role of the caller permits the action at the place (`keys/kek`)."""
        caller = claims["oid"]
        for given in self.roles:
            inside = not given.scope or given.scope == place
            if given.principal_id == caller and inside and action in ROLES[given.role]:
                return
        raise VaultError(
            403,
            "Forbidden",
            "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or role "
            "definitions were changed recently, please observe propagation time.\r\n"
            f"Caller: appid={claims.get('appid')};oid={caller};iss={claims['iss']}\r\nAction: '{action}'\r\n"
            f"Resource: '{place}'\r\nAssignment: (not found)\r\nVault: {self.config.vault_host.split('.')[0]}\r\n",
            inner="ForbiddenByRbac",
        )

    def throttle(self) -> None:
        """Raise VaultError for as many requests as were ordered."""
        if self.throttled:
            self.throttled -= 1
            raise VaultError(
                429,
                "Throttled",
                "Request was not processed because too many requests were received. "
                "Reason: VaultRequestTypeLimitReached",
                headers={"Retry-After": self.retry_after} if self.retry_after is not None else {},
            )

    def shown_log(self) -> list[dict[str, Any]]:
        """The log as JSON."""
        return [asdict(entry) for entry in self.log]


def wrap(key: KeyVersion, algorithm: str, value: bytes) -> bytes:
    """The value encrypted; raises VaultError."""
    _check_algorithm(algorithm)
    try:
        return key.private.public_key().encrypt(value, _PADDING)
    except ValueError as error:
        raise VaultError(400, "BadParameter", "Parameter 'value' is too long for this key.") from error


def unwrap(key: KeyVersion, algorithm: str, value: bytes) -> bytes:
    """The value decrypted; raises VaultError."""
    _check_algorithm(algorithm)
    try:
        return key.private.decrypt(value, _PADDING)
    except ValueError as error:
        raise VaultError(400, "BadParameter", "The parameter is incorrect.") from error


def _check_algorithm(algorithm: str) -> None:
    if algorithm != OAEP_256:
        raise VaultError(
            400, "BadParameter", f"Property alg has invalid value: this vault does {OAEP_256} only."
        )


def _found(
    versions: list[_Version], version: str, version_of: Callable[[_Version], str], what: str, kind: str
) -> _Version:
    fitting = [each for each in versions if version in ("", version_of(each))]
    if not fitting:
        text = f"A {what}{'/' if version else ''}{version} was not found in this key vault."
        raise VaultError(404, f"{kind}NotFound", text)
    return fitting[-1]
