"""`python -m sandbox.azuresim`: serve the identity endpoint on http and the vault on https."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from sandbox.azuresim.app import build_azure
from sandbox.azuresim.config import Config


def main() -> None:
    """Read the arguments and serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.azuresim", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="JSON, see sandbox/azuresim/config.py")
    parser.add_argument("--identity-port", type=int, required=True)
    parser.add_argument("--vault-port", type=int, required=True)
    parser.add_argument(
        "--certificate", type=Path, required=True, help="key and chain of the vault's name, as PEM"
    )
    asyncio.run(_serve(parser.parse_args()))


async def _serve(given: argparse.Namespace) -> None:
    azure = build_azure(Config.read(given.config))
    servers = (
        _server(azure.identity, given.identity_port, None),
        _server(azure.vault_api, given.vault_port, given.certificate),
    )
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    tasks = [asyncio.create_task(server.serve()) for server in servers]
    await stop.wait()
    for server in servers:
        server.should_exit = True
    await asyncio.wait(tasks, timeout=3)


class _Quiet(uvicorn.Server):
    """uvicorn without its signal handlers: `_serve` handles the signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _server(app: ASGIApp, port: int, certificate: Path | None) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=port,
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=1,
        ssl_certfile=str(certificate) if certificate else None,
    )
    return _Quiet(config)


if __name__ == "__main__":
    main()
