"""The development host as on Azure: its storage by identity, its front door over TLS, its references resolved."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from azure.core.exceptions import ClientAuthenticationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sandbox.azuresim.references import resolve
from sandbox.azurite import Azurite
from sandbox.certificates import Certificates
from sandbox.devhost.connections import open_blob_service, open_queue_service, resolve_connection
from sandbox.devhost.monitor import BlobTimers, Status
from sandbox.devhost.queues import AzureQueues
from sandbox.devhost.serving import Serving, listen
from sandbox.names import Names, http_transport
from tests.azuresim.conftest import (
    APP,
    DATA_ACCOUNT,
    HEADER,
    HOST_ACCOUNT,
    VAULT_HOST,
    Standing,
    standing_with,
)

SETTINGS = {
    "DataStorage__queueServiceUri": f"https://{DATA_ACCOUNT}.queue.core.windows.net",
    "DataStorage__credential": "managedidentity",
    "DataStorage__clientId": APP.client_id,
    "AzureWebJobsStorage__blobServiceUri": f"https://{HOST_ACCOUNT}.blob.core.windows.net",
    "AzureWebJobsStorage__credential": "managedidentity",
    "AzureWebJobsStorage__clientId": APP.client_id,
}


@pytest.fixture
async def storing(
    certificates: Certificates, storage: Azurite, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Standing]:
    async with standing_with(certificates, storage, monkeypatch) as made:
        yield made


@pytest.mark.azurite
async def test_queues_by_identity(storing: Standing) -> None:
    """The host polls the data account's queues with the identity that its settings name."""
    connection = resolve_connection("DataStorage", "queue", SETTINGS)
    queues = AzureQueues(open_queue_service(connection, storing.names))
    await queues.put("jobs", "aGVsbG8=")
    received = await queues.receive("jobs", 16, 30)
    assert [message.text for message in received] == ["aGVsbG8="]
    await queues.close()


@pytest.mark.azurite
async def test_timers_by_identity(storing: Standing) -> None:
    """The host keeps its timers' status in the host account, which is another one than the app's."""
    connection = resolve_connection("AzureWebJobsStorage", "blob", SETTINGS)
    timers = BlobTimers(open_blob_service(connection, storing.names), "host-id")
    now = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    status = Status(now, now + timedelta(hours=1), now)
    await timers.write("tick", status)
    assert await timers.read("tick") == status
    await timers.close()


@pytest.mark.azurite
async def test_another_identity_gets_no_storage(storing: Standing) -> None:
    """With the client id of an identity that the app does not have, the host gets no token."""
    connection = resolve_connection("DataStorage", "queue", SETTINGS | {"DataStorage__clientId": "another"})
    queues = AzureQueues(open_queue_service(connection, storing.names))
    with pytest.raises(ClientAuthenticationError, match="No User Assigned or Delegated Managed Identity"):
        await queues.put("jobs", "aGVsbG8=")
    await queues.close()


async def test_the_front_door_is_https(certificates: Certificates) -> None:
    """With a certificate the host serves TLS, under its public name, and the app sees https in its address."""

    async def show(request: Request) -> Response:
        return PlainTextResponse(str(request.url))

    sockets = listen("localhost", 0)
    names = Names(str(certificates.ca), {VAULT_HOST: sockets[0].getsockname()[1]})
    serving = Serving.begin(Starlette(routes=[Route("/here", show)]), sockets, certificates.leaf)
    async with httpx.AsyncClient(transport=http_transport(names)) as http:
        assert (await http.get(f"https://{VAULT_HOST}/here")).text == f"https://{VAULT_HOST}/here"
    await serving.end(grace_seconds=1)


async def test_references(standing: Standing) -> None:
    """A setting that refers to a secret gets its value, and one that cannot be resolved stays as it is written."""
    good = f"@Microsoft.KeyVault(SecretUri=https://{VAULT_HOST}/secrets/api-key-pepper)"
    missing = f"@Microsoft.KeyVault(SecretUri=https://{VAULT_HOST}/secrets/none)"
    platform = {"IDENTITY_ENDPOINT": standing.endpoint, "IDENTITY_HEADER": HEADER}
    settings = {"PEPPER": good, "NONE": missing, "PLAIN": "text"}
    found = await resolve(settings | platform, APP.client_id, standing.names)
    assert (found["PEPPER"], found["NONE"], found["PLAIN"]) == ("p" * 40, missing, "text")
    standing.azure.vault.roles = []
    assert (await resolve(settings | platform, APP.client_id, standing.names))["PEPPER"] == good
