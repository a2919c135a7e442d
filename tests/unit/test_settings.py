"""Settings: all faults at once, no secret in any text, and a local profile that stays at home."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from shared.settings import AZURE, LOCAL, Secret, Settings, SettingsError

LONG = {
    name: f"canary-{name}-".ljust(40, "x") for name in ("webhook", "state", "old-state", "pepper", "link")
}
EVERYWHERE = {
    "PUBLIC_BASE_URL": "https://postbraid.example",
    "ENTRA_CLIENT_ID": "client-1",
    "GRAPH_WEBHOOK_SECRET": LONG["webhook"],
    "CLIENT_STATE_KEYS": f"{LONG['state']},{LONG['old-state']}",
    "API_KEY_PEPPER": LONG["pepper"],
    "LINK_SIGNING_KEYS": LONG["link"],
}
CLOUD = {
    **EVERYWHERE,
    "PROFILE": AZURE,
    "DataStorage__tableServiceUri": "https://northwindstore.table.core.windows.net",
    "DataStorage__queueServiceUri": "https://northwindstore.queue.core.windows.net",
    "DataStorage__blobServiceUri": "https://northwindstore.blob.core.windows.net",
    "DataStorage__credential": "managedidentity",
    "DataStorage__clientId": "identity-1",
    "AZURE_CLIENT_ID": "identity-1",
    "KEY_ENCRYPTION_KEY": "https://northwind.vault.azure.net/keys/data-keys",
    "WEBSITE_SITE_NAME": "postbraid",
}
HOME = {
    **EVERYWHERE,
    "PROFILE": LOCAL,
    "DataStorage": "AccountName=canary-account;AccountKey=canary-key",
    "ENTRA_CLIENT_SECRET": "canary-client-secret",
    "SEALING_KEY_FILE": ".sandbox/key",
    "TRUSTED_CA_FILE": ".sandbox/ca.pem",
    "LOCAL_ORIGINS": "http://localhost:5001, http://127.0.0.1:5002/",
    "PUBLIC_BASE_URL": "http://localhost:7071/",
    "ENTRA_AUTHORITY": "https://localhost:5003/common",
    "GRAPH_BASE_URL": "http://127.0.0.1:5004/v1.0",
}


def faults(environ: dict[str, str]) -> list[str]:
    """What is told of an environment that is refused."""
    with pytest.raises(SettingsError) as caught:
        Settings.load(environ)
    return str(caught.value).split("; ")


def test_a_deployments_settings() -> None:
    """A deployment's settings reach storage by identity and hold nothing of the local profile."""
    settings = Settings.load(CLOUD)
    assert not settings.local
    assert settings.data_storage is None
    assert settings.data_blob_uri == "https://northwindstore.blob.core.windows.net"
    assert [key.reveal() for key in settings.client_state_keys] == [LONG["state"], LONG["old-state"]]
    assert [key.reveal() for key in settings.link_signing_keys] == [LONG["link"]]
    assert settings.graph_webhook_secret.reveal() == LONG["webhook"]
    assert (settings.local_origins, settings.sealing_key_file, settings.entra_client_secret) == (
        (),
        None,
        None,
    )
    assert settings.azure_client_id == "identity-1"
    assert settings.key_encryption_key == "https://northwind.vault.azure.net/keys/data-keys"


def test_a_deployment_speaks_to_microsofts_own_services() -> None:
    """A deployment that is told nothing else signs work accounts in at Microsoft and reads Microsoft Graph."""
    settings = Settings.load(CLOUD)
    assert settings.entra_authority == "https://login.microsoftonline.com/organizations"
    assert settings.graph_base_url == "https://graph.microsoft.com/v1.0"
    national = {
        "ENTRA_AUTHORITY": "https://login.microsoftonline.us/x",
        "GRAPH_BASE_URL": "https://graph.us/v1.0/",
    }
    told = Settings.load({**CLOUD, **national})
    assert (told.entra_authority, told.graph_base_url) == (
        "https://login.microsoftonline.us/x",
        "https://graph.us/v1.0",
    )


def test_the_settings_of_somebodys_own_machine() -> None:
    """The local profile's settings may use plain http on loopback, and addresses lose a trailing slash."""
    settings = Settings.load(HOME)
    assert settings.local
    assert settings.public_base_url == "http://localhost:7071"
    assert settings.local_origins == ("http://localhost:5001", "http://127.0.0.1:5002")
    assert settings.sealing_key_file == Path(".sandbox/key")
    assert settings.trusted_ca_file == Path(".sandbox/ca.pem")
    assert settings.data_storage is not None
    assert settings.data_storage.reveal() == HOME["DataStorage"]


def test_settings_do_not_change() -> None:
    """Settings do not follow a later change of the environment."""
    environ = dict(CLOUD)
    settings = Settings.load(environ)
    environ["ENTRA_CLIENT_ID"] = "other"
    assert settings.entra_client_id == "client-1"
    assert settings == copy.copy(settings)


