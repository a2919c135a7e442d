"""What the app takes as its settings, and what it says of those it does not take."""

from __future__ import annotations

import pytest

from shared.settings import Settings, SettingsError

LONG = "x" * 32
AZURE = {
    "PROFILE": "azure",
    "PUBLIC_BASE_URL": "https://mail.example.com/",
    "DataStorage__tableServiceUri": "https://data.table.example.com",
    "DataStorage__queueServiceUri": "https://data.queue.example.com",
    "DataStorage__blobServiceUri": "https://data.blob.example.com",
    "ENTRA_CLIENT_ID": "client",
    "ENTRA_AUTHORITY": "https://login.example.com/common",
    "GRAPH_BASE_URL": "https://graph.example.com/v1.0",
    "GRAPH_WEBHOOK_SECRET": LONG,
    "CLIENT_STATE_KEYS": LONG,
    "API_KEY_PEPPER": LONG,
    "LINK_SIGNING_KEYS": f"{LONG}, {'y' * 32}",
}
LOCAL = {
    **AZURE,
    "PROFILE": "local",
    "PUBLIC_BASE_URL": "http://localhost:7071",
    "SEALING_KEY_FILE": "sealing.key",
    "ENTRA_CLIENT_SECRET": "secret",
    "LOCAL_ORIGINS": "http://127.0.0.1:7080/, http://localhost:7080",
}


def faults(environ: dict[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        Settings.load(environ)
    return str(raised.value).split("; ")


def test_both_profiles_are_read() -> None:
    """Addresses lose their last slash, lists are split, and what is left out is nothing."""
    azure, local = Settings.load(AZURE), Settings.load(LOCAL)
    assert (azure.local, azure.public_base_url, azure.local_origins) == (
        False,
        "https://mail.example.com",
        (),
    )
    assert [one.reveal() for one in azure.link_signing_keys] == [LONG, "y" * 32]
    assert (azure.sealing_key_file, azure.entra_client_secret, azure.data_storage) == (None, None, None)
    assert local.local
    assert local.local_origins == ("http://127.0.0.1:7080", "http://localhost:7080")


def test_everything_missing_is_told_at_once() -> None:
    """An empty environment names each setting that must be there, in one error."""
    named = {one.split(":")[0] for one in faults({})}
    optional = {name for name in AZURE if name.startswith("DataStorage__")}
    assert named == (set(AZURE) - optional) | {"DataStorage"}


@pytest.mark.parametrize(
    "name", ["ENTRA_CLIENT_SECRET", "SEALING_KEY_FILE", "LOCAL_ORIGINS", "TRUSTED_CA_FILE"]
)
def test_what_is_for_one_s_own_machine_is_refused_elsewhere(name: str) -> None:
    """With PROFILE=azure."""
    assert faults({**AZURE, name: "http://localhost"}) == [f"{name}: only with PROFILE=local"]


@pytest.mark.parametrize("name", ["WEBSITE_INSTANCE_ID", "WEBSITE_SITE_NAME"])
def test_the_local_profile_is_refused_on_azure(name: str) -> None:
    """Azure says of itself that it is Azure."""
    assert faults({**LOCAL, name: "app"}) == [f"PROFILE: local is refused on Azure ({name} is set)"]


@pytest.mark.parametrize("name", ["PUBLIC_BASE_URL", "ENTRA_AUTHORITY", "GRAPH_BASE_URL"])
def test_addresses_are_https(name: str) -> None:
    """Plain http only on a loopback address, and only with PROFILE=local."""
    assert Settings.load({**LOCAL, name: "http://[::1]:7071"})
    assert faults({**LOCAL, name: "http://localhost.example.com"}) == [f"{name}: https is needed"]
    assert faults({**AZURE, name: "http://localhost:7071"}) == [f"{name}: https is needed"]
    assert faults({**AZURE, name: "ftp://mail.example.com"}) == [f"{name}: https is needed"]


def test_local_origins_are_loopback() -> None:
    """Nothing else may be called over plain http."""
    assert faults({**LOCAL, "LOCAL_ORIGINS": "http://10.0.0.1:80"}) == [
        "LOCAL_ORIGINS: http://10.0.0.1:80 is no loopback address"
    ]


def test_the_local_profile_needs_a_sealing_key() -> None:
    """Tokens are never kept in clear."""
    assert faults({**LOCAL, "SEALING_KEY_FILE": ""}) == ["SEALING_KEY_FILE: missing"]


@pytest.mark.parametrize("name", ["GRAPH_WEBHOOK_SECRET", "API_KEY_PEPPER"])
def test_secrets_are_long(name: str) -> None:
    """31 characters are too few."""
    assert faults({**AZURE, name: "x" * 31}) == [f"{name}: at least 32 characters"]


@pytest.mark.parametrize("text", ["x" * 31, f"{LONG},short", ",", " , ", f"{LONG},{LONG},{LONG}"])
@pytest.mark.parametrize("name", ["CLIENT_STATE_KEYS", "LINK_SIGNING_KEYS"])
def test_keys_that_change_are_one_or_two(name: str, text: str) -> None:
    """None between commas is none at all, and a third would never go."""
    assert faults({**AZURE, name: text}) == [f"{name}: one or two of at least 32 characters"]


@pytest.mark.parametrize("service", ["table", "queue", "blob"])
def test_storage_by_identity_needs_all_three_addresses(service: str) -> None:
    """One that is missing would be found out by the first call that needs it."""
    lacking = {name: value for name, value in AZURE.items() if service not in name}
    (said,) = faults(lacking)
    assert said.startswith("DataStorage: missing")
    assert Settings.load({**lacking, "DataStorage": "UseDevelopmentStorage=true"})


def test_secrets_do_not_show_themselves() -> None:
    """Neither in the settings' own text nor in a fault."""
    assert LONG not in repr(Settings.load(AZURE))
    assert all(
        "x" * 31 not in one for one in faults({**AZURE, "API_KEY_PEPPER": "x" * 31, "PROFILE": "both"})
    )
