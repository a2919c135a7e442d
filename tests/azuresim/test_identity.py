"""The identity endpoint, asked by azure-identity and by hand."""

from __future__ import annotations

import time
from collections.abc import Mapping

import httpx
import jwt
import pytest
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from azure.identity import CredentialUnavailableError
from azure.identity.aio import ManagedIdentityCredential

from tests.azuresim.conftest import APP, HEADER, TENANT, Standing

ASKED = {"api-version": "2019-08-01", "resource": "https://vault.azure.net", "client_id": APP.client_id}


@pytest.mark.parametrize(
    ("scope", "issuer"),
    [
        ("https://vault.azure.net/.default", f"https://sts.windows.net/{TENANT}/"),
        ("https://storage.azure.com/.default", f"https://sts.windows.net/{TENANT}/"),
        ("api://AzureADTokenExchange/.default", f"https://login.microsoftonline.com/{TENANT}/v2.0"),
    ],
)
async def test_tokens(
    standing: Standing, identity: ManagedIdentityCredential, scope: str, issuer: str
) -> None:
    """The SDK gets a signed token of the app's identity for the resource alone, which lives about a day."""
    before = int(time.time())
    got = await identity.get_token(scope)
    audience = scope.removesuffix("/.default")
    claims = jwt.decode(got.token, standing.azure.issuer.key.public_key(), ["RS256"], audience=audience)
    assert (claims["iss"], claims["sub"], claims["oid"]) == (issuer, APP.principal_id, APP.principal_id)
    assert claims["tid"] == TENANT
    assert got.expires_on == claims["exp"]
    assert 23 * 3600 < got.expires_on - before <= 24 * 3600 + 5


async def test_the_answer(standing: Standing) -> None:
    """The answer has the members of App Service's protocol, and `expires_on` is text."""
    async with httpx.AsyncClient() as http:
        answer = (
            await http.get(standing.endpoint, params=ASKED, headers={"X-IDENTITY-HEADER": HEADER})
        ).json()
    assert set(answer) == {"access_token", "client_id", "expires_on", "resource", "token_type"}
    assert answer["expires_on"].isdigit()
    assert (answer["token_type"], answer["resource"]) == ("Bearer", ASKED["resource"])


@pytest.mark.parametrize(
    ("changes", "headers", "status"),
    [
        ({}, {}, 401),
        ({}, {"X-IDENTITY-HEADER": "guessed"}, 401),
        ({}, {"Metadata": "true"}, 401),
        ({"client_id": None}, {"X-IDENTITY-HEADER": HEADER}, 400),
        ({"client_id": APP.principal_id}, {"X-IDENTITY-HEADER": HEADER}, 400),
        ({"resource": None}, {"X-IDENTITY-HEADER": HEADER}, 400),
        ({"resource": "https://graph.microsoft.com"}, {"X-IDENTITY-HEADER": HEADER}, 400),
        ({"resource": "https://vault.azure.net/.default"}, {"X-IDENTITY-HEADER": HEADER}, 400),
        ({"api-version": "2017-09-01"}, {"X-IDENTITY-HEADER": HEADER}, 400),
    ],
)
async def test_refusals(
    standing: Standing, changes: Mapping[str, str | None], headers: Mapping[str, str], status: int
) -> None:
    """Without the header, for another identity or for an unknown resource there is no token."""
    asked = {name: value for name, value in ({**ASKED, **changes}).items() if value is not None}
    async with httpx.AsyncClient() as http:
        answer = await http.get(standing.endpoint, params=asked, headers=dict(headers))
    assert answer.status_code == status
    assert "access_token" not in answer.json()


async def test_what_the_sdk_makes_of_it(standing: Standing, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a wrong header or a wrong client id the SDK's credential raises and gives no token."""
    refused = (ClientAuthenticationError, CredentialUnavailableError, HttpResponseError)
    async with ManagedIdentityCredential(client_id="unknown") as other:
        with pytest.raises(refused):
            await other.get_token("https://vault.azure.net/.default")
    monkeypatch.setenv("IDENTITY_HEADER", "guessed")
    async with ManagedIdentityCredential(client_id=APP.client_id) as credential:
        with pytest.raises(refused):
            await credential.get_token("https://vault.azure.net/.default")
