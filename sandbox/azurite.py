"""Azurite, Microsoft's storage emulator (the npm package `azurite`), on free ports."""

from __future__ import annotations

import contextlib
import http.client
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sandbox import processes
from sandbox.processes import ROOT, Process, ProcessDied

EXECUTABLE = ROOT / "node_modules" / ".bin" / "azurite"
ACCOUNT = "devstoreaccount1"
# Azurite's default account key, printed in its documentation; no other account has it.
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
START_SECONDS = 60.0
TRIES = 3


class AzuriteMissing(RuntimeError):
    """Azurite or node is not installed."""


@dataclass(frozen=True, slots=True)
class Azurite:
    """A running storage emulator."""

    process: Process
    blob_port: int
    queue_port: int
    table_port: int

    @property
    def connection_string(self) -> str:
        """The connection string for the storage SDKs."""
        services = (("Blob", self.blob_port), ("Queue", self.queue_port), ("Table", self.table_port))
        endpoints = "".join(f"{name}Endpoint=http://127.0.0.1:{port}/{ACCOUNT};" for name, port in services)
        return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};{endpoints}"

    def stop(self) -> None:
        """Stop its process; the data folder stays."""
        processes.stop([self.process])


def start_azurite(data_dir: Path, log_path: Path, *, in_memory: bool = False) -> Azurite:
    """Start Azurite on free ports and wait until all three services answer.

    Raises AzuriteMissing, ProcessDied or NotReady.
    """
    if not EXECUTABLE.exists() or shutil.which("node") is None:
        raise AzuriteMissing("Azurite is not installed here: run `make setup` (it needs node and npm)")
    for attempt in range(TRIES):
        try:
            return _start(data_dir, log_path, in_memory=in_memory)
        except ProcessDied as error:
            # Another program took a port after it was found free.
            if attempt == TRIES - 1 or "EADDRINUSE" not in str(error):
                raise
    raise AssertionError("unreachable")


def _start(data_dir: Path, log_path: Path, *, in_memory: bool) -> Azurite:
    data_dir.mkdir(parents=True, exist_ok=True)
    blob, queue, table = processes.free_ports(3)
    command = [str(EXECUTABLE), "--silent", "--skipApiVersionCheck", "--disableTelemetry"]
    for service, port in (("blob", blob), ("queue", queue), ("table", table)):
        command += [f"--{service}Host", "127.0.0.1", f"--{service}Port", str(port)]
    command += ["--inMemoryPersistence"] if in_memory else ["--location", str(data_dir)]
    process = processes.start("azurite", command, log_path, cwd=data_dir)
    try:
        process.wait_until(lambda: all(_answers(port) for port in (blob, queue, table)), START_SECONDS)
    except BaseException:
        processes.stop([process])
        raise
    return Azurite(process, blob, queue, table)


def _answers(port: int) -> bool:
    """Whether an HTTP server answers, with any status."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=1)) as connection:
        try:
            connection.request("GET", "/")
            return connection.getresponse().status > 0
        except (OSError, http.client.HTTPException):
            return False


@contextlib.contextmanager
def azurite_in_memory() -> Iterator[Azurite]:
    """Run an Azurite during a block, with its data in memory."""
    with tempfile.TemporaryDirectory(prefix="azurite-") as folder:
        azurite = start_azurite(Path(folder), Path(folder) / "azurite.log", in_memory=True)
        try:
            yield azurite
        finally:
            azurite.stop()
