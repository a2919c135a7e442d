"""Who is connected, and that no erased token comes back."""

from __future__ import annotations

import pytest

from shared.domain.errors import RowChanged, RowExists
from shared.domain.model import Connection, ConnectionStatus
from shared.state import keys
from shared.state.codec import Stored
from shared.state.connections import Connections, OpenedTokens, Sealed, mailbox_ref
from shared.storage.testing import MemoryTables
from tests.builders import MAILBOX, NOW, TENANT, connection, later

ANN = (TENANT, "u_ann", "con_1")


async def _connected(connections: Connections) -> Stored[Connection]:
    await connections.connect(TENANT, connection(), "cache-1", None)
    stored = await connections.current(TENANT, "u_ann")
    assert stored is not None
    return stored


async def _tokens(connections: Connections) -> OpenedTokens:
    found = await connections.tokens(*ANN)
    assert found is not None
    return found


async def test_before_the_first_connection_there_is_none(connections: Connections) -> None:
    """For a user who never connected there is no connection and no token, and no error."""
    assert await connections.current(TENANT, "u_ann") is None
    assert await connections.tokens(*ANN) is None
    assert await connections.access_token(*ANN) is None


async def test_a_connection_comes_with_its_tokens(connections: Connections) -> None:
    """Connecting makes the connection the current one and keeps its token cache."""
    assert (await _connected(connections)).value == connection()
    tokens = await _tokens(connections)
    assert (tokens.cache, tokens.access_token) == ("cache-1", None)


async def test_a_second_connection_replaces_the_first_in_one_step(connections: Connections) -> None:
    """A second connection becomes the current one, and the first is kept as disconnected."""
    first = await _connected(connections)
    ended = first.changed(connection(status=ConnectionStatus.DISCONNECTED))
    await connections.connect(TENANT, connection(connection_id="con_2"), "cache-2", ended)
    current = await connections.current(TENANT, "u_ann")
    assert current is not None
    assert current.value.connection_id == "con_2"
    old = await connections.get(*ANN)
    assert old is not None
    assert old.value.status is ConnectionStatus.DISCONNECTED


async def test_a_connection_made_from_another_window_is_not_overwritten(connections: Connections) -> None:
    """Replacing a connection that changed meanwhile fails whole and leaves no tokens behind."""
    first = await _connected(connections)
    await connections.save(TENANT, first.changed(connection(status=ConnectionStatus.RECONNECT_REQUIRED)))
    with pytest.raises((RowChanged, RowExists)):
        await connections.connect(TENANT, connection(connection_id="con_2"), "cache-2", first)
    current = await connections.current(TENANT, "u_ann")
    assert current is not None
    assert current.value.connection_id == "con_1"
    assert await connections.tokens(TENANT, "u_ann", "con_2") is None


async def test_refreshed_tokens_are_kept_and_found_with_one_read(connections: Connections) -> None:
    """Refreshed tokens are kept with their expiry and found again."""
    await _connected(connections)
    assert await connections.save_tokens(
        *ANN, await _tokens(connections), "cache-2", "access-2", later(hours=1)
    )
    assert await connections.access_token(*ANN) == ("access-2", later(hours=1))
    tokens = await _tokens(connections)
    assert (tokens.cache, tokens.access_token, tokens.expires_at) == ("cache-2", "access-2", later(hours=1))


async def test_tokens_are_refreshed_again_and_again(connections: Connections) -> None:
    """Each refresh replaces the tokens that the one before kept."""
    await _connected(connections)
    for number in range(3):
        read = await _tokens(connections)
        assert await connections.save_tokens(*ANN, read, f"cache-{number}", f"access-{number}", NOW)
    assert (await _tokens(connections)).cache == "cache-2"


async def test_the_slower_of_two_refreshes_changes_nothing(connections: Connections) -> None:
    """Of two refreshes from the same tokens the slower one changes nothing and is told so."""
    await _connected(connections)
    read = await _tokens(connections)
    assert await connections.save_tokens(*ANN, read, "cache-fast", "access-fast", NOW)
    assert not await connections.save_tokens(*ANN, read, "cache-slow", "access-slow", NOW)
    assert (await _tokens(connections)).cache == "cache-fast"


