"""The settings of a deployment, read on an operator's machine: azd's environment and the secrets in its vault.

Names of the outputs: `infra/main.bicep`. azd writes them into its environment ("azd env get-values").
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from shared.settings import AZURE, MANAGED_IDENTITY, SettingsError

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential

    from shared.transport import Dial

VAULT: Final = "KEY_VAULT_URI"
# Setting of the app: output of the deployment.
OUTPUTS: Final = {
    "PUBLIC_BASE_URL": "PUBLIC_BASE_URL",
    "DataStorage__tableServiceUri": "DATA_STORAGE_TABLE_URI",
    "DataStorage__queueServiceUri": "DATA_STORAGE_QUEUE_URI",
    "DataStorage__blobServiceUri": "DATA_STORAGE_BLOB_URI",
    "DataStorage__clientId": "IDENTITY_CLIENT_ID",
    "AZURE_CLIENT_ID": "IDENTITY_CLIENT_ID",
    "KEY_ENCRYPTION_KEY": "KEY_ENCRYPTION_KEY",
    "ENTRA_CLIENT_ID": "ENTRA_CLIENT_ID",
}
# Setting of the app: secret in the vault.
SECRETS: Final = {
    "GRAPH_WEBHOOK_SECRET": "graph-webhook-secret",
    "CLIENT_STATE_KEYS": "client-state-keys",
    "API_KEY_PEPPER": "api-key-pepper",
    "LINK_SIGNING_KEYS": "link-signing-keys",
}
AZD_SECONDS: Final = 60


def find_deployment(environ: Mapping[str, str]) -> Mapping[str, str] | None:
    """The outputs of the deployment: from the environment, as in azd's hooks, else asked of azd in this folder.

    None where the environment has the app's own settings, or azd knows of no deployment here.
    """
    if environ.get("PROFILE"):
        return None
    if environ.get(VAULT):
        return environ
    try:
        done = subprocess.run(
            ["azd", "env", "get-values", "--output", "json"],  # noqa: S607 - azd is found as the operator finds it
            capture_output=True,
            text=True,
            check=True,
            timeout=AZD_SECONDS,
        )
        values = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    if not isinstance(values, dict) or not values.get(VAULT):
        return None
    return {str(name): str(value) for name, value in values.items()}


async def read_settings(
    deployment: Mapping[str, str],
    credential: AsyncTokenCredential,
    ca_file: str | None = None,
    dial: Dial | None = None,
) -> dict[str, str]:
    """The settings that the deployed app has; `ca_file` and `dial` as in `shared.azure_http`.

    Raises SettingsError when the vault does not give its secrets.
    """
    from azure.core.exceptions import AzureError
    from azure.keyvault.secrets.aio import SecretClient

    from shared.azure_http import AzureTransport

    settings = {name: deployment.get(output, "") for name, output in OUTPUTS.items()}
    settings |= {"PROFILE": AZURE, "DataStorage__credential": MANAGED_IDENTITY}
    async with SecretClient(deployment[VAULT], credential, transport=AzureTransport(ca_file, dial)) as vault:
        for name, secret in SECRETS.items():
            try:
                settings[name] = (await vault.get_secret(secret)).value or ""
            except AzureError as err:
                status = getattr(err, "status_code", None)
                answered = f"answered {status}" if status else "cannot be reached, or nobody is signed in"
                hint = "; sign in with `azd auth login`, and have a role that reads the vault's secrets"
                raise SettingsError([f"{VAULT}: the vault {answered}{hint}"]) from err
    return settings
