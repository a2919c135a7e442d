"""The command lines of a world's programs."""

from __future__ import annotations

import sys

from sandbox.processes import ROOT
from sandbox.world.addresses import CRM_HOST, Addresses
from sandbox.world.options import WorldOptions
from sandbox.world.places import Place

HOOK = "sandbox.hooks:install"
PYTHON313 = ROOT / ".venv313" / "bin" / "python"
"""What runs a deployment package: its wheels are for this version."""


def simulator(place: Place, options: WorldOptions, addresses: Addresses) -> list[str]:
    """The Microsoft 365 simulator: pages and controls over http, tokens and Graph over https."""
    ports = place.ports
    return [
        *(sys.executable, "-m", "sandbox.graphsim", "--seed", str(options.seed)),
        *("--http-port", str(ports.sim_http), "--https-port", str(ports.sim_https)),
        *("--tls-dir", str(place.tls), "--clock-file", str(place.clock_file)),
        *("--public-http-url", addresses.authorize, "--public-https-url", addresses.graph),
        *("--entra-url", addresses.entra, "--uploads-url", addresses.uploads),
        *(part for knob in options.knobs for part in ("--knob", knob)),
        *_secured(place, addresses),
    ]


def azure(place: Place, addresses: Addresses, identity_port: int, vault_port: int) -> list[str]:
    """The identity endpoint and the vault."""
    return [
        *(sys.executable, "-m", "sandbox.azuresim", "--config", str(place.azure_file)),
        *("--identity-port", str(identity_port), "--vault-port", str(vault_port)),
        *("--certificate", str(addresses.certificate)),
    ]


def dev_host(place: Place, options: WorldOptions, addresses: Addresses) -> list[str]:
    """The development host with the product, on localhost."""
    python, app_dir = (PYTHON313, options.package) if options.package else (sys.executable, ROOT)
    return [
        *(str(python), "-m", "sandbox.devhost", "--app-dir", str(app_dir), "--port", str(place.ports.app)),
        *("--data-dir", str(place.keys / "devhost"), "--clock-file", str(place.clock_file)),
        *("--group", "all-in-one" if options.one_process else "per-group", "--bootstrap", HOOK),
        *_secured(place, addresses),
    ]


def crm(place: Place, addresses: Addresses) -> list[str]:
    """The demo CRM, on 127.0.0.1."""
    return [
        *(
            sys.executable,
            "-m",
            "sandbox.democrm",
            "--port",
            str(place.ports.crm),
            "--app-url",
            addresses.app,
        ),
        *("--config", str(place.folder / "crm.json"), "--clock-file", str(place.clock_file)),
        *(_secured(place, addresses)),
        *(("--host", CRM_HOST) if addresses.names else ()),
    ]


def _secured(place: Place, addresses: Addresses) -> list[str]:
    """How a program serves TLS and finds the others' public names, where they have some."""
    if addresses.names is None:
        return []
    return ["--certificate", str(addresses.certificate), "--names", str(place.names_file)]


def create_storage(place: Place, addresses: Addresses) -> list[str]:
    """The operator's command that creates tables, queues and containers."""
    return [*_operator(place, addresses), "create-storage"]


def create_tenant(place: Place, addresses: Addresses) -> list[str]:
    """The operator's command that creates the CRM's tenant."""
    return [
        *(*_operator(place, addresses), "create-tenant", "--json", "--name", "Northwind"),
        *("--webhook-url", f"{addresses.crm}/webhooks/postbraid", "--frame-origin", addresses.crm),
        *("--product-name", "Fernhill", "--return-url", f"{addresses.crm}/settings/profile"),
    ]


def _operator(place: Place, addresses: Addresses) -> list[str]:
    """The operator's program; with public names through a runner that makes them known to it."""
    if addresses.names is None:
        return [sys.executable, "-m", "shared.ops"]
    return [sys.executable, "-m", "sandbox.ops", str(place.names_file)]
