"""Azurite over TLS and by tokens, met by the SDK's storage clients under the accounts' real names."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest
from azure.core.credentials import AccessToken, AzureNamedKeyCredential
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.data.tables.aio import TableServiceClient
from azure.identity.aio import ManagedIdentityCredential
from azure.storage.blob.aio import BlobServiceClient
from azure.storage.queue.aio import QueueServiceClient

from sandbox.azurite import ACCOUNT_KEY, Azurite
from sandbox.certificates import Certificates
from tests.azuresim.conftest import APP, DATA_ACCOUNT, HOST_ACCOUNT, Standing, standing_with

pytestmark = pytest.mark.azurite


def address(service: str, account: str = DATA_ACCOUNT) -> str:
    path = f"/{account}" if service == "table" else ""  # see sandbox.azurite.Secured
    return f"https://{account}.{service}.core.windows.net{path}"


@pytest.fixture
async def standing(
    certificates: Certificates, storage: Azurite, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Standing]:
    """As everywhere here, and storage answers to its names too."""
    async with standing_with(certificates, storage, monkeypatch) as made:
        yield made


@pytest.fixture
async def transport(standing: Standing) -> AsyncIterator[Any]:
    async with standing.transport() as made:
        yield made


async def test_tables(identity: ManagedIdentityCredential, transport: Any) -> None:
    """A row is written and read with a token."""
    async with TableServiceClient(address("table"), credential=identity, transport=transport) as service:
        table = await service.create_table_if_not_exists("things")
        await table.create_entity({"PartitionKey": "p", "RowKey": "r", "word": "kept"})
        assert (await table.get_entity("p", "r"))["word"] == "kept"
        rows = [row async for row in table.query_entities("PartitionKey eq 'p'")]
        assert len(rows) == 1


async def test_queues(identity: ManagedIdentityCredential, transport: Any) -> None:
    """A message is sent and received with a token."""
    async with QueueServiceClient(address("queue"), credential=identity, transport=transport) as service:
        queue = await service.create_queue("work")
        await queue.send_message("hello")
        assert [message.content async for message in queue.receive_messages()] == ["hello"]


async def test_blobs(identity: ManagedIdentityCredential, transport: Any) -> None:
    """A blob is written and read with a token."""
    async with BlobServiceClient(address("blob"), credential=identity, transport=transport) as service:
        container = await service.create_container("staging")
        await container.upload_blob("a", b"content")
        assert await (await container.download_blob("a")).readall() == b"content"


async def test_accounts_are_apart(identity: ManagedIdentityCredential, transport: Any) -> None:
    """What lies in the data account is not in the host's, and an account that nobody has is not found."""
    async with (
        BlobServiceClient(address("blob"), credential=identity, transport=transport) as data,
        BlobServiceClient(address("blob", HOST_ACCOUNT), credential=identity, transport=transport) as host,
    ):
        await data.create_container("only-data")
        with pytest.raises(ResourceNotFoundError):
            await host.get_container_client("only-data").get_container_properties()


@pytest.mark.parametrize("service", ["blob", "queue", "table"])
@pytest.mark.parametrize(
    "changes",
    [{"aud": "https://vault.azure.net"}, {"iss": "https://login.microsoftonline.com/x/v2.0"}, {"exp": 1}],
)
async def test_wrong_tokens(
    standing: Standing, transport: Any, service: str, changes: dict[str, Any]
) -> None:
    """A token for another service, of another kind of issuer or out of date does not open storage."""
    issuer = standing.azure.issuer
    good = issuer.issue(APP, "https://storage.azure.com")["access_token"]
    claims = jwt.decode(good, options={"verify_signature": False}) | changes

    class Wrong:
        async def get_token(self, *_: str, **__: Any) -> AccessToken:
            return AccessToken(jwt.encode(claims, issuer.key, algorithm="RS256"), 4_000_000_000)

        async def close(self) -> None:
            """Hold nothing."""

    with pytest.raises(HttpResponseError) as refused:
        await _touch(service, Wrong(), transport)
    assert refused.value.status_code in {401, 403}


@pytest.mark.parametrize("service", ["blob", "queue", "table"])
async def test_no_shared_key(transport: Any, service: str) -> None:
    """A request that is signed with the emulator's well-known key is refused: the accounts' keys are nobody's."""
    key = AzureNamedKeyCredential(DATA_ACCOUNT, ACCOUNT_KEY)
    with pytest.raises((ClientAuthenticationError, HttpResponseError)) as refused:
        await _touch(service, key, transport)
    assert refused.value.status_code in {
        400,
        403,
    }  # Azurite says 400, Azure 403 KeyBasedAuthenticationNotPermitted


async def _touch(service: str, credential: Any, transport: Any) -> None:
    kinds: dict[str, Any] = {
        "blob": BlobServiceClient,
        "queue": QueueServiceClient,
        "table": TableServiceClient,
    }
    async with kinds[service](
        address(service), credential=credential, transport=transport, retry_total=0
    ) as client:
        match service:
            case "blob":
                await client.create_container("forbidden")
            case "queue":
                await client.create_queue("forbidden")
            case _:
                await client.create_table("forbidden")


async def test_transactions(identity: ManagedIdentityCredential, transport: Any) -> None:
    """Several rows of a partition are written at once with a token."""
    async with TableServiceClient(address("table"), credential=identity, transport=transport) as service:
        table = await service.create_table_if_not_exists("batches")
        rows = [{"PartitionKey": "p", "RowKey": str(number)} for number in range(3)]
        await table.submit_transaction([("create", row) for row in rows])
        assert len([row async for row in table.query_entities("PartitionKey eq 'p'")]) == 3
