"""`python -m sandbox.graphsim`: serve the simulator on http and https."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import trustme
import uvicorn

from sandbox.clock import OffsetClock
from sandbox.graphsim.app import Simulator, SimulatorConfig, build_simulator

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
    parser.add_argument("--knob", action="append", default=[], metavar="NAME=VALUE")
    asyncio.run(_serve(parser.parse_args()))


async def _serve(given: argparse.Namespace) -> None:
    tls = make_certificates(given.tls_dir)
    config = SimulatorConfig(
        seed=given.seed,
        public_http_url=given.public_http_url or f"http://localhost:{given.http_port}",
        public_https_url=given.public_https_url or f"https://localhost:{given.https_port}",
        concurrent=True,
        knobs={name: _value(value) for name, _, value in (knob.partition("=") for knob in given.knob)},
    )
    async with httpx.AsyncClient(trust_env=False) as http:
        simulator = build_simulator(config, OffsetClock(given.clock_file), http)
        plain = _server(simulator, given.http_port, None)
        secure = _server(simulator, given.https_port, tls)
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        tasks = [asyncio.create_task(server.serve()) for server in (plain, secure)]
        ticking = asyncio.create_task(_tick(simulator))
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
    """uvicorn without its signal handlers: `_serve` handles the signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _server(simulator: Simulator, port: int, tls: Path | None) -> uvicorn.Server:
    config = uvicorn.Config(
        simulator.app,
        host="127.0.0.1",
        port=port,
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=1,
        ssl_certfile=str(tls) if tls else None,
    )
    return _Quiet(config)


async def _tick(simulator: Simulator) -> None:
    while True:
        await simulator.run_due()
        await asyncio.sleep(TICK_SECONDS)


def make_certificates(folder: Path) -> Path:
    """Make a local certificate authority (ca.pem) unless there is one, and a certificate for loopback names.

    Return the file with the certificate's key and chain.
    """
    folder.mkdir(parents=True, exist_ok=True)
    leaf_file, ca_file, key_file = folder / "leaf.pem", folder / "ca.pem", folder / "ca-key.pem"
    if ca_file.exists() and key_file.exists():
        ca = trustme.CA.from_pem(ca_file.read_bytes(), key_file.read_bytes())
    else:
        ca = trustme.CA()
        ca.cert_pem.write_to_path(str(ca_file))
        ca.private_key_pem.write_to_path(str(key_file))
        key_file.chmod(0o600)
    leaf = ca.issue_cert("localhost", "127.0.0.1")
    leaf.private_key_and_cert_chain_pem.write_to_path(str(leaf_file))
    leaf_file.chmod(0o600)
    return leaf_file


if __name__ == "__main__":
    main()
