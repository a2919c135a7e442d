"""The command lines of a world's programs."""

from __future__ import annotations

import sys

from sandbox.processes import ROOT
from sandbox.world.options import WorldOptions
from sandbox.world.places import Place

HOOK = "sandbox.hooks:install"
PYTHON313 = ROOT / ".venv313" / "bin" / "python"
"""What runs a deployment package: its wheels are for this version."""


def simulator(place: Place, options: WorldOptions) -> list[str]:
    """The Microsoft 365 simulator: pages and controls over http, tokens and Graph over https."""
    ports = place.ports
    return [
        *(sys.executable, "-m", "sandbox.graphsim", "--seed", str(options.seed)),
        *("--http-port", str(ports.sim_http), "--https-port", str(ports.sim_https)),
        *("--tls-dir", str(place.tls), "--clock-file", str(place.clock_file)),
        *("--public-http-url", f"http://localhost:{ports.sim_http}"),
        *("--public-https-url", f"https://localhost:{ports.sim_https}"),
    ]


def dev_host(place: Place, options: WorldOptions) -> list[str]:
    """The development host with the product, on localhost."""
    python, app_dir = (PYTHON313, options.package) if options.package else (sys.executable, ROOT)
    return [
        *(str(python), "-m", "sandbox.devhost", "--app-dir", str(app_dir), "--port", str(place.ports.app)),
        *("--data-dir", str(place.keys / "devhost"), "--clock-file", str(place.clock_file)),
        *("--group", "all-in-one" if options.one_process else "per-group", "--bootstrap", HOOK),
    ]


def crm(place: Place) -> list[str]:
    """The demo CRM, on 127.0.0.1; for browsers that is another site than localhost."""
    return [
        *(sys.executable, "-m", "sandbox.democrm", "--port", str(place.ports.crm)),
        *("--app-url", f"http://localhost:{place.ports.app}"),
        *("--config", str(place.folder / "crm.json"), "--clock-file", str(place.clock_file)),
    ]


def create_storage() -> list[str]:
    """The operator's command that creates tables, queues and containers."""
    return [sys.executable, "-m", "shared.ops", "create-storage"]


def create_tenant(place: Place) -> list[str]:
    """The operator's command that creates the CRM's tenant."""
    origin = f"http://127.0.0.1:{place.ports.crm}"
    return [
        *(sys.executable, "-m", "shared.ops", "create-tenant", "--json", "--name", "Northwind"),
        *("--webhook-url", f"{origin}/webhooks/postbraid", "--frame-origin", origin),
        *("--product-name", "Fernhill", "--return-url", f"{origin}/settings/profile"),
    ]
