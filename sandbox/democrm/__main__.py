"""`python -m sandbox.democrm`: serve the CRM on 127.0.0.1, another site than the product's localhost for browsers."""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec
import uvicorn

from sandbox.clock import OffsetClock
from sandbox.democrm.app import build_app
from sandbox.democrm.crm import Config, build_crm


def main() -> None:
    """Read the arguments and serve until stopped by a signal."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.democrm", description=__doc__)
    parser.add_argument("--port", type=int, default=7080)
    parser.add_argument("--app-url", default="http://localhost:7071")
    parser.add_argument("--config", type=Path, required=True, help="JSON: api_key, webhook_secret, data_dir")
    parser.add_argument("--clock-file", type=Path, required=True)
    given = parser.parse_args()
    config = msgspec.json.decode(given.config.read_bytes(), type=Config)
    crm = build_crm(config, given.app_url, OffsetClock(given.clock_file))
    uvicorn.run(
        build_app(crm),
        host="127.0.0.1",
        port=given.port,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=2,
    )


if __name__ == "__main__":
    main()
