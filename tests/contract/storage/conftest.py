"""Azurite for the contract tests, and a fresh name for everything that a case creates."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_numbers = count(1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail("Azurite did not start")


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A connection string for an Azurite of this test run."""
    ports = {name: _free_port() for name in ("blob", "queue", "table")}
    command = [
        str(ROOT / "node_modules/.bin/azurite"),
        "--silent",
        "--skipApiVersionCheck",
        "--disableTelemetry",
    ]
    command += ["--location", str(tmp_path_factory.mktemp("azurite"))]
    for name, port in ports.items():
        command += [f"--{name}Host", "127.0.0.1", f"--{name}Port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, "NODE_OPTIONS": ""})
    try:
        for port in ports.values():
            _wait_for(port, process)
        places = [
            f"{name.title()}Endpoint=http://127.0.0.1:{port}/devstoreaccount1" for name, port in ports.items()
        ]
        yield ";".join(
            ["DefaultEndpointsProtocol=http", "AccountName=devstoreaccount1", f"AccountKey={KEY}", *places]
        )
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def fresh() -> str:
    """A name nobody has used, good for a table, a container or a queue."""
    return f"case{os.getpid()}x{next(_numbers)}"
