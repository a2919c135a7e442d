"""The product's environment in this world: addresses, and secrets made for it alone."""

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


def product_environment(place: Place, connection_string: str, options: WorldOptions) -> dict[str, str]:
    """What the product is told, beside the environment of every program."""
    sim_https = f"https://localhost:{place.ports.sim_https}"
    environ = {
        "PROFILE": "local",
        "PUBLIC_BASE_URL": f"http://localhost:{place.ports.app}",
        "AzureWebJobsStorage": connection_string,
        "DataStorage": connection_string,
        "ENTRA_CLIENT_ID": CLIENT_ID,
        "ENTRA_CLIENT_SECRET": _fresh(),
        "ENTRA_AUTHORITY": f"{sim_https}/common",
        "GRAPH_BASE_URL": f"{sim_https}/v1.0",
        "SEALING_KEY_FILE": str(_sealing_key(place.keys / "sealing.key")),
        "GRAPH_WEBHOOK_SECRET": _fresh(),
        "CLIENT_STATE_KEYS": _fresh(),
        "API_KEY_PEPPER": _fresh(),
        "LINK_SIGNING_KEYS": _fresh(),
        "TRUSTED_CA_FILE": str(place.tls / "ca.pem"),
        "LOCAL_ORIGINS": ",".join((f"http://127.0.0.1:{place.ports.crm}", *options.local_origins)),
    }
    if options.sabotage:
        environ["SANDBOX_SABOTAGE"] = options.sabotage
    return environ


def keep_environment(environ: Mapping[str, str], path: Path) -> None:
    """Write it down for the person who wants to run an operator's command in this world: `set -a; . FILE`."""
    path.touch(mode=0o600)
    path.write_text(
        "".join(f"{name}={shlex.quote(value)}\n" for name, value in environ.items()), encoding="utf-8"
    )


def own_environment() -> dict[str, str]:
    """Our own environment for the world's programs: they print at once and no proxy comes between them."""
    kept = {name: value for name, value in os.environ.items() if name != "SANDBOX_SABOTAGE"}
    return kept | {
        "PYTHONUNBUFFERED": "1",
        "NO_PROXY": "localhost,127.0.0.1",
        "no_proxy": "localhost,127.0.0.1",
    }


def _fresh() -> str:
    return secrets.token_urlsafe(48)


def _sealing_key(path: Path) -> Path:
    """A key file that only its owner may read."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secrets.token_bytes(SEALING_KEY_BYTES))
    return path
