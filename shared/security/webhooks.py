"""Standard Webhooks 1.0: HMAC-SHA256 over `{id}.{timestamp}.{body}`; several secrets while one is rotated."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime
from typing import Final

PREFIX: Final = "whsec_"
SECRET_BYTES: Final = 32


def written_secret(secret: bytes) -> str:
    """The written form of a secret, for the CRM's settings."""
    return PREFIX + base64.b64encode(secret).decode()


def signed_headers(webhook_id: str, at: datetime, body: bytes, secrets: Sequence[bytes]) -> dict[str, str]:
    """The three headers of one attempt: the id stays the same on retries, time and signatures are fresh (C-7)."""
    timestamp = str(int(at.timestamp()))
    signed = b".".join((webhook_id.encode(), timestamp.encode(), body))
    signatures = [hmac.new(secret, signed, hashlib.sha256).digest() for secret in secrets]
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(
            f"v1,{base64.b64encode(signature).decode()}" for signature in signatures
        ),
    }
