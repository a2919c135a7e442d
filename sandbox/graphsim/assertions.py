"""Client assertions: an application proves itself by a registered certificate, or by a token of an issuer it trusts.

Sources: Microsoft identity platform, "Application certificate credentials", "Workload identity federation" and
"Microsoft Entra authentication and authorization error codes"; docs/simulator.md says what of it is guessed. Assertions
are judged by the machine's own time: MSAL writes it into them, whatever the clock of a world says.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any, Final, NoReturn

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from sandbox.graphsim.errors import EntraError

if TYPE_CHECKING:
    from sandbox.graphsim.config import Application
    from sandbox.graphsim.entra import Entra

BEARER: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
CERTIFICATE_ALGORITHMS: Final = ["RS256", "PS256"]
MISMATCHES: Final = {"Issuer": 700211, "Audience": 700212, "Subject": 700213}
_TOKEN_ENDPOINT: Final = re.compile(r"/[^/]+/(oauth2/v2\.0/token|v2\.0)")


def check_assertion(entra: Entra, application: Application, form: dict[str, str]) -> str:
    """Return `certificate` or `federated`, whichever proves this application; raises EntraError."""
    if form.get("client_assertion_type") != BEARER:
        raise EntraError(
            "invalid_request", 900144, "The request must contain the parameter 'client_assertion_type'."
        )
    token = form["client_assertion"]
    try:
        head = jwt.get_unverified_header(token)
        claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    except jwt.InvalidTokenError as error:
        raise _refused(50027, "JWT token is invalid or malformed.") from error
    if claims.get("iss") == application.client_id or {"x5t", "x5t#S256"} & set(head):
        _check_certificate(entra, application, token, head, claims)
        return "certificate"
    _check_federated(entra, application, token, head, claims)
    return "federated"


def _check_certificate(
    entra: Entra, application: Application, token: str, head: dict[str, Any], claims: dict[str, Any]
) -> None:
    known = [x509.load_pem_x509_certificate(pem.encode()) for pem in application.certificates]
    named = [each for each in known if _is_named(each, head)]
    if not named:
        raise _refused(
            700027,
            "The certificate with identifier used to sign the client assertion is not registered on application.",
        )
    if claims.get("iss") != application.client_id or claims.get("sub") != application.client_id:
        raise _refused(700021, "Client assertion application identifier doesn't match 'client_id' parameter.")
    if not _is_token_endpoint(entra, claims.get("aud")):
        raise _refused(700023, "Client assertion audience claim does not match Realm issuer.")
    _verify(token, named[0].public_key(), CERTIFICATE_ALGORITHMS, 700027)


def _is_named(certificate: x509.Certificate, head: dict[str, Any]) -> bool:
    """Whether the head of an assertion names this certificate by its SHA-256 or SHA-1 thumbprint (RFC 7515, 4.1).

    MSAL writes them with padding.
    """
    if "x5t#S256" in head:
        return bool(str(head["x5t#S256"]).rstrip("=") == _b64(certificate.fingerprint(hashes.SHA256())))
    return bool(str(head.get("x5t")).rstrip("=") == _b64(certificate.fingerprint(hashes.SHA1())))  # noqa: S303 - the standard's own


def _is_token_endpoint(entra: Entra, audience: object) -> bool:
    start, given = entra.world.config.entra, str(audience)
    return given.startswith(start) and _TOKEN_ENDPOINT.fullmatch(given.removeprefix(start)) is not None


def _check_federated(
    entra: Entra, application: Application, token: str, head: dict[str, Any], claims: dict[str, Any]
) -> None:
    """Issuer, subject and audience must be those of one federated credential, letter for letter."""
    trusted = [each for each in application.federated if each.issuer == claims.get("iss")]
    if not trusted:
        _raise_mismatch(entra, "Issuer", claims.get("iss"))
    trusted = [each for each in trusted if each.subject == claims.get("sub")]
    if not trusted:
        _raise_mismatch(entra, "Subject", claims.get("sub"))
    if claims.get("aud") not in {each.audience for each in trusted}:
        _raise_mismatch(entra, "Audience", claims.get("aud"))
    keys = [key for key in entra.issuers.get(trusted[0].issuer, ()) if key.get("kid") == head.get("kid")]
    if not keys:
        raise _refused(50027, "JWT token is invalid: no key of the issuer has the token's kid.")
    _verify(token, jwt.PyJWK(keys[0]).key, ["RS256"], 50013)


def _raise_mismatch(entra: Entra, what: str, found: object) -> NoReturn:
    """Refuse as Entra does now, or with the one number that it had for all of them."""
    if entra.world.knobs.text("federated_mismatch") == "70021":
        text = f"No matching federated identity record found for presented assertion. Assertion {what}: '{found}'."
        raise EntraError("invalid_request", 70021, text)
    text = (
        f"No matching federated identity record found for presented assertion {what.lower()} '{found}'. Check your "
        "federated identity credential Subject, Audience and Issuer against the presented assertion."
    )
    raise _refused(MISMATCHES[what], text)


def _verify(token: str, key: Any, algorithms: list[str], number: int) -> None:
    """Signature and time; raises EntraError, with `number` for a wrong signature."""
    checked = {"verify_aud": False, "verify_iat": False, "require": ["exp"]}
    try:
        jwt.decode(token, key, algorithms, options=checked)  # type: ignore[arg-type]  # PyJWT names the keys one by one
    except (jwt.ExpiredSignatureError, jwt.ImmatureSignatureError, jwt.MissingRequiredClaimError) as error:
        raise _refused(700024, "Client assertion is not within its valid time range.") from error
    except jwt.InvalidTokenError as error:
        raise _refused(number, "Client assertion failed signature validation.") from error


def _refused(number: int, text: str) -> EntraError:
    return EntraError("invalid_client", number, text, 401)


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
