"""`python -m sandbox.democrm`: serve the CRM on 127.0.0.1, another site than the product's localhost for browsers."""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec
import uvicorn

from sandbox.clock import OffsetClock
from sandbox.democrm.app import build_app
from sandbox.democrm.crm import Config, build_crm
from sandbox.names import Names, http_transport


def main() -> None:
    """Read the arguments and serve until stopped by a signal."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.democrm", description=__doc__)
    parser.add_argument("--port", type=int, default=7080)
    parser.add_argument("--app-url", default="http://localhost:7071")
    parser.add_argument("--config", type=Path, required=True, help="JSON: api_key, webhook_secret, data_dir")
    parser.add_argument("--clock-file", type=Path, required=True)
    parser.add_argument("--certificate", type=Path, help="key and chain as PEM: serve https (default: http)")
    parser.add_argument("--names", type=Path, help="public names of a local world (sandbox/names.py)")
    parser.add_argument("--host", action="append", default=[], help="a further name that the CRM answers to")
    given = parser.parse_args()
    names = Names.read(given.names) if given.names else None
    config = msgspec.json.decode(given.config.read_bytes(), type=Config)
    crm = build_crm(config, given.app_url, OffsetClock(given.clock_file), http_transport(names))
    uvicorn.run(
        build_app(crm, tuple(given.host)),
        host="127.0.0.1",
        port=given.port,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=2,
        ssl_certfile=str(given.certificate) if given.certificate else None,
    )


if __name__ == "__main__":
    main()
