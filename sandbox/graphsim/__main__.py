"""`python -m sandbox.graphsim`: serve the simulator on http and https."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import uvicorn

from sandbox.certificates import make_certificates
from sandbox.clock import OffsetClock
from sandbox.graphsim.app import Simulator, SimulatorConfig, build_simulator
from sandbox.names import Names, http_transport

TICK_SECONDS = 0.05


def main() -> None:
    """Read the arguments and serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.graphsim", description=__doc__)
    parser.add_argument("--http-port", type=int, default=7444)
    parser.add_argument("--https-port", type=int, default=7443)
    parser.add_argument(
        "--tls-dir", type=Path, required=True, help="where ca.pem is written; made when missing"
    )
    parser.add_argument("--clock-file", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--public-http-url")
    parser.add_argument("--public-https-url")
    parser.add_argument("--entra-url", help="where Entra is, if not at the address of Graph")
    parser.add_argument("--uploads-url", help="where upload sessions are, if not at the address of Graph")
    parser.add_argument("--certificate", type=Path, help="key and chain as PEM, if not for loopback names")
    parser.add_argument(
        "--names", type=Path, help="public names of the world, for notifications (sandbox/names.py)"
    )
    parser.add_argument("--knob", action="append", default=[], metavar="NAME=VALUE")
    asyncio.run(_serve(parser.parse_args()))


async def _serve(given: argparse.Namespace) -> None:
    tls = given.certificate or make_certificates(given.tls_dir).leaf
    names = Names.read(given.names) if given.names else None
    config = SimulatorConfig(
        seed=given.seed,
        public_http_url=given.public_http_url or f"http://localhost:{given.http_port}",
        public_https_url=given.public_https_url or f"https://localhost:{given.https_port}",
        entra_url=given.entra_url,
        uploads_url=given.uploads_url,
        concurrent=True,
        knobs={name: _value(value) for name, _, value in (knob.partition("=") for knob in given.knob)},
    )
    async with httpx.AsyncClient(trust_env=False, transport=http_transport(names)) as http:
        simulator = build_simulator(config, OffsetClock(given.clock_file), http)
        plain = _server(simulator, given.http_port, None)
        secure = _server(simulator, given.https_port, tls)
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        tasks = [asyncio.create_task(server.serve()) for server in (plain, secure)]
        ticking = asyncio.create_task(_tick(simulator))
        for server in (plain, secure):
            await server.listening.wait()
        print(f"simulator ready on {config.public_http_url} and {config.public_https_url}", flush=True)
        await stop.wait()
        plain.should_exit = secure.should_exit = True
        ticking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ticking
        await asyncio.wait(tasks, timeout=3)


def _value(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


class _Quiet(uvicorn.Server):
    """uvicorn without its signal handlers (`_serve` handles the signals); says when its port listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _server(simulator: Simulator, port: int, tls: Path | None) -> _Quiet:
    config = uvicorn.Config(
        simulator.app,
        host="127.0.0.1",
        port=port,
        log_level="warning",
        access_log=False,
        lifespan="off",
        date_header=False,  # the answers carry the time of the world
        timeout_graceful_shutdown=1,
        ssl_certfile=str(tls) if tls else None,
    )
    return _Quiet(config)


async def _tick(simulator: Simulator) -> None:
    while True:
        await simulator.run_due()
        await asyncio.sleep(TICK_SECONDS)


if __name__ == "__main__":
    main()
