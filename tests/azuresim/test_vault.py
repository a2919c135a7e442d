"""The vault, met by the SDK's clients and, for what the SDK would not do, by hand."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any, Self

import httpx
import jwt
import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.identity.aio import ManagedIdentityCredential
from azure.keyvault.keys.aio import KeyClient
from azure.keyvault.keys.crypto import KeyWrapAlgorithm
from azure.keyvault.keys.crypto.aio import CryptographyClient
from azure.keyvault.secrets.aio import SecretClient
from cryptography.hazmat.primitives.asymmetric import rsa

from sandbox.names import Names, http_transport
from tests.azuresim.conftest import APP, OPERATOR, TENANT, VAULT_HOST, Standing

VAULT_URL = f"https://{VAULT_HOST}"
KEK = f"{VAULT_URL}/keys/kek"
DATA_KEY = bytes(range(32))
OAEP_256 = KeyWrapAlgorithm.rsa_oaep_256


class Operator:
    """The deployer's credential: a token of the directory, as the command line would get it."""

    def __init__(self, standing: Standing) -> None:
        self._issuer = standing.azure.issuer

    async def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        made = self._issuer.issue(OPERATOR, scopes[0].removesuffix("/.default"))
        return AccessToken(made["access_token"], made["expires_on"])

    async def close(self) -> None:
        """Hold nothing."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Hold nothing."""


@pytest.fixture
async def transport(standing: Standing) -> AsyncIterator[Any]:
    async with standing.transport() as made:
        yield made


def crypto(identity: Any, transport: Any, key: str = KEK) -> CryptographyClient:
    return CryptographyClient(key, identity, transport=transport, retry_total=0)


def did(standing: Standing) -> list[tuple[str, int, int | None]]:
    return [
        (entry.action, entry.status, entry.bytes) for entry in standing.azure.vault.log if entry.status != 401
    ]


async def test_wrapping_and_unwrapping(
    standing: Standing, identity: ManagedIdentityCredential, transport: Any
) -> None:
    """A data key is wrapped under the key's newest version and comes back by the recorded one."""
    async with crypto(identity, transport) as client:
        wrapped = await client.wrap_key(OAEP_256, DATA_KEY)
    version = standing.azure.vault.key("kek").version
    assert wrapped.key_id == f"{KEK}/{version}"
    assert DATA_KEY not in wrapped.encrypted_key
    async with crypto(identity, transport, str(wrapped.key_id)) as client:
        assert (await client.unwrap_key(OAEP_256, wrapped.encrypted_key)).key == DATA_KEY
    assert ("keys/unwrap/action", 200, 32) in did(standing)


async def test_wrapping_over_there(identity: ManagedIdentityCredential, standing: Standing) -> None:
    """Asked itself, the vault wraps too, and writes down how many bytes it was."""
    version = standing.azure.vault.key("kek").version
    answer = await by_hand(
        standing,
        "POST",
        f"/keys/kek/{version}/wrapkey",
        identity,
        json={"alg": "RSA-OAEP-256", "value": "AAEC"},
    )
    assert answer.status_code == 200
    assert answer.json()["kid"] == f"{KEK}/{version}"
    assert did(standing)[-1] == ("keys/wrap/action", 200, 3)


async def test_a_new_version(standing: Standing, identity: ManagedIdentityCredential, transport: Any) -> None:
    """After a rotation new data keys go under the new version, and old ones are still unwrapped."""
    async with crypto(identity, transport) as client:
        old = await client.wrap_key(OAEP_256, DATA_KEY)
    async with KeyClient(VAULT_URL, Operator(standing), transport=transport) as keys:
        rotated = await keys.rotate_key("kek")
        created = await keys.create_rsa_key("kek", size=2048)
    assert rotated.id != created.id
    async with crypto(identity, transport) as client:
        new = await client.wrap_key(OAEP_256, DATA_KEY)
    assert new.key_id == created.id
    assert new.key_id != old.key_id
    async with crypto(identity, transport, str(old.key_id)) as client:
        assert (await client.unwrap_key(OAEP_256, old.encrypted_key)).key == DATA_KEY
    async with crypto(identity, transport, str(new.key_id)) as client:
        with pytest.raises(HttpResponseError) as wrong:
            await client.unwrap_key(OAEP_256, old.encrypted_key)
    assert wrong.value.status_code == 400


@pytest.mark.parametrize("algorithm", [KeyWrapAlgorithm.rsa_oaep, KeyWrapAlgorithm.rsa1_5])
async def test_no_other_algorithm(
    standing: Standing, identity: ManagedIdentityCredential, transport: Any, algorithm: KeyWrapAlgorithm
) -> None:
    """The vault unwraps by RSA-OAEP-256 alone."""
    async with crypto(identity, transport, f"{KEK}/{standing.azure.vault.key('kek').version}") as client:
        with pytest.raises(HttpResponseError, match="BadParameter"):
            await client.unwrap_key(algorithm, bytes(256))


async def test_an_unknown_version(identity: ManagedIdentityCredential, transport: Any) -> None:
    """A version that does not exist is 404, for the key and for unwrapping."""
    async with crypto(identity, transport, f"{KEK}/{'0' * 32}") as client:
        with pytest.raises(ResourceNotFoundError, match="KeyNotFound"):
            await client.unwrap_key(OAEP_256, bytes(256))