@pytest.mark.parametrize("refreshed_before", [False, True])
async def test_no_token_rises_again_after_disconnect(
    connections: Connections, *, refreshed_before: bool
) -> None:
    """A refresh that was under way while tokens were deleted keeps nothing (K-7)."""
    await _connected(connections)
    if refreshed_before:
        await connections.save_tokens(*ANN, await _tokens(connections), "cache-2", "access-2", NOW)
    under_way = await _tokens(connections)
    await connections.forget_tokens(*ANN)
    assert not await connections.save_tokens(*ANN, under_way, "cache-3", "access-3", NOW)
    assert await connections.tokens(*ANN) is None
    assert await connections.access_token(*ANN) is None


async def test_forgetting_twice_is_fine(connections: Connections) -> None:
    """Deleting tokens that are gone already is no error."""
    await _connected(connections)
    await connections.forget_tokens(*ANN)
    await connections.forget_tokens(*ANN)
    assert await connections.tokens(*ANN) is None


@pytest.mark.parametrize("refreshed_before", [False, True])
async def test_a_repair_replaces_the_tokens(connections: Connections, *, refreshed_before: bool) -> None:
    """A repair replaces the token cache at once, and no earlier access token is used any more."""
    stored = await _connected(connections)
    if refreshed_before:
        await connections.save_tokens(*ANN, await _tokens(connections), "cache-2", "access-2", later(hours=1))
    await connections.repair(TENANT, stored, "cache-repaired")
    assert await connections.access_token(*ANN) is None
    assert (await _tokens(connections)).cache == "cache-repaired"


async def test_a_repair_after_the_tokens_went_brings_them_back(connections: Connections) -> None:
    """A repair by the person's consent keeps tokens again after they were deleted."""
    stored = await _connected(connections)
    await connections.forget_tokens(*ANN)
    await connections.repair(TENANT, stored, "cache-repaired")
    assert (await _tokens(connections)).cache == "cache-repaired"


async def test_a_refresh_that_crosses_a_repair_keeps_nothing(connections: Connections) -> None:
    """A refresh of the old consent that ends after a repair does not overwrite the new tokens."""
    stored = await _connected(connections)
    under_way = await _tokens(connections)
    await connections.repair(TENANT, stored, "cache-repaired")
    assert not await connections.save_tokens(*ANN, under_way, "cache-old", "access-old", NOW)
    assert (await _tokens(connections)).cache == "cache-repaired"


async def test_a_changed_connection_is_saved_under_its_etag(connections: Connections) -> None:
    """Of two who read the same connection only the first can write it."""
    read = await _connected(connections)
    await connections.save(TENANT, read.changed(connection(address="new@northwind.example")))
    with pytest.raises(RowChanged):
        await connections.save(TENANT, read.changed(connection(address="other@northwind.example")))


async def test_tokens_never_lie_in_clear(connections: Connections, tables: MemoryTables) -> None:
    """No row of the connections table holds a token in clear."""
    await _connected(connections)
    await connections.save_tokens(*ANN, await _tokens(connections), "cache-2", "access-2", NOW)
    partition = keys.user_partition(TENANT, "u_ann")
    rows = await tables.query(keys.CONNECTIONS, partition)
    assert not [row.row for row in rows if "cache-2" in str(row.values) or "access-2" in str(row.values)]


def test_tokens_do_not_show_in_a_representation() -> None:
    """The repr of opened tokens shows none of them."""
    assert "secret" not in repr(OpenedTokens("secret-cache", Stored(Sealed("sealed")), "secret-access"))


def test_a_connection_leads_to_its_mailbox() -> None:
    """A connection leads to its mailbox under its tenant."""
    assert mailbox_ref(TENANT, connection()) == MAILBOX
