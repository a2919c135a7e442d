"""A certificate with its private key, as Key Vault hands it out, in the form that MSAL takes."""

from __future__ import annotations

import base64
import binascii
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import pkcs12

PEM: Final = "-----BEGIN "


def read_certificate(text: str) -> dict[str, str]:
    """`private_key` and `public_certificate` as PEM, from PEM or from base64 of PKCS #12 without a password.

    Source: Key Vault, "About certificates": the secret of a certificate holds one of the two. Raises ValueError, which
    says nothing of the content.
    """
    try:
        return _from_pem(text) if PEM in text else _from_pkcs12(text)
    except (ValueError, TypeError, binascii.Error):
        raise ValueError("neither PEM nor PKCS #12 with a private key and a certificate") from None


def _from_pem(text: str) -> dict[str, str]:
    raw = text.replace("\\n", "\n").encode()  # a setting is often one line
    key = serialization.load_pem_private_key(raw, None)
    certificate = x509.load_pem_x509_certificate(raw)
    return _for_msal(_pem_of(key), certificate)


def _from_pkcs12(text: str) -> dict[str, str]:
    key, certificate, _ = pkcs12.load_key_and_certificates(base64.b64decode(text, validate=True), None)
    if key is None or certificate is None:
        raise ValueError
    return _for_msal(_pem_of(key), certificate)


def _pem_of(key: PrivateKeyTypes) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _for_msal(private_key: str, certificate: x509.Certificate) -> dict[str, str]:
    public = certificate.public_bytes(serialization.Encoding.PEM).decode()
    return {"private_key": private_key, "public_certificate": public}
