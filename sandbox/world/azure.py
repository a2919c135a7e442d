"""A world as on Azure: the stand-ins, the names that lead to them, and exactly the settings that Bicep writes."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from sandbox.azuresim.azd import write_command
from sandbox.azuresim.config import Assignment, Config, Principal
from sandbox.azuresim.references import resolve
from sandbox.azurite import SERVICES, Azurite
from sandbox.certificates import Certificates
from sandbox.names import Names
from sandbox.processes import free_ports
from sandbox.world import addresses as at
from sandbox.world.places import Place
from sandbox.world.secrets import CLIENT_ID, own_environment

TENANT_ID = str(uuid.uuid5(uuid.NAMESPACE_DNS, "azure.postbraid.example"))
IDENTITY = Principal(
    str(uuid.uuid5(uuid.NAMESPACE_DNS, "identity.postbraid.example")),
    str(uuid.uuid5(uuid.NAMESPACE_DNS, "principal.postbraid.example")),
)
OPERATOR = Principal(
    "04b07795-8ddb-461a-bbee-02f9e1bf7b46",  # the Azure CLI, for whom its tokens are issued
    str(uuid.uuid5(uuid.NAMESPACE_DNS, "operator.postbraid.example")),
)
KEY_NAME = "key-encryption-key"
SECRETS = {
    "GRAPH_WEBHOOK_SECRET": "graph-webhook-secret",
    "CLIENT_STATE_KEYS": "client-state-keys",
    "API_KEY_PEPPER": "api-key-pepper",
    "LINK_SIGNING_KEYS": "link-signing-keys",
}
"""The settings that are Key Vault references, with the names of their secrets."""
ROLES = (
    Assignment("Key Vault Crypto User", IDENTITY.principal_id, f"keys/{KEY_NAME}"),
    Assignment("Key Vault Secrets User", IDENTITY.principal_id),
    Assignment("Key Vault Crypto Officer", OPERATOR.principal_id),
    Assignment("Key Vault Secrets Officer", OPERATOR.principal_id),
)


@dataclass(frozen=True, slots=True)
class AzurePorts:
    """Where the stand-ins listen."""

    identity: int
    vault: int

    @property
    def endpoint(self) -> str:
        """App Service's identity endpoint."""
        return f"http://localhost:{self.identity}/msi/token"

    @property
    def url(self) -> str:
        """Where the controls of the stand-ins are, below /__control."""
        return f"http://localhost:{self.identity}"


def prepare(place: Place, certificates: Certificates, azurite: Azurite) -> tuple[AzurePorts, Config, Names]:
    """Choose ports and write the files of the stand-ins: who exists, and which name leads where."""
    ports = AzurePorts(*free_ports(2))
    config = Config(
        tenant_id=TENANT_ID,
        vault_host=at.VAULT_HOST,
        identity=IDENTITY,
        identity_header=secrets.token_hex(16),
        operator=OPERATOR,
        keys=(KEY_NAME,),
        secrets={name: secrets.token_urlsafe(48) for name in SECRETS.values()},
        roles=ROLES,
    )
    config.write(place.azure_file)
    by_service = {"blob": azurite.blob_port, "queue": azurite.queue_port, "table": azurite.table_port}
    names = Names(
        str(certificates.ca),
        {
            at.APP_HOST: place.ports.app,
            at.CRM_HOST: place.ports.crm,
            **dict.fromkeys((at.GRAPH_HOST, at.ENTRA_HOST, at.UPLOADS_HOST), place.ports.sim_https),
            at.VAULT_HOST: ports.vault,
            **{
                at.storage_host(account, service): port
                for account in (at.HOST_ACCOUNT, at.DATA_ACCOUNT)
                for service, port in by_service.items()
            },
        },
        {at.CRM_HOST: at.CRM_ADDRESS},
    )
    names.write(place.names_file)
    return ports, config, names


