"""The environment variables of the product in a world: addresses, and new secrets."""

from __future__ import annotations

import os
import secrets
import shlex
import uuid
from collections.abc import Mapping
from pathlib import Path

from sandbox.world.options import WorldOptions
from sandbox.world.places import Place

CLIENT_ID = str(uuid.uuid5(uuid.NAMESPACE_DNS, "postbraid.example"))
"""The product's application id at the simulator, the same in every world."""
SEALING_KEY_BYTES = 32


def make_product_environment(place: Place, connection_string: str, options: WorldOptions) -> dict[str, str]:
    """Make the product's settings; writes the sealing key to its file."""
    sim_https = f"https://localhost:{place.ports.sim_https}"
    return {
        "PROFILE": "local",
        "PUBLIC_BASE_URL": f"http://localhost:{place.ports.app}",
        "AzureWebJobsStorage": connection_string,
        "DataStorage": connection_string,
        "ENTRA_CLIENT_ID": CLIENT_ID,
        "ENTRA_CLIENT_SECRET": _new_secret(),
        "ENTRA_AUTHORITY": f"{sim_https}/common",
        "GRAPH_BASE_URL": f"{sim_https}/v1.0",
        "SEALING_KEY_FILE": str(_write_sealing_key(place.keys / "sealing.key")),
        "GRAPH_WEBHOOK_SECRET": _new_secret(),
        "CLIENT_STATE_KEYS": _new_secret(),
        "API_KEY_PEPPER": _new_secret(),
        "LINK_SIGNING_KEYS": _new_secret(),
        "TRUSTED_CA_FILE": str(place.tls / "ca.pem"),
        "LOCAL_ORIGINS": ",".join((f"http://127.0.0.1:{place.ports.crm}", *options.local_origins)),
    }


def write_environment(environ: Mapping[str, str], path: Path) -> None:
    """Write the settings to a file, to run an operator's command in this world: `set -a; . FILE`."""
    path.touch(mode=0o600)
    path.write_text(
        "".join(f"{name}={shlex.quote(value)}\n" for name, value in environ.items()), encoding="utf-8"
    )


def own_environment() -> dict[str, str]:
    """This process's environment for the world's programs, with unbuffered output and no proxy."""
    kept = {name: value for name, value in os.environ.items() if name != "SANDBOX_SABOTAGE"}
    return kept | {
        "PYTHONUNBUFFERED": "1",
        "NO_PROXY": "localhost,127.0.0.1",
        "no_proxy": "localhost,127.0.0.1",
    }


def _new_secret() -> str:
    return secrets.token_urlsafe(48)


def _write_sealing_key(path: Path) -> Path:
    """Write a new key file that only its owner may read; return its path."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secrets.token_bytes(SEALING_KEY_BYTES))
    return path
