"""Key Vault references in app settings, resolved as App Service does it before it starts an app.

Source: Microsoft, "Use Key Vault references as app settings in Azure App Service and Azure Functions". A reference that
cannot be resolved stays as it is: the app sees its text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import httpx

from sandbox.azuresim.identity import API_VERSION
from sandbox.azuresim.tokens import VAULT
from sandbox.names import Names, http_transport

REFERENCE = re.compile(r"@Microsoft\.KeyVault\(SecretUri=(https://[^)]+)\)")


async def resolve(environ: Mapping[str, str], client_id: str, names: Names) -> dict[str, str]:
    """The settings with each reference replaced by its secret, read with the identity `client_id`."""
    asked = {"api-version": API_VERSION, "resource": VAULT, "client_id": client_id}
    async with httpx.AsyncClient(transport=http_transport(names)) as http:
        header = {"X-IDENTITY-HEADER": environ["IDENTITY_HEADER"]}
        token = await http.get(environ["IDENTITY_ENDPOINT"], params=asked, headers=header)
        bearer = {"Authorization": f"Bearer {token.raise_for_status().json()['access_token']}"}
        resolved = dict(environ)
        for name, value in environ.items():
            if found := REFERENCE.fullmatch(value):
                answer = await http.get(found[1], params={"api-version": "7.6"}, headers=bearer)
                resolved[name] = answer.json()["value"] if answer.is_success else value
    return resolved