def product_environment(ports: AzurePorts, config: Config, names: Names) -> dict[str, str]:
    """The product's environment on App Service: its settings with references resolved, and what the platform adds."""
    platform = {
        "WEBSITE_SITE_NAME": at.SITE,
        "WEBSITE_INSTANCE_ID": uuid.uuid4().hex,
        "IDENTITY_ENDPOINT": ports.endpoint,
        "IDENTITY_HEADER": config.identity_header,
        "AZURE_FUNCTIONS_ENVIRONMENT": "Production",
    }
    return asyncio.run(resolve(settings() | platform, IDENTITY.client_id, names))


def settings() -> dict[str, str]:
    """The app settings, as they stand on the site."""
    return {
        "PROFILE": "azure",
        "PUBLIC_BASE_URL": f"https://{at.APP_HOST}",
        "AZURE_CLIENT_ID": IDENTITY.client_id,
        **_storage("AzureWebJobsStorage", at.HOST_ACCOUNT),
        **_storage("DataStorage", at.DATA_ACCOUNT),
        "KEY_ENCRYPTION_KEY": f"https://{at.VAULT_HOST}/keys/{KEY_NAME}",
        "ENTRA_CLIENT_ID": CLIENT_ID,
        **{
            setting: f"@Microsoft.KeyVault(SecretUri=https://{at.VAULT_HOST}/secrets/{name})"
            for setting, name in SECRETS.items()
        },
    }


def _storage(connection: str, account: str) -> dict[str, str]:
    uris = {f"{connection}__{name}ServiceUri": at.storage_url(account, name) for name in SERVICES}
    identity = {f"{connection}__credential": "managedidentity", f"{connection}__clientId": IDENTITY.client_id}
    return uris | identity


def outputs() -> dict[str, str]:
    """What azd keeps of the deployment: the outputs of Bicep."""
    services = {"TABLE": "table", "QUEUE": "queue", "BLOB": "blob"}
    return {
        "AZURE_TENANT_ID": TENANT_ID,
        "PUBLIC_BASE_URL": f"https://{at.APP_HOST}",
        "IDENTITY_CLIENT_ID": IDENTITY.client_id,
        "IDENTITY_PRINCIPAL_ID": IDENTITY.principal_id,
        "KEY_VAULT_URI": f"https://{at.VAULT_HOST}",
        "KEY_ENCRYPTION_KEY": f"https://{at.VAULT_HOST}/keys/{KEY_NAME}",
        "ENTRA_CLIENT_ID": CLIENT_ID,
        **{
            f"DATA_STORAGE_{name}_URI": at.storage_url(at.DATA_ACCOUNT, service)
            for name, service in services.items()
        },
    }


def operator_environment(place: Place, ports: AzurePorts) -> dict[str, str]:
    """The environment of an operator who is signed in to azd in the deployment's folder, and has nothing else."""
    kept = place.folder / "azd-outputs.json"
    kept.write_text(json.dumps(outputs()), encoding="utf-8")
    commands = place.folder / "commands"
    write_command(commands, ports.url, kept)
    plain = {name: value for name, value in azure_environment().items() if name not in outputs()}
    plain.pop("PROFILE", None)
    return plain | {"PATH": f"{commands}{os.pathsep}{plain.get('PATH', '')}"}


def azure_environment() -> dict[str, str]:
    """This process's environment without anything of Azure: nobody's own sign-in reaches the world's programs."""
    foreign = ("AZURE_", "IDENTITY_", "MSI_", "WEBSITE_", "AzureWebJobs", "DataStorage")
    return {name: value for name, value in own_environment().items() if not name.startswith(foreign)}


def register_application(sim_url: str, azure_url: str, redirect_uris: list[str]) -> None:
    """What the deployment's hooks do at Entra: an application without a secret that trusts the app's identity."""
    with httpx.Client(trust_env=False, timeout=10.0) as http:
        issuer: Mapping[str, Any] = http.get(f"{azure_url}/__control/keys").raise_for_status().json()
        trusted = {"issuer": issuer["issuer"], "subject": IDENTITY.principal_id}
        http.post(f"{sim_url}/__control/issuers", json=issuer).raise_for_status()
        application = {"client_id": CLIENT_ID, "redirect_uris": redirect_uris, "federated": [trusted]}
        http.post(f"{sim_url}/__control/applications", json=application).raise_for_status()
