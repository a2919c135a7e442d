"""The settings that the app is given are those that it reads, and the app takes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from shared.settings import AZURE, Settings, SettingsError
from tests.infra.installation import SETS, Installation, installation

both = pytest.mark.parametrize("name", SETS)

REFERENCE = re.compile(
    r"@Microsoft\.KeyVault\(SecretUri=https://([\w-]+)\.vault\.azure\.net/secrets/([\w-]+)\)"
)
# What the Functions host reads, its extensions and its scale controller.
OF_THE_HOST = {
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "AzureWebJobsStorage__blobServiceUri",
    "AzureWebJobsStorage__clientId",
    "AzureWebJobsStorage__credential",
    "AzureWebJobsStorage__queueServiceUri",
    "AzureWebJobsStorage__tableServiceUri",
    "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT",
}
# Read by the app and not set: what belongs to PROFILE=local, and what has a default.
NOT_SET = {
    "DataStorage",
    "ENTRA_CLIENT_SECRET",
    "GRAPH_BASE_URL",
    "LOCAL_ORIGINS",
    "SEALING_KEY_FILE",
    "TRUSTED_CA_FILE",
}
OPTIONAL = {"ENTRA_AUTHORITY", "ENTRA_CLIENT_CERTIFICATE"}
# "Flex Consumption plan deprecations": these are refused, or do nothing there.
NOT_ON_FLEX = {
    "ENABLE_ORYX_BUILD",
    "FUNCTIONS_EXTENSION_VERSION",
    "FUNCTIONS_MAX_HTTP_CONCURRENCY",
    "FUNCTIONS_WORKER_DYNAMIC_CONCURRENCY_ENABLED",
    "FUNCTIONS_WORKER_PROCESS_COUNT",
    "FUNCTIONS_WORKER_RUNTIME",
    "FUNCTIONS_WORKER_RUNTIME_VERSION",
    "SCM_DO_BUILD_DURING_DEPLOYMENT",
    "TZ",
    "WEBSITE_CONTENTAZUREFILECONNECTIONSTRING",
    "WEBSITE_CONTENTOVERVNET",
    "WEBSITE_CONTENTSHARE",
    "WEBSITE_DNS_SERVER",
    "WEBSITE_LOAD_CERTIFICATES",
    "WEBSITE_MAX_DYNAMIC_APPLICATION_SCALE_OUT",
    "WEBSITE_NODE_DEFAULT_VERSION",
    "WEBSITE_RUN_FROM_PACKAGE",
    "WEBSITE_SKIP_CONTENTSHARE_VALIDATION",
    "WEBSITE_TIME_ZONE",
    "WEBSITE_VNET_ROUTE_ALL",
}


class Asked(dict[str, str]):
    """An environment that remembers what it was asked for."""

    def __init__(self, values: Mapping[str, str]) -> None:
        super().__init__(values)
        self.names: set[str] = set()

    def get(self, key: str, default: str | None = None) -> str | None:  # type: ignore[override]
        self.names.add(key)
        return super().get(key, default)


@cache
def certificate() -> str:
    """A self-signed certificate with its key, as a Key Vault secret holds it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "check")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return (private + signed.public_bytes(Encoding.PEM)).decode()


def resolved(found: Installation) -> Asked:
    """The settings with every Key Vault reference replaced by what Bicep puts there, as App Service does."""
    secrets = {
        "entra-client": certificate(),
        **{
            resource.last_name: "-".join(2 * ["00000000-0000-4000-8000-000000000000"])
            for resource in found.all("vaults/secrets")
        },
    }
    vault = found.one("vaults").name
    values = {}
    for name, value in found.settings().items():
        reference = REFERENCE.fullmatch(value)
        assert reference or "@Microsoft" not in value, name
        assert reference is None or reference[1] == vault
        values[name] = secrets[reference[2]] if reference else value
    return Asked(values)


@both
def test_the_app_takes_its_settings(name: str) -> None:
    """With the references resolved, Settings.load finds no fault."""
    environ = resolved(installation(name))
    settings = Settings.load(environ)
    assert settings.profile == AZURE
    assert settings.public_base_url == environ["PUBLIC_BASE_URL"]


@both
def test_the_app_is_given_exactly_what_it_reads(name: str) -> None:
    """Each setting is read by the app or by the host, and the app lacks none but local and optional ones."""
    environ = resolved(installation(name))
    Settings.load(environ)
    optional = OPTIONAL - set(environ)
    assert set(environ) - OF_THE_HOST == environ.names - NOT_SET - optional - {
        asked for asked in environ.names if asked.startswith("WEBSITE_")
    }
    assert set(environ) >= OF_THE_HOST


@both
def test_unresolved_references_are_refused(name: str) -> None:
    """A reference that could not be read arrives as its own text, and each such setting is named as a fault."""
    settings = installation(name).settings()
    references = {key for key, value in settings.items() if REFERENCE.fullmatch(value)}
    expected = {"API_KEY_PEPPER", "CLIENT_STATE_KEYS", "GRAPH_WEBHOOK_SECRET", "LINK_SIGNING_KEYS"}
    assert references - {"ENTRA_CLIENT_CERTIFICATE"} == expected
    with pytest.raises(SettingsError) as refused:
        Settings.load(settings)
    assert all(key in str(refused.value) for key in references)


@both
def test_nothing_is_set_that_flex_does_not_take(name: str) -> None:
    """No setting is one that Flex Consumption refuses or ignores."""
    assert set(installation(name).settings()) & NOT_ON_FLEX == set()


@both
def test_bodies_are_bounded_by_the_host(name: str) -> None:
    """The host refuses request bodies over 5 MiB before Python gets them (X-2)."""
    assert installation(name).settings()["FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"] == str(5 * 1024 * 1024)


@both
def test_telemetry_goes_out_with_the_identity(name: str) -> None:
    """The host signs its telemetry with the same identity that the app uses."""
    settings = installation(name).settings()
    expected = f"ClientId={settings['AZURE_CLIENT_ID']};Authorization=AAD"
    assert settings["APPLICATIONINSIGHTS_AUTHENTICATION_STRING"] == expected


@both
def test_settings_stand_apart_from_the_site(name: str) -> None:
    """The site itself carries no settings: they would be resolved before the identity may read the vault."""
    assert "appSettings" not in installation(name).one("sites").properties["siteConfig"]
