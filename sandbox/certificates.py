"""Certificates of a local world: an authority of its own, and one certificate for all names of its programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import trustme

LOOPBACK = ("localhost", "127.0.0.1")


@dataclass(frozen=True, slots=True)
class Certificates:
    """The files, as PEM: the authority, key and chain together (for uvicorn), and each alone (for Azurite)."""

    ca: Path
    leaf: Path
    chain: Path
    key: Path


def make_certificates(folder: Path, names: Sequence[str] = LOOPBACK) -> Certificates:
    """Make a certificate authority unless the folder has one, and a certificate for these names and addresses."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Certificates(*(folder / name for name in ("ca.pem", "leaf.pem", "leaf-chain.pem", "leaf-key.pem")))
    authority_key = folder / "ca-key.pem"
    if made.ca.exists() and authority_key.exists():
        authority = trustme.CA.from_pem(made.ca.read_bytes(), authority_key.read_bytes())
    else:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(made.ca))
        _write_secret(authority_key, authority.private_key_pem.bytes())
    leaf = authority.issue_cert(*names)
    chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
    made.chain.write_bytes(chain)
    _write_secret(made.key, leaf.private_key_pem.bytes())
    _write_secret(made.leaf, leaf.private_key_pem.bytes() + chain)
    return made


def _write_secret(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)