async def test_secrets(standing: Standing, identity: ManagedIdentityCredential, transport: Any) -> None:
    """The app reads secrets, the operator also sets them, and the newest version is the one that is read."""
    async with SecretClient(VAULT_URL, Operator(standing), transport=transport) as secrets:
        first = await secrets.get_secret("api-key-pepper")
        await secrets.set_secret("api-key-pepper", "q" * 40)
        assert (await secrets.get_secret("api-key-pepper", first.properties.version)).value == "p" * 40
    async with SecretClient(VAULT_URL, identity, transport=transport) as secrets:
        assert (await secrets.get_secret("api-key-pepper")).value == "q" * 40
        with pytest.raises(HttpResponseError) as forbidden:
            await secrets.set_secret("api-key-pepper", "mine")
        with pytest.raises(ResourceNotFoundError, match="SecretNotFound"):
            await secrets.get_secret("nothing")
    assert forbidden.value.status_code == 403


async def test_roles(standing: Standing, identity: ManagedIdentityCredential, transport: Any) -> None:
    """The app may use its one key and neither others nor new versions, and a role taken away is missed at once."""
    async with KeyClient(VAULT_URL, identity, transport=transport) as keys:
        await keys.get_key("kek")
        for refused in (keys.get_key("other"), keys.rotate_key("kek"), keys.create_rsa_key("mine")):
            with pytest.raises(HttpResponseError, match="ForbiddenByRbac") as error:
                await refused
            assert error.value.status_code == 403
        standing.azure.vault.roles = []
        with pytest.raises(HttpResponseError, match="not authorized to perform action"):
            await keys.get_key("kek")


async def test_throttling(standing: Standing, identity: ManagedIdentityCredential, transport: Any) -> None:
    """For as many requests as ordered the vault answers 429, with Retry-After where that was ordered too."""
    control = standing.endpoint.replace("/msi/token", "/__control/throttle")
    async with crypto(identity, transport, f"{KEK}/{standing.azure.vault.key('kek').version}") as client:
        for order, header in (({"count": 1, "retry_after": "3"}, "3"), ({"count": 1}, None)):
            async with httpx.AsyncClient() as http:
                await http.post(control, json=order)
            answer = await by_hand(standing, "GET", "/keys/kek", identity)
            assert (answer.status_code, answer.headers.get("retry-after")) == (429, header)
            assert answer.json()["error"]["code"] == "Throttled"
        assert (await by_hand(standing, "GET", "/keys/kek", identity)).status_code == 200
        await client.wrap_key(OAEP_256, DATA_KEY)


async def test_the_challenge(standing: Standing) -> None:
    """Without a token the vault says where to get one and for what, and does nothing."""
    answer = await by_hand(standing, "GET", "/keys/kek", None)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == (
        f'Bearer authorization="https://login.microsoftonline.com/{TENANT}", resource="https://vault.azure.net"'
    )
    assert answer.json()["error"]["message"] == "AKV10000: Request is missing a Bearer or PoP token."


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "https://storage.azure.com"},
        {"iss": "https://sts.windows.net/another/"},
        {"exp": int(time.time()) - 60},
        {"key": "another"},
    ],
)
async def test_wrong_tokens(standing: Standing, changes: dict[str, Any]) -> None:
    """A token for another service, of another directory, out of date or signed by somebody else is refused."""
    issuer = standing.azure.issuer
    good = jwt.decode(
        issuer.issue(APP, "https://vault.azure.net")["access_token"], options={"verify_signature": False}
    )
    forger = rsa.generate_private_key(65537, 2048)
    key = forger if changes.pop("key", None) else issuer.key
    answer = await by_hand(standing, "GET", "/keys/kek", jwt.encode(good | changes, key, algorithm="RS256"))
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


async def test_a_storage_token_opens_no_vault(
    standing: Standing, identity: ManagedIdentityCredential, transport: Any
) -> None:
    """The SDK's client does not get in with a token that was made for storage."""

    class Mistaken:
        async def get_token(self, *_: str, **options: Any) -> AccessToken:
            return await identity.get_token("https://storage.azure.com/.default")

        async def close(self) -> None:
            """Hold nothing."""

    async with crypto(Mistaken(), transport, f"{KEK}/{standing.azure.vault.key('kek').version}") as client:
        with pytest.raises(ClientAuthenticationError):
            await client.unwrap_key(OAEP_256, bytes(256))


async def test_nobody_else_answers_to_the_name(standing: Standing) -> None:
    """A name that the world does not have cannot be reached, whatever the internet has under it."""
    async with httpx.AsyncClient(transport=http_transport(standing.names)) as http:
        with pytest.raises(httpx.ConnectError, match=r"nobody is called example\.com:443"):
            await http.get("https://example.com/")
        with pytest.raises(httpx.ConnectError, match="nobody is called"):
            await http.get(f"http://{VAULT_HOST}/")


async def test_public_addresses() -> None:
    """A name with a public address resolves to it, and the address is dialled where the name is answered."""
    names = Names("ca.pem", {"crm.example": 8443}, {"crm.example": "93.184.215.14"})
    assert await names.resolve("crm.example", 443) == ["93.184.215.14"]
    assert names.dial("93.184.215.14", 443) == names.dial("CRM.example", 443) == ("127.0.0.1", 8443)
    assert names.dial("127.0.0.1", 7071) == ("127.0.0.1", 7071)
    with pytest.raises(OSError, match="no public address"):
        await names.resolve("other.example", 443)


async def by_hand(
    standing: Standing, method: str, path: str, token: ManagedIdentityCredential | str | None, **more: Any
) -> httpx.Response:
    """A request to the vault with a token that no SDK looked after."""
    if isinstance(token, ManagedIdentityCredential):
        token = (await token.get_token("https://vault.azure.net/.default")).token
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with httpx.AsyncClient(transport=http_transport(standing.names)) as http:
        return await http.request(
            method, f"{VAULT_URL}{path}", params={"api-version": "7.6"}, headers=headers, **more
        )
