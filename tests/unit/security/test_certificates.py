"""A certificate with its key is read in both forms that a key vault hands out."""

from __future__ import annotations

import base64

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from shared.security.certificates import read_certificate
from tests.certificates import a_certificate


def test_both_forms_give_the_same() -> None:
    """PEM, PEM in one line and base64 of PKCS #12 give the same key and certificate."""
    pem, certificate = a_certificate()
    key = serialization.load_pem_private_key(pem.encode(), None)
    packed = pkcs12.serialize_key_and_certificates(
        b"app",
        key,
        certificate,
        None,
        serialization.NoEncryption(),  # type: ignore[arg-type]
    )
    read = read_certificate(pem)
    assert x509.load_pem_x509_certificate(read["public_certificate"].encode()) == certificate
    assert "PRIVATE KEY" in read["private_key"]
    assert read_certificate(pem.replace("\n", "\\n")) == read
    assert read_certificate(base64.b64encode(packed).decode()) == read


@pytest.mark.parametrize("broken", ["", "canary", "-----BEGIN CERTIFICATE-----\ncanary", "Y2FuYXJ5", "half"])
def test_what_is_no_certificate_is_refused_without_its_text(broken: str) -> None:
    """A text that is neither form, or lacks key or certificate, is refused without being shown."""
    pem, _ = a_certificate()
    text = pem[: pem.index("-----BEGIN CERTIFICATE")] if broken == "half" else broken
    with pytest.raises(ValueError, match="neither PEM nor PKCS #12") as caught:
        read_certificate(text)
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None
