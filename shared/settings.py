"""Settings: read once from the environment, all of what is wrong told in one error; docs/settings.md explains each."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

LOCAL: Final = "local"
AZURE: Final = "azure"
ON_AZURE: Final = ("WEBSITE_INSTANCE_ID", "WEBSITE_SITE_NAME")
MIN_SECRET_CHARACTERS: Final = 32
# Without a setting, on Azure. An assertion of a managed identity is unproven for personal accounts, so: organizations.
ENTRA_AUTHORITY: Final = "https://login.microsoftonline.com/organizations"
GRAPH_BASE_URL: Final = "https://graph.microsoft.com/v1.0"
MANAGED_IDENTITY: Final = "managedidentity"
# What App Service leaves in place of a secret that it could not read ("Use Key Vault references as app settings").
UNRESOLVED_REFERENCE: Final = "@Microsoft.KeyVault("
_KEY_URL: Final = re.compile(r"https://[a-z0-9.-]+/keys/[0-9A-Za-z-]{1,127}")


class SettingsError(ValueError):
    """Everything that is missing or wrong: `faults`, each with the setting's name and never its value."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(self.faults))


class Secret:
    """A text that does not show itself."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The text, for the one place that needs it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"


@dataclass(frozen=True, slots=True)
class Settings:
    """What a deployment is told. Addresses have no trailing slash.

    `data_storage` is set with PROFILE=local, the three addresses with PROFILE=azure. `key_encryption_key` is the
    address of a Key Vault key without a version. With neither a client secret nor a certificate, the managed identity
    speaks for the app registration.
    """

    profile: str
    public_base_url: str
    data_storage: Secret | None
    data_table_uri: str | None
    data_queue_uri: str | None
    data_blob_uri: str | None
    azure_client_id: str | None
    entra_client_id: str
    entra_client_secret: Secret | None
    entra_client_certificate: Secret | None
    entra_authority: str
    graph_base_url: str
    sealing_key_file: Path | None
    key_encryption_key: str | None
    graph_webhook_secret: Secret
    client_state_keys: tuple[Secret, ...]
    api_key_pepper: Secret
    link_signing_keys: tuple[Secret, ...]
    trusted_ca_file: Path | None
    local_origins: tuple[str, ...]

    @property
    def local(self) -> bool:
        """Whether this is somebody's own machine."""
        return self.profile == LOCAL

    @classmethod
    def load(cls, environ: Mapping[str, str]) -> Settings:
        """Read the environment. Raises SettingsError naming every fault at once."""
        reader = _Reader(environ)
        local = environ.get("PROFILE") == LOCAL
        settings = cls(
            profile=reader.choice("PROFILE", (LOCAL, AZURE)),
            public_base_url=reader.url("PUBLIC_BASE_URL"),
            data_storage=reader.optional_secret("DataStorage"),
            data_table_uri=reader.optional_url("DataStorage__tableServiceUri"),
            data_queue_uri=reader.optional_url("DataStorage__queueServiceUri"),
            data_blob_uri=reader.optional_url("DataStorage__blobServiceUri"),
            azure_client_id=reader.optional("AZURE_CLIENT_ID"),
            entra_client_id=reader.text("ENTRA_CLIENT_ID"),
            entra_client_secret=reader.optional_secret("ENTRA_CLIENT_SECRET"),
            entra_client_certificate=reader.optional_secret("ENTRA_CLIENT_CERTIFICATE"),
            entra_authority=reader.url("ENTRA_AUTHORITY", "" if local else ENTRA_AUTHORITY),
            graph_base_url=reader.url("GRAPH_BASE_URL", "" if local else GRAPH_BASE_URL),
            sealing_key_file=reader.path("SEALING_KEY_FILE"),
            key_encryption_key=reader.optional_url("KEY_ENCRYPTION_KEY"),
            graph_webhook_secret=reader.secret("GRAPH_WEBHOOK_SECRET"),
            client_state_keys=reader.secrets("CLIENT_STATE_KEYS"),
            api_key_pepper=reader.secret("API_KEY_PEPPER"),
            link_signing_keys=reader.secrets("LINK_SIGNING_KEYS"),
            trusted_ca_file=reader.path("TRUSTED_CA_FILE"),
            local_origins=reader.list("LOCAL_ORIGINS"),
        )
        if settings.local:
            reader.faults += _local_faults(settings, environ)
        elif settings.profile == AZURE:
            reader.faults += _azure_faults(settings, reader)
        if reader.faults:
            raise SettingsError(list(dict.fromkeys(reader.faults)))
        return settings


