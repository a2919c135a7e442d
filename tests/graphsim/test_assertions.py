"""Applications that prove themselves without a secret: federated tokens and certificates."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import httpx
import jwt
import msal
import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.graphsim.conftest import CLIENT, HTTPS, REDIRECT, Lab, code_form

ISSUER = "https://login.microsoftonline.com/2f0c3a52-7d4e-4f0b-9a51-2f3c1f0a7e22/v2.0"
SUBJECT = "3d7d2c55-95e1-4b0f-8a8e-8b0f6a3c9d11"
AUDIENCE = "api://AzureADTokenExchange"
TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
KEY = rsa.generate_private_key(65537, 2048)
OTHER = rsa.generate_private_key(65537, 2048)


def public_key(key: rsa.RSAPrivateKey = KEY, kid: str = "k-1") -> dict[str, Any]:
    return {**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key())), "kid": kid}


def assertion(key: rsa.RSAPrivateKey = KEY, kid: str = "k-1", **changes: Any) -> str:
    now = int(time.time())
    claims = {"iss": ISSUER, "sub": SUBJECT, "aud": AUDIENCE, "iat": now, "nbf": now, "exp": now + 3600}
    return jwt.encode(claims | changes, key, algorithm="RS256", headers={"kid": kid})


async def register(lab: Lab, **changes: Any) -> None:
    """The application without a secret, and the issuer that it trusts."""
    trusted = {"issuer": ISSUER, "subject": SUBJECT, "audience": AUDIENCE}
    body = {"client_id": CLIENT, "redirect_uris": [REDIRECT], "federated": [trusted]}
    await lab.control("POST", "applications", body | changes)
    await lab.control("POST", "issuers", {"issuer": ISSUER, "keys": [public_key()]})


async def redeem(lab: Lab, shown: str | None, **changes: str | None) -> httpx.Response:
    proof = {"client_secret": None, "client_assertion": shown, "client_assertion_type": TYPE}
    return await lab.token(code_form(await lab.code(), **(proof | changes)))


def refusal(answer: httpx.Response) -> tuple[int, str, int]:
    body = answer.json()
    return answer.status_code, body["error"], body["error_codes"][0]


async def test_a_federated_token_stands_for_the_application(lab: Lab) -> None:
    """A token of the trusted issuer for the registered subject and audience takes the place of a secret."""
    await register(lab)
    answer = await redeem(lab, assertion())
    assert answer.status_code == 200
    logged = [entry for entry in await lab.requests() if entry["operation"] == "entra.token"]
    assert [entry["credential"] for entry in logged] == ["federated"]


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({"iss": ISSUER.replace("2f0c", "3f0c")}, 700211),
        ({"iss": ISSUER.removesuffix("/v2.0")}, 700211),
        ({"sub": SUBJECT.upper()}, 700213),
        ({"sub": "somebody-else"}, 700213),
        ({"aud": "https://vault.azure.net"}, 700212),
        ({"aud": "api://azureadtokenexchange"}, 700212),
        ({"exp": int(time.time()) - 60}, 700024),
        ({"nbf": int(time.time()) + 600}, 700024),
        ({"key": OTHER}, 50013),
        ({"kid": "k-2"}, 50027),
    ],
)
async def test_wrong_federated_tokens(lab: Lab, changes: Mapping[str, Any], number: int) -> None:
    """A token of another issuer, subject, audience, time or key is refused, each with its own number."""
    await register(lab)
    assert refusal(await redeem(lab, assertion(**changes))) == (401, "invalid_client", number)


async def test_one_number_for_all_mismatches(lab: Lab) -> None:
    """By the knob Entra tells issuer, subject and audience apart in the text only."""
    await register(lab)
    await lab.control("PUT", "knobs", {"federated_mismatch": "70021"})
    assert refusal(await redeem(lab, assertion(sub="x"))) == (400, "invalid_request", 70021)


async def test_an_assertion_is_no_formality(lab: Lab) -> None:
    """What is no token at all is refused, and so is one whose type is not said."""
    await register(lab)
    assert refusal(await redeem(lab, "signed.by.us")) == (401, "invalid_client", 50027)
    assert refusal(await redeem(lab, assertion(), client_assertion_type=None)) == (
        400,
        "invalid_request",
        900144,
    )


async def test_no_secret_is_as_good_as_none(lab: Lab) -> None:
    """An application that has no secret is not proved by leaving it out."""
    await register(lab)
    bare = await lab.token(code_form(await lab.code(), client_secret=None))
    assert refusal(bare) == (401, "invalid_client", 7000215)


class Certified:
    """A certificate, and the assertions that MSAL makes of it."""

    def __init__(self) -> None:
        leaf = trustme.CA(key_type=trustme.KeyType.RSA).issue_cert(
            "app.example", key_type=trustme.KeyType.RSA
        )
        self.pem = leaf.cert_chain_pems[0].bytes().decode()
        self.key = leaf.private_key_pem.bytes().decode()
        certificate = x509.load_pem_x509_certificate(self.pem.encode())
        self.sha1 = certificate.fingerprint(hashes.SHA1()).hex()  # noqa: S303 - the standard's own

    def assertion(self, credential: Mapping[str, str], client: str = CLIENT) -> str:
        """The one that MSAL would send: caught from a request of the unmodified library."""
        sent: list[bytes] = []

        class Caught:
            def get(self, url: str, **_: Any) -> Any:
                tenant = {"token_endpoint": f"{HTTPS}/t/oauth2/v2.0/token", "issuer": f"{HTTPS}/t/v2.0"}
                tenant["authorization_endpoint"] = f"{HTTPS}/t/oauth2/v2.0/authorize"
                return answered(json.dumps(tenant))

            def post(self, url: str, data: Mapping[str, bytes], **_: Any) -> Any:
                sent.append(data["client_assertion"])
                return answered('{"error": "caught"}')

            def close(self) -> None:
                """Hold nothing."""

        app = msal.ConfidentialClientApplication(
            client, client_credential=dict(credential), authority=f"{HTTPS}/t", http_client=Caught(),
            instance_discovery=False,
        )  # fmt: skip
        app.acquire_token_for_client(["https://graph.microsoft.com/.default"])
        return sent[0].decode()


class answered:  # noqa: N801 - reads as a verb where it is used
    """An answer as MSAL reads one."""

    status_code = 200
    headers: Mapping[str, str] = {}

    def __init__(self, text: str) -> None:
        self.text = text

    def raise_for_status(self) -> None:
        """Every answer here is one."""


@pytest.fixture(scope="module")
def certified() -> Certified:
    return Certified()


async def test_a_certificate_stands_for_the_application(lab: Lab, certified: Certified) -> None:
    """An assertion that MSAL signs with a registered certificate is accepted, named by either thumbprint."""
    await register(lab, certificates=[certified.pem], federated=[])
    whole = {"private_key": certified.key, "public_certificate": certified.pem}
    by_sha1 = {"private_key": certified.key, "thumbprint": certified.sha1}
    for credential in (whole, by_sha1):
        assert (await redeem(lab, certified.assertion(credential))).status_code == 200
    logged = [entry["credential"] for entry in await lab.requests() if entry["operation"] == "entra.token"]
    assert logged == ["certificate", "certificate"]


async def test_wrong_certificates(lab: Lab, certified: Certified) -> None:
    """A certificate that is not registered, another's name and a false signature are refused."""
    whole = {"private_key": certified.key, "public_certificate": certified.pem}
    shown = certified.assertion(whole)
    await register(lab, certificates=[], federated=[])
    assert refusal(await redeem(lab, shown)) == (401, "invalid_client", 700027)
    await register(lab, certificates=[certified.pem], federated=[])
    another = certified.assertion(whole, "11111111-2222-3333-4444-555555555555")
    assert refusal(await redeem(lab, another)) == (401, "invalid_client", 700021)
    head, claims, _ = shown.split(".")
    forged = f"{head}.{claims}.{another.rpartition('.')[2]}"
    assert refusal(await redeem(lab, forged)) == (401, "invalid_client", 700027)


async def test_a_certificate_assertion_is_for_this_token_endpoint(lab: Lab, certified: Certified) -> None:
    """An assertion made for somebody else's token endpoint is refused, and so is one that has run out."""
    await register(lab, certificates=[certified.pem], federated=[])
    whole = {"private_key": certified.key, "public_certificate": certified.pem}
    head = jwt.get_unverified_header(certified.assertion(whole))
    now = int(time.time())
    claims = {"iss": CLIENT, "sub": CLIENT, "aud": f"{HTTPS}/t/oauth2/v2.0/token", "exp": now + 60}

    async def refused(**changes: Any) -> tuple[int, str, int]:
        made = jwt.encode(claims | changes, certified.key, algorithm=head["alg"], headers=head)
        return refusal(await redeem(lab, made))

    assert await refused(aud="https://elsewhere.example/t/oauth2/v2.0/token") == (
        401,
        "invalid_client",
        700023,
    )
    assert await refused(exp=now - 60) == (401, "invalid_client", 700024)
