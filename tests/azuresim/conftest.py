"""The stand-ins on ports, the names that lead to them, and the app's identity."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from azure.core.pipeline.transport import AioHttpTransport
from azure.identity.aio import ManagedIdentityCredential
from cryptography.hazmat.primitives.asymmetric import rsa

from sandbox import processes
from sandbox.azuresim.app import Azure, build_azure
from sandbox.azuresim.config import Assignment, Config, Principal
from sandbox.azurite import SERVICES, Azurite, AzuriteMissing, Secured, start_azurite
from sandbox.certificates import LOOPBACK, Certificates, make_certificates
from sandbox.names import Names, aiohttp_session

TENANT = "2f0c3a52-7d4e-4f0b-9a51-2f3c1f0a7e22"
APP = Principal("7b1a8a52-50cb-4a62-8b9a-4b7f3f0d8c01", "3d7d2c55-95e1-4b0f-8a8e-8b0f6a3c9d11")
OPERATOR = Principal("04b07795-8ddb-461a-bbee-02f9e1bf7b46", "9e0b0c4e-3f43-4d28-9a55-6a1f0d5e2b77")
HEADER = "the-identity-header"
SIGNING_KEY = rsa.generate_private_key(65537, 2048)
VAULT_HOST = "kv-stand-in.vault.azure.net"
HOST_ACCOUNT, DATA_ACCOUNT = "sthoststandin", "stdatastandin"
STORAGE_HOSTS = [
    f"{name}.{service}.core.windows.net" for name in (HOST_ACCOUNT, DATA_ACCOUNT) for service in SERVICES
]
ROLES = (
    Assignment("Key Vault Crypto User", APP.principal_id, "keys/kek"),
    Assignment("Key Vault Secrets User", APP.principal_id),
    Assignment("Key Vault Crypto Officer", OPERATOR.principal_id),
    Assignment("Key Vault Secrets Officer", OPERATOR.principal_id),
)


def config(**changes: Any) -> Config:
    settings: dict[str, Any] = {
        "tenant_id": TENANT, "vault_host": VAULT_HOST, "identity": APP, "identity_header": HEADER, "operator": OPERATOR,
        "keys": ("kek",), "secrets": {"api-key-pepper": "p" * 40}, "roles": ROLES,
    }  # fmt: skip
    return Config(**(settings | changes))


@dataclass(frozen=True, slots=True)
class Standing:
    """Everything that runs: the stand-ins, their names, and the address of the identity endpoint."""

    azure: Azure
    names: Names
    endpoint: str

    @contextlib.asynccontextmanager
    async def transport(self) -> AsyncIterator[AioHttpTransport]:
        """For a client of the SDK: the world's names, TLS checked against its authority."""
        async with aiohttp_session(self.names) as session:
            yield AioHttpTransport(session=session, session_owner=False)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls"), [*LOOPBACK, VAULT_HOST, *STORAGE_HOSTS])


@pytest.fixture(scope="session")
def storage(certificates: Certificates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    """An Azurite with two accounts, over TLS and by tokens alone."""
    folder = tmp_path_factory.mktemp("azurite")
    try:
        running = start_azurite(
            folder,
            folder / "log",
            in_memory=True,
            secured=Secured(certificates, (HOST_ACCOUNT, DATA_ACCOUNT)),
        )
    except AzuriteMissing as missing:
        pytest.skip(str(missing))
    yield running
    running.stop()


def names_of(certificates: Certificates, storage: Azurite | None, vault_port: int) -> Names:
    ports = {VAULT_HOST: vault_port}
    if storage is not None:
        by_service = {"blob": storage.blob_port, "queue": storage.queue_port, "table": storage.table_port}
        ports |= {host: by_service[host.split(".")[1]] for host in STORAGE_HOSTS}
    return Names(str(certificates.ca), ports)


@contextlib.asynccontextmanager
async def served(app: Any, port: int, certificate: Path | None = None) -> AsyncIterator[None]:
    """An application on a port for the length of a block."""
    server = uvicorn.Server(
        uvicorn.Config(
            app, host="127.0.0.1", port=port, log_level="warning", lifespan="off",
            ssl_certfile=str(certificate) if certificate else None,
        )
    )  # fmt: skip
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign]  # pytest keeps its handlers
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn sets no event
        await asyncio.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        await task


@pytest.fixture
async def standing(certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Standing]:
    """Identity endpoint and vault; this process looks like an app on App Service."""
    async with standing_with(certificates, None, monkeypatch) as made:
        yield made


@contextlib.asynccontextmanager
async def standing_with(
    certificates: Certificates, storage: Azurite | None, monkeypatch: pytest.MonkeyPatch, **changes: Any
) -> AsyncIterator[Standing]:
    azure = build_azure(config(**changes), SIGNING_KEY)
    identity_port, vault_port = processes.free_ports(2)
    endpoint = f"http://127.0.0.1:{identity_port}/msi/token"
    monkeypatch.setenv("IDENTITY_ENDPOINT", endpoint)
    monkeypatch.setenv("IDENTITY_HEADER", HEADER)
    names = names_of(certificates, storage, vault_port)
    async with (
        served(azure.identity, identity_port),
        served(azure.vault_api, vault_port, certificates.leaf),
    ):
        yield Standing(azure, names, endpoint)


@pytest.fixture
async def identity(standing: Standing) -> AsyncIterator[ManagedIdentityCredential]:
    """The app's identity, as the product asks for it."""
    async with ManagedIdentityCredential(client_id=APP.client_id) as credential:
        yield credential
