"""From a connection's name to a storage account."""

from __future__ import annotations

import pytest

from sandbox.devhost.connections import (
    DEVELOPMENT_STORAGE,
    Connection,
    MissingConnection,
    MissingSetting,
    resolve_connection,
    resolve_text,
)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"Data": "AccountName=a"}, Connection("AccountName=a")),
        ({"AzureWebJobsData": "x", "Data": "y"}, Connection("x")),
        ({"Data": "UseDevelopmentStorage=true"}, Connection(DEVELOPMENT_STORAGE)),
        ({"Data": "text", "Data__queueServiceUri": "https://q"}, Connection("text")),
        ({"Data__queueServiceUri": "https://q"}, Connection(address="https://q")),
        (
            {"Data__serviceUri": "https://q", "Data__clientId": "id"},
            Connection(address="https://q", client_id="id"),
        ),
        (
            {
                "Data__queueServiceUri": "https://q",
                "Data__credential": "managedidentity",
                "Data__clientId": "id",
            },
            Connection(address="https://q", client_id="id", managed=True),
        ),
        ({"Data__accountName": "acc"}, Connection(address="https://acc.queue.core.windows.net")),
    ],
)
def test_connections(environ: dict[str, str], expected: Connection) -> None:
    """A connection's name leads to a connection string or an address by the host's rules of precedence."""
    assert resolve_connection("Data", "queue", environ) == expected


def test_a_missing_connection() -> None:
    """A connection that no setting explains is an error that names it."""
    with pytest.raises(MissingConnection, match="'Data' does not exist"):
        resolve_connection("Data", "queue", {"Data__blobServiceUri": "https://b"})


def test_settings_in_texts() -> None:
    """`%NAME%` in a text is replaced by the setting, and an unknown name is an error."""
    assert resolve_text("a-%ONE%-%TWO%", {"ONE": "1", "TWO": "2"}) == "a-1-2"
    with pytest.raises(MissingSetting, match="'%THREE%' does not resolve"):
        resolve_text("%THREE%", {})
