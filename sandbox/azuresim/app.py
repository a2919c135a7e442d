"""The stand-ins, built from their settings."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.applications import Starlette

from sandbox.azuresim.config import Config
from sandbox.azuresim.identity import build_identity
from sandbox.azuresim.tokens import Issuer
from sandbox.azuresim.vault import Vault
from sandbox.azuresim.vault_api import build_vault


@dataclass(frozen=True, slots=True)
class Azure:
    """What answers: `identity` for the app itself, `vault_api` under the vault's name."""

    vault: Vault
    issuer: Issuer
    identity: Starlette
    vault_api: Starlette


def build_azure(config: Config, signing_key: rsa.RSAPrivateKey | None = None) -> Azure:
    """Build them; keys are made now, which takes some tenths of a second for each."""
    vault = Vault.of(config)
    key = signing_key or rsa.generate_private_key(65537, 2048)
    issuer = Issuer(config.tenant_id, config.token_seconds, key)
    return Azure(vault, issuer, build_identity(config, vault, issuer), build_vault(vault, issuer))
