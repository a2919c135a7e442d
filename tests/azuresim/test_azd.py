"""An operator's sign-in: the commands of `azd` that the SDK and the operator's commands run."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import jwt
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity.aio import AzureDeveloperCliCredential

from sandbox.azuresim.azd import write_command
from tests.azuresim.conftest import OPERATOR, TENANT, Standing

pytestmark = pytest.mark.processes


@pytest.fixture
def folder(standing: Standing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with `azd` in it, first on the path."""
    outputs = tmp_path / "outputs.json"
    outputs.write_text(json.dumps({"KEY_VAULT_URI": "https://kv-stand-in.vault.azure.net"}), encoding="utf-8")
    write_command(tmp_path / "commands", standing.endpoint.removesuffix("/msi/token"), outputs)
    monkeypatch.setenv("PATH", f"{tmp_path / 'commands'}{os.pathsep}{os.environ['PATH']}")
    return tmp_path / "commands"


async def test_an_operators_token(standing: Standing, folder: Path) -> None:
    """The SDK's credential for azd gets a token of the operator, not of the app."""
    async with AzureDeveloperCliCredential(tenant_id=TENANT) as credential:
        got = await credential.get_token("https://vault.azure.net/.default")
    claims = standing.azure.issuer.read(got.token)
    assert claims["oid"] == OPERATOR.principal_id
    assert claims["exp"] == jwt.decode(got.token, options={"verify_signature": False})["exp"]


async def test_no_token_for_others(folder: Path) -> None:
    """For a resource that the stand-ins do not have there is no token."""
    async with AzureDeveloperCliCredential(tenant_id=TENANT) as credential:
        with pytest.raises(ClientAuthenticationError):
            await credential.get_token("https://management.azure.com/.default")


def test_the_outputs(folder: Path) -> None:
    """The outputs of the deployment are told by azd, which refuses every other command."""
    told = subprocess.run(
        [folder / "azd", "env", "get-values", "--output", "json"],
        capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert json.loads(told.stdout) == {"KEY_VAULT_URI": "https://kv-stand-in.vault.azure.net"}
    refused = subprocess.run([folder / "azd", "up"], capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "azd up: not imitated" in refused.stderr