def _azure_faults(settings: Settings, reader: _Reader) -> list[str]:
    """The host and its scale controller read `DataStorage__credential` and `__clientId`; the app has to agree."""
    only_local = {
        "DataStorage": settings.data_storage,
        "ENTRA_CLIENT_SECRET": settings.entra_client_secret,
        "SEALING_KEY_FILE": settings.sealing_key_file,
        "LOCAL_ORIGINS": settings.local_origins,
        "TRUSTED_CA_FILE": settings.trusted_ca_file,
    }
    faults = [f"{name}: only with PROFILE=local" for name, value in only_local.items() if value]
    needed = {
        "DataStorage__tableServiceUri": settings.data_table_uri,
        "DataStorage__queueServiceUri": settings.data_queue_uri,
        "DataStorage__blobServiceUri": settings.data_blob_uri,
        "AZURE_CLIENT_ID": settings.azure_client_id,
        "KEY_ENCRYPTION_KEY": settings.key_encryption_key,
    }
    faults += [f"{name}: missing" for name, value in needed.items() if not value]
    credential, client_id = reader.text("DataStorage__credential"), reader.text("DataStorage__clientId")
    if credential and credential != MANAGED_IDENTITY:
        faults.append(f"DataStorage__credential: {MANAGED_IDENTITY}")
    if client_id and settings.azure_client_id and client_id != settings.azure_client_id:
        faults.append("DataStorage__clientId: another than AZURE_CLIENT_ID")
    key = settings.key_encryption_key
    if key and _scheme(key) == "https" and _KEY_URL.fullmatch(key) is None:
        faults.append("KEY_ENCRYPTION_KEY: https://<vault>/keys/<name>, without a version")
    return faults


def _local_faults(settings: Settings, environ: Mapping[str, str]) -> list[str]:
    only_azure = {
        "KEY_ENCRYPTION_KEY": settings.key_encryption_key,
        "ENTRA_CLIENT_CERTIFICATE": settings.entra_client_certificate,
    }
    faults = [f"{name}: only with PROFILE=azure" for name, value in only_azure.items() if value]
    faults += [
        f"PROFILE: local is refused on Azure ({name} is set)" for name in ON_AZURE if environ.get(name)
    ]
    if settings.data_storage is None:
        faults.append("DataStorage: missing")
    if settings.sealing_key_file is None:
        faults.append("SEALING_KEY_FILE: missing")
    faults += [
        f"LOCAL_ORIGINS: {origin} is no loopback address"
        for origin in settings.local_origins
        if not _loopback(origin)
    ]
    return faults


def _scheme(address: str) -> str:
    """The scheme of an address that has a host; "" when it is no address."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    return parts.scheme if parts.hostname else ""


def _loopback(origin: str) -> bool:
    try:
        host = urlsplit(origin).hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


class _Reader:
    """Reads variables and collects faults. A Key Vault reference that was not resolved counts as no value."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.faults: list[str] = []

    def _read(self, name: str) -> tuple[str, bool]:
        """(the value, whether it is there but may not be used)."""
        value = self._environ.get(name, "")
        if value.lstrip().startswith(UNRESOLVED_REFERENCE):
            self.faults.append(f"{name}: the Key Vault reference is not resolved")
            return "", True
        return value, False

    def optional(self, name: str) -> str | None:
        return self._read(name)[0] or None

    def text(self, name: str, otherwise: str = "") -> str:
        value, unusable = self._read(name)
        if not value and not otherwise and not unusable:
            self.faults.append(f"{name}: missing")
        return value or otherwise

    def choice(self, name: str, allowed: tuple[str, ...]) -> str:
        value = self.text(name)
        if value and value not in allowed:
            self.faults.append(f"{name}: one of {', '.join(allowed)}")
        return value

    def url(self, name: str, otherwise: str = "") -> str:
        """https, or http on exactly a loopback address when the profile is local."""
        value = self.text(name, otherwise).rstrip("/")
        plain = self._environ.get("PROFILE") == LOCAL and _scheme(value) == "http" and _loopback(value)
        if value and not (_scheme(value) == "https" or plain):
            self.faults.append(f"{name}: https is needed")
        return value

    def optional_url(self, name: str) -> str | None:
        return self.url(name) if self._environ.get(name) else None

    def optional_secret(self, name: str) -> Secret | None:
        value = self.optional(name)
        return Secret(value) if value else None

    def secret(self, name: str) -> Secret:
        value = self.text(name)
        if value and len(value) < MIN_SECRET_CHARACTERS:
            self.faults.append(f"{name}: at least {MIN_SECRET_CHARACTERS} characters")
        return Secret(value)

    def secrets(self, name: str) -> tuple[Secret, ...]:
        """One or two, comma separated: the first makes, both are accepted."""
        text = self.text(name)
        values = [value.strip() for value in text.split(",") if value.strip()]
        fit = len(values) in (1, 2) and all(len(value) >= MIN_SECRET_CHARACTERS for value in values)
        if text and not fit:
            self.faults.append(f"{name}: one or two of at least {MIN_SECRET_CHARACTERS} characters")
        elif any(value.startswith(UNRESOLVED_REFERENCE) for value in values):
            self.faults.append(f"{name}: the Key Vault reference is not resolved")
        return tuple(Secret(value) for value in values)

    def path(self, name: str) -> Path | None:
        value = self.optional(name)
        return Path(value) if value else None

    def list(self, name: str) -> tuple[str, ...]:
        items = (self.optional(name) or "").split(",")
        return tuple(item.strip().rstrip("/") for item in items if item.strip())
