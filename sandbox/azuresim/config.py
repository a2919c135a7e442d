"""The settings of the stand-ins, as a JSON file: who exists, what the vault holds, and who may do what."""

from __future__ import annotations

from pathlib import Path

import msgspec


class Principal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody in the directory: a managed identity, or an operator signed in to the command line."""

    client_id: str
    principal_id: str


class Assignment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A role given to a principal, for the vault (`scope` empty) or for one thing in it (`keys/kek`)."""

    role: str
    principal_id: str
    scope: str = ""


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All settings. Keys of `keys` are made at the start; `vault_host` is the vault's public name."""

    tenant_id: str
    vault_host: str
    identity: Principal
    identity_header: str
    operator: Principal
    keys: tuple[str, ...] = ()
    secrets: dict[str, str] = {}
    roles: tuple[Assignment, ...] = ()
    token_seconds: int = 24 * 3600
    """How long a managed identity's token lives: about a day."""

    def write(self, path: Path) -> None:
        """Write them to a file that only its owner may read."""
        path.touch(mode=0o600)
        path.write_bytes(msgspec.json.encode(self))

    @classmethod
    def read(cls, path: Path) -> Config:
        """Read what `write` wrote."""
        return msgspec.json.decode(path.read_bytes(), type=cls)
