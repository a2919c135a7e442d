"""Find the storage account that a trigger's `connection` names, by the host's rules, and open clients for it.

Facts: Microsoft, "Azure Functions developer guide", section "Connections".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.storage.blob.aio import BlobServiceClient
    from azure.storage.queue.aio import QueueServiceClient

    from sandbox.names import Names

# Azurite's default account key, printed in its documentation; no other account has it.
AZURITE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
DEVELOPMENT_STORAGE = (
    f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={AZURITE_KEY};"
    "BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;"
    "QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;"
    "TableEndpoint=http://127.0.0.1:10002/devstoreaccount1;"
)
NO_RETRIES: dict[str, Any] = dict.fromkeys(("retry_total", "retry_connect", "retry_read", "retry_status"), 0)
"""No retries by the SDK, whose first pause is 15 seconds: the host's own loops try again."""


class MissingConnection(ValueError):
    """No setting says how to reach the storage account."""


class MissingSetting(ValueError):
    """A `%NAME%` in a trigger names no setting."""


def resolve_text(text: str, environ: Mapping[str, str]) -> str:
    """The text with every `%SETTING%` replaced by its value; raises MissingSetting."""

    def value(found: re.Match[str]) -> str:
        if found[1] not in environ:
            raise MissingSetting(f"'%{found[1]}%' does not resolve to a value")
        return environ[found[1]]

    return re.sub("%([^%]+)%", value, text)


@dataclass(frozen=True, slots=True)
class Connection:
    """How a storage account is reached: a connection string, or the service's address and an identity.

    With `managed` that is a managed identity, the one of `client_id`; without, whatever the machine has.
    """

    connection_string: str | None = None
    address: str | None = None
    client_id: str | None = None
    managed: bool = False


def resolve_connection(name: str, service: str, environ: Mapping[str, str]) -> Connection:
    """The connection `name` for `service` (`blob` or `queue`); raises MissingConnection.

    `AzureWebJobs<name>` is looked up before `<name>`, and a connection string before the `<name>__…` settings.
    """
    for candidate in (f"AzureWebJobs{name}", name):
        if text := environ.get(candidate):
            development = text.strip().rstrip(";").lower() == "usedevelopmentstorage=true"
            return Connection(DEVELOPMENT_STORAGE if development else text)
        if address := _address(candidate, service, environ):
            managed = environ.get(f"{candidate}__credential", "").lower() == "managedidentity"
            return Connection(
                address=address, client_id=environ.get(f"{candidate}__clientId"), managed=managed
            )
    raise MissingConnection(
        f"Storage account connection string '{name}' does not exist. Make sure that it is a defined App Setting, "
        f"or set {name}__{service}ServiceUri or {name}__accountName."
    )


def _address(name: str, service: str, environ: Mapping[str, str]) -> str | None:
    for key in (f"{name}__{service}ServiceUri", f"{name}__serviceUri"):
        if address := environ.get(key):
            return address
    account = environ.get(f"{name}__accountName")
    return f"https://{account}.{service}.core.windows.net" if account else None


def open_queue_service(connection: Connection, names: Names | None = None) -> QueueServiceClient:
    """A client of the queue service; it sends nothing before its first call. `names`: where real names lead."""
    from azure.storage.queue.aio import QueueServiceClient

    if connection.connection_string:
        return QueueServiceClient.from_connection_string(connection.connection_string, **NO_RETRIES)
    credential, options = _identity(connection), NO_RETRIES | _transport(names)
    return QueueServiceClient(str(connection.address), credential=credential, **options)


def open_blob_service(connection: Connection, names: Names | None = None) -> BlobServiceClient:
    """A client of the blob service; it sends nothing before its first call. `names`: where real names lead."""
    from azure.storage.blob.aio import BlobServiceClient

    if connection.connection_string:
        return BlobServiceClient.from_connection_string(connection.connection_string, **NO_RETRIES)
    credential, options = _identity(connection), NO_RETRIES | _transport(names)
    return BlobServiceClient(str(connection.address), credential=credential, **options)


async def close_service(service: QueueServiceClient | BlobServiceClient) -> None:
    """Close a client and the credential that was made for it."""
    await service.close()
    if close := getattr(service.credential, "close", None):
        await close()


def _transport(names: Names | None) -> dict[str, Any]:
    """The option that lets a client find the names; nothing without names."""
    if names is None:
        return {}
    from azure.core.pipeline.transport import AioHttpTransport

    from sandbox.names import aiohttp_session

    return {"transport": AioHttpTransport(session=aiohttp_session(names))}


def _identity(connection: Connection) -> AsyncTokenCredential:
    from azure.identity.aio import DefaultAzureCredential, ManagedIdentityCredential

    if connection.managed:
        return ManagedIdentityCredential(client_id=connection.client_id)
    return DefaultAzureCredential(managed_identity_client_id=connection.client_id)