def test_everything_that_is_missing_is_told_at_once() -> None:
    """All missing settings are named in one error."""
    named = {fault.partition(":")[0] for fault in faults({})}
    assert named == {*EVERYWHERE, "PROFILE"}
    assert {fault.partition(": ")[2] for fault in faults({})} == {"missing"}
    assert {fault.partition(": ")[2] for fault in faults({"PROFILE": AZURE})} == {"missing"}
    on_azure = {fault.partition(":")[0] for fault in faults({"PROFILE": AZURE})}
    assert on_azure == set(CLOUD) - {"PROFILE", "WEBSITE_SITE_NAME"}


NEEDED = [
    *((name, CLOUD) for name in sorted({*CLOUD} - {"WEBSITE_SITE_NAME"})),
    *((name, HOME) for name in sorted({*HOME} - {"ENTRA_CLIENT_SECRET", "TRUSTED_CA_FILE", "LOCAL_ORIGINS"})),
]


@pytest.mark.parametrize(("name", "base"), NEEDED, ids=[f"{base['PROFILE']}-{name}" for name, base in NEEDED])
def test_each_needed_setting_is_missed(name: str, base: dict[str, str]) -> None:
    """A needed setting that is absent or empty is named as missing."""
    assert f"{name}: missing" in faults({key: value for key, value in base.items() if key != name})
    assert f"{name}: missing" in faults({**base, name: ""})


WRONG = {
    "an unknown profile": ({"PROFILE": "production"}, "PROFILE: one of local, azure"),
    "a profile in capitals": ({"PROFILE": "LOCAL"}, "PROFILE: one of local, azure"),
    "plain http": ({"PUBLIC_BASE_URL": "http://postbraid.example"}, "PUBLIC_BASE_URL: https is needed"),
    "plain http on loopback": ({"GRAPH_BASE_URL": "http://127.0.0.1:5004"}, "GRAPH_BASE_URL: https is needed"),
    "no scheme": ({"ENTRA_AUTHORITY": "login.microsoftonline.com"}, "ENTRA_AUTHORITY: https is needed"),
    "no host": ({"ENTRA_AUTHORITY": "https:///common"}, "ENTRA_AUTHORITY: https is needed"),
    "no address at all": ({"GRAPH_BASE_URL": "https://[::1"}, "GRAPH_BASE_URL: https is needed"),
    "storage in plain http": ({"DataStorage__blobServiceUri": "http://x"}, "DataStorage__blobServiceUri: https"),
    "storage by connection string": ({"DataStorage": "AccountKey=canary"}, "DataStorage: only with PROFILE=local"),
    "storage by another credential": ({"DataStorage__credential": "key"}, "DataStorage__credential: managedidentity"),
    "two identities": ({"DataStorage__clientId": "other"}, "DataStorage__clientId: another than AZURE_CLIENT_ID"),
    "a key in plain http": ({"KEY_ENCRYPTION_KEY": "http://v/keys/k"}, "KEY_ENCRYPTION_KEY: https is needed"),
    "a key of one version": (
        {"KEY_ENCRYPTION_KEY": f"{CLOUD['KEY_ENCRYPTION_KEY']}/0123456789abcdef"},
        "KEY_ENCRYPTION_KEY: https://<vault>/keys/<name>, without a version",
    ),
    "a vault without a key": ({"KEY_ENCRYPTION_KEY": "https://v.vault.azure.net"}, "KEY_ENCRYPTION_KEY: https://<v"),
    "a short secret": ({"GRAPH_WEBHOOK_SECRET": "x" * 31}, "GRAPH_WEBHOOK_SECRET: at least 32 characters"),
    "a short pepper": ({"API_KEY_PEPPER": "x" * 31}, "API_KEY_PEPPER: at least 32 characters"),
    "a short key": ({"LINK_SIGNING_KEYS": "x" * 31}, "LINK_SIGNING_KEYS: one or two of at least 32"),
    "a short old key": ({"CLIENT_STATE_KEYS": f"{'x' * 32},old"}, "CLIENT_STATE_KEYS: one or two of at least 32"),
    "three keys": ({"CLIENT_STATE_KEYS": ",".join(["x" * 32] * 3)}, "CLIENT_STATE_KEYS: one or two"),
    "only commas": ({"CLIENT_STATE_KEYS": ", ,"}, "CLIENT_STATE_KEYS: one or two"),
    "a client secret": ({"ENTRA_CLIENT_SECRET": "canary"}, "ENTRA_CLIENT_SECRET: only with PROFILE=local"),
    "a key file": ({"SEALING_KEY_FILE": "/key"}, "SEALING_KEY_FILE: only with PROFILE=local"),
    "an authority of one's own": ({"TRUSTED_CA_FILE": "/ca"}, "TRUSTED_CA_FILE: only with PROFILE=local"),
    "origins to call": ({"LOCAL_ORIGINS": "http://localhost:1"}, "LOCAL_ORIGINS: only with PROFILE=local"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "fault"), WRONG.values(), ids=WRONG)
