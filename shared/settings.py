"""Settings: read once from the environment, all of what is wrong told in one error; docs/settings.md explains each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

LOCAL: Final = "local"
AZURE: Final = "azure"
ON_AZURE: Final = ("WEBSITE_INSTANCE_ID", "WEBSITE_SITE_NAME")
MIN_SECRET_CHARACTERS: Final = 32


class SettingsError(ValueError):
    """Everything that is missing or wrong, in one text."""


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
    """What a deployment is told. Addresses have no trailing slash."""

    profile: str
    public_base_url: str
    data_storage: Secret | None
    data_table_uri: str | None
    data_queue_uri: str | None
    data_blob_uri: str | None
    azure_client_id: str | None
    entra_client_id: str
    entra_client_secret: Secret | None
    entra_authority: str
    graph_base_url: str
    sealing_key_file: Path | None
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
            entra_authority=reader.url("ENTRA_AUTHORITY"),
            graph_base_url=reader.url("GRAPH_BASE_URL"),
            sealing_key_file=reader.path("SEALING_KEY_FILE"),
            graph_webhook_secret=reader.secret("GRAPH_WEBHOOK_SECRET"),
            client_state_keys=reader.secrets("CLIENT_STATE_KEYS"),
            api_key_pepper=reader.secret("API_KEY_PEPPER"),
            link_signing_keys=reader.secrets("LINK_SIGNING_KEYS"),
            trusted_ca_file=reader.path("TRUSTED_CA_FILE"),
            local_origins=reader.list("LOCAL_ORIGINS"),
        )
        reader.faults += _faults(settings, environ)
        if reader.faults:
            raise SettingsError("; ".join(reader.faults))
        return settings


def _faults(settings: Settings, environ: Mapping[str, str]) -> list[str]:
    """What fits no single setting: the profile and everything that only one of them may have."""
    faults = []
    addresses = (settings.data_table_uri, settings.data_queue_uri, settings.data_blob_uri)
    if settings.data_storage is None and None in addresses:
        faults.append("DataStorage: missing (or all of DataStorage__tableServiceUri, …queue… and …blob…)")
    if settings.local:
        faults += _local_faults(settings, environ)
    elif settings.profile == AZURE:
        only_local = {
            "ENTRA_CLIENT_SECRET": settings.entra_client_secret,
            "SEALING_KEY_FILE": settings.sealing_key_file,
            "LOCAL_ORIGINS": settings.local_origins,
            "TRUSTED_CA_FILE": settings.trusted_ca_file,
        }
        faults += [f"{name}: only with PROFILE=local" for name, value in only_local.items() if value]
    return faults


def _local_faults(settings: Settings, environ: Mapping[str, str]) -> list[str]:
    faults = [f"PROFILE: local is refused on Azure ({name} is set)" for name in ON_AZURE if environ.get(name)]
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
    """Reads variables and collects faults."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.faults: list[str] = []

    def optional(self, name: str) -> str | None:
        return self._environ.get(name) or None

    def text(self, name: str) -> str:
        value = self._environ.get(name, "")
        if not value:
            self.faults.append(f"{name}: missing")
        return value

    def choice(self, name: str, allowed: tuple[str, ...]) -> str:
        value = self.text(name)
        if value and value not in allowed:
            self.faults.append(f"{name}: one of {', '.join(allowed)}")
        return value

    def url(self, name: str) -> str:
        """https, or http on exactly a loopback address when the profile is local."""
        value = self.text(name).rstrip("/")
        plain = self._environ.get("PROFILE") == LOCAL and _scheme(value) == "http" and _loopback(value)
        if value and not (_scheme(value) == "https" or plain):
            self.faults.append(f"{name}: https is needed")
        return value

    def optional_url(self, name: str) -> str | None:
        return self.url(name) if self.optional(name) else None

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
        return tuple(Secret(value) for value in values)

    def path(self, name: str) -> Path | None:
        value = self.optional(name)
        return Path(value) if value else None

    def list(self, name: str) -> tuple[str, ...]:
        return tuple(
            item.strip().rstrip("/") for item in self._environ.get(name, "").split(",") if item.strip()
        )
