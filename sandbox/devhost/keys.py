"""Access keys: who may call a function that is not anonymous.

Facts: azure-functions-host, `AuthenticationLevelHandler.cs` and `SecretManager.cs`. The cloud keeps the keys in blob
storage; here they are made at the first start and kept in a file that only its owner can read.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

FILE_NAME = "keys.json"


def _new_key() -> str:
    return secrets.token_urlsafe(42)


@dataclass(frozen=True, slots=True)
class Keys:
    """The master key, the host key for all functions, and keys of single functions by name."""

    master: str = field(default_factory=_new_key)
    host: str = field(default_factory=_new_key)
    functions: Mapping[str, str] = field(default_factory=dict)

    def is_master(self, presented: str | None) -> bool:
        """Whether the presented key is the master key."""
        return _same(presented, self.master)

    def admits(self, level: str, function: str, presented: str | None) -> bool:
        """Whether a caller with this key may call a function of this level; the master key is good for all."""
        if level == "anonymous" or self.is_master(presented):
            return True
        if level != "function":
            return False
        own = self.functions.get(function)
        return _same(presented, self.host) or (own is not None and _same(presented, own))


def _same(presented: str | None, expected: str) -> bool:
    return presented is not None and hmac.compare_digest(presented.encode(), expected.encode())


def presented_key(headers: Mapping[str, str], query: Mapping[str, str]) -> str | None:
    """The key in a request: the `x-functions-key` header, else `?code=`."""
    return headers.get("x-functions-key") or query.get("code")


def load_keys(data_dir: Path) -> Keys:
    """Read the keys of this data folder; make and write them when there are none yet."""
    path = data_dir / FILE_NAME
    if path.exists():
        return Keys(**json.loads(path.read_text(encoding="utf-8")))
    keys = Keys()
    data_dir.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(asdict(keys), file)
    return keys