def test_a_deployment_with_a_wrong_setting_does_not_start(change: dict[str, str], fault: str) -> None:
    """A wrong setting stops a deployment and is the only one named."""
    (told,) = faults({**CLOUD, **change})
    assert told.startswith(fault)


def test_secrets_of_32_characters_are_long_enough() -> None:
    """Secrets of 32 characters are accepted, as one key or two."""
    short = dict.fromkeys(("GRAPH_WEBHOOK_SECRET", "API_KEY_PEPPER", "LINK_SIGNING_KEYS"), "x" * 32)
    settings = Settings.load({**CLOUD, **short, "CLIENT_STATE_KEYS": f" {'x' * 32} , {'y' * 32} "})
    assert [key.reveal()[0] for key in settings.client_state_keys] == ["x", "y"]


REFERENCE = (
    "@Microsoft.KeyVault(SecretUri=https://northwind.vault.azure.net/secrets/canary-secret-of-some-length)"
)


@pytest.mark.parametrize(
    "name", sorted({*CLOUD, "ENTRA_CLIENT_CERTIFICATE"} - {"WEBSITE_SITE_NAME", "PROFILE"})
)
def test_an_unresolved_key_vault_reference_is_no_value(name: str) -> None:
    """A Key Vault reference that the platform could not resolve is named, and never used as the secret itself."""
    for value in (REFERENCE, f" {REFERENCE}", f"{'x' * 40},{REFERENCE}"):
        if "," in value and name not in {"CLIENT_STATE_KEYS", "LINK_SIGNING_KEYS"}:
            continue
        told = faults({**CLOUD, name: value})
        assert f"{name}: the Key Vault reference is not resolved" in told
        assert f"{name}: missing" not in told or name.startswith(("DataStorage__", "AZURE", "KEY_E"))
        assert "canary" not in "; ".join(told)


@pytest.mark.parametrize("name", ["KEY_ENCRYPTION_KEY", "ENTRA_CLIENT_CERTIFICATE"])
def test_what_belongs_to_azure_is_refused_at_home(name: str) -> None:
    """The local profile refuses what only a deployment has."""
    assert faults({**HOME, name: "https://northwind.vault.azure.net/keys/k"}) == [
        f"{name}: only with PROFILE=azure"
    ]


@pytest.mark.parametrize("name", ["WEBSITE_INSTANCE_ID", "WEBSITE_SITE_NAME"])
def test_the_local_profile_is_refused_on_azure(name: str) -> None:
    """The local profile is refused where the platform's own variables are set (K-5)."""
    assert faults({**HOME, name: "x"}) == [f"PROFILE: local is refused on Azure ({name} is set)"]


@pytest.mark.parametrize(
    "origin",
    [
        "http://crm.example",
        "http://10.0.0.1:5001",
        "http://0.0.0.0:5001",
        "http://169.254.169.254",
        "http://localhost.evil.example:5001",
        "http://127.0.0.1.evil.example:5001",
        "http://localhost@evil.example:5001",
        "localhost:5001",
        "http://[::1",
        "*",
    ],
)
def test_the_local_profile_permits_loopback_and_nothing_else(origin: str) -> None:
    """The local profile refuses any origin or plain http address that is no loopback address."""
    assert faults({**HOME, "LOCAL_ORIGINS": origin}) == [f"LOCAL_ORIGINS: {origin} is no loopback address"]
    assert faults({**HOME, "GRAPH_BASE_URL": origin}) == ["GRAPH_BASE_URL: https is needed"]


@pytest.mark.parametrize(
    "origin", ["http://localhost:5001", "http://127.0.0.1:5001", "http://127.9.9.9", "http://[::1]:5001"]
)
def test_every_loopback_address_is_one(origin: str) -> None:
    """Loopback addresses are known by name and in both IP families."""
    assert Settings.load({**HOME, "LOCAL_ORIGINS": origin, "GRAPH_BASE_URL": origin}).local_origins == (
        origin,
    )


def test_the_local_profile_needs_its_key_file() -> None:
    """The local profile needs a key file to seal with."""
    assert faults({**HOME, "SEALING_KEY_FILE": ""}) == ["SEALING_KEY_FILE: missing"]


@pytest.mark.parametrize("base", [CLOUD, HOME], ids=["azure", "local"])
def test_no_secret_shows_itself(base: dict[str, str]) -> None:
    """Neither the settings' text nor their faults show a secret (L-1)."""
    settings = Settings.load(base)
    for text in (repr(settings), str(settings), f"{settings}", repr(settings.client_state_keys)):
        assert "canary" not in text
        assert "Secret(\u2026)" in text
    everything_wrong = {name: value if "canary" in value else "" for name, value in base.items()}
    everything_wrong |= {"CLIENT_STATE_KEYS": "canary,canary", "API_KEY_PEPPER": "canary"}
    assert "canary" not in "; ".join(faults(everything_wrong))


def test_a_secret_is_shown_only_when_it_is_asked_for() -> None:
    """A secret is shown only by reveal(), never by formatting."""
    secret = Secret("canary")
    assert secret.reveal() == "canary"
    assert "canary" not in f"{secret} {secret!r} {[secret]}"
