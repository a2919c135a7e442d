"""How the stores of an account are reached."""

from __future__ import annotations

from typing import Self

import pytest
from azure.core.credentials import AccessToken

from shared.domain.errors import StoreUnavailable
from shared.storage.stores import open_stores

PLACES = dict.fromkeys(("table_uri", "queue_uri", "blob_uri"), "https://127.0.0.1:1")


class Credential:
    """Gives a token to whoever asks, and remembers for what."""

    def __init__(self) -> None:
        self.scopes: list[str] = []
        self.closed = False

    async def get_token(self, *scopes: str, **_: object) -> AccessToken:
        self.scopes += scopes
        return AccessToken("token", 4_000_000_000)

    async def close(self) -> None:
        self.closed = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


async def test_addresses_are_reached_with_an_identity() -> None:
    """Without a connection string each service is asked with one token for storage."""
    credential = Credential()
    stores = open_stores(**PLACES, credential=credential)
    for act in (
        stores.tables.get("table", "p", "r"),
        stores.queues.count("queue"),
        stores.blobs.get("container", "a"),
    ):
        with pytest.raises(StoreUnavailable):
            await act
    assert credential.scopes == ["https://storage.azure.com/.default"] * 3
    await stores.close()
    assert not credential.closed, "whoever made the credential closes it"


async def test_unused_stores_close_too() -> None:
    """Closing stores that nobody used is no error."""
    await open_stores(connection_string="never looked at").close()
    await open_stores(**PLACES, credential=Credential()).close()


def test_half_an_address_is_refused() -> None:
    """A storage account that lacks one of its addresses is refused at once."""
    with pytest.raises(ValueError, match="table, queue and blob"):
        open_stores(table_uri="https://127.0.0.1:1", credential=Credential())
    with pytest.raises(ValueError, match="and a credential"):
        open_stores(**PLACES)
