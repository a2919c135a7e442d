"""Azurite, Microsoft's storage emulator (the npm package `azurite`), on free ports."""

from __future__ import annotations

import base64
import contextlib
import http.client
import os
import secrets
import shutil
import ssl
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox import processes as programs
from sandbox.certificates import Certificates
from sandbox.processes import ROOT, Process, ProcessDied

EXECUTABLE = ROOT / "node_modules" / ".bin" / "azurite"
ACCOUNT = "devstoreaccount1"
# Azurite's default account key, printed in its documentation; no other account has it.
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
START_SECONDS = 60.0
TRIES = 3
SERVICES = ("blob", "queue", "table")


class AzuriteMissing(RuntimeError):
    """Azurite or node is not installed."""


@dataclass(frozen=True, slots=True)
class Secured:
    """Azurite as storage on Azure is reached: over TLS, by tokens, under each account's own name.

    `--oauth basic` looks at a token's issuer, audience and time, not at its signature, and knows no roles. The
    accounts' keys are random and kept by nobody, so no request can be signed with one.

    Other than on Azure a table's address has the account in its path too: Azurite 3.37 does not understand transactions
    without it (`TableBatchSerialization`, "Couldn't extract path from URL in sub-Request"). The SDK drops such a path
    for blobs and queues, so each service is a program of its own with its own rule.
    """

    certificates: Certificates
    accounts: Sequence[str]

    def arguments(self, service: str) -> list[str]:
        """What a service is started with."""
        return [
            *(
                "--cert",
                str(self.certificates.chain),
                "--key",
                str(self.certificates.key),
                "--oauth",
                "basic",
            ),
            *(("--disableProductStyleUrl",) if service == "table" else ()),
        ]

    def environment(self) -> dict[str, str]:
        """Azurite's accounts."""
        keys = [base64.b64encode(secrets.token_bytes(64)).decode() for _ in self.accounts]
        pairs = [f"{account}:{key}" for account, key in zip(self.accounts, keys, strict=True)]
        return {"AZURITE_ACCOUNTS": ";".join(pairs)}


@dataclass(frozen=True, slots=True)
class Azurite:
    """A running storage emulator."""

    processes: tuple[Process, ...]
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
        """Stop its processes; the data folder stays."""
        programs.stop(self.processes)


def start_azurite(
    data_dir: Path, log_path: Path, *, in_memory: bool = False, secured: Secured | None = None
) -> Azurite:
    """Start Azurite on free ports and wait until all three services answer.

    With `secured` its connection string is of no use. Raises AzuriteMissing, ProcessDied or NotReady.
    """
    if not EXECUTABLE.exists() or shutil.which("node") is None:
        raise AzuriteMissing("Azurite is not installed here: run `make setup` (it needs node and npm)")
    for attempt in range(TRIES):
        try:
            return _start(data_dir, log_path, in_memory=in_memory, secured=secured)
        except ProcessDied as error:
            # Another program took a port after it was found free.
            if attempt == TRIES - 1 or "EADDRINUSE" not in str(error):
                raise
    raise AssertionError("unreachable")


def _start(data_dir: Path, log_path: Path, *, in_memory: bool, secured: Secured | None) -> Azurite:
    data_dir.mkdir(parents=True, exist_ok=True)
    ports = dict(zip(SERVICES, programs.free_ports(len(SERVICES)), strict=True))
    options = ["--silent", "--skipApiVersionCheck", "--disableTelemetry"]
    options += ["--inMemoryPersistence"] if in_memory else ["--location", str(data_dir)]
    environ = {**os.environ, **secured.environment()} if secured else None
    ca = secured.certificates.ca if secured else None
    running: list[Process] = []
    try:
        for name, command in _commands(ports, secured).items():
            running.append(programs.start(name, command + options, log_path, environ, cwd=data_dir))
        for process in running:
            process.wait_until(lambda: all(_answers(port, ca) for port in ports.values()), START_SECONDS)
    except BaseException:
        programs.stop(running)
        raise
    return Azurite(tuple(running), ports["blob"], ports["queue"], ports["table"])


def _commands(ports: Mapping[str, int], secured: Secured | None) -> dict[str, list[str]]:
    """The programs by name: one for all services, or when secured one for each."""
    where = {
        service: [f"--{service}Host", "127.0.0.1", f"--{service}Port", str(port)]
        for service, port in ports.items()
    }
    if secured is None:
        return {"azurite": [str(EXECUTABLE), *(word for words in where.values() for word in words)]}
    return {
        f"azurite-{service}": [f"{EXECUTABLE}-{service}", *words, *secured.arguments(service)]
        for service, words in where.items()
    }


def _answers(port: int, ca: Path | None) -> bool:
    """Whether an HTTP server answers, with any status; over TLS when there is a certificate authority."""
    made = (
        http.client.HTTPSConnection(
            "127.0.0.1", port, timeout=1, context=ssl.create_default_context(cafile=ca)
        )
        if ca
        else http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    )
    with contextlib.closing(made) as connection:
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
