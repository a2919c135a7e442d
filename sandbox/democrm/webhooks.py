"""Standard Webhooks, the receiving side: verify, deduplicate, keep, answer.

Sources: "Standard Webhooks" 1.0.0 (headers, signed text, 5 minutes of tolerance, 2xx as the only success).
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from standardwebhooks.webhooks import Webhook

TOLERANCE_SECONDS = 300
MOST_SIGNATURES = 8


class Forged(Exception):
    """The request does not prove that it comes from Postbraid, now."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """Checks one endpoint's deliveries. The library compares with the machine's clock, the world has its own."""

    secret: str

    def check(self, headers: Mapping[str, str], body: bytes, now: datetime) -> str:
        """The webhook's id, or Forged with the reason."""
        event_id = headers.get("webhook-id", "")
        signatures = headers.get("webhook-signature", "").split(" ")[:MOST_SIGNATURES]
        if not event_id or signatures == [""]:
            raise Forged("a webhook header is missing")
        sent_at = _timestamp(headers.get("webhook-timestamp", ""))
        if abs((now - sent_at).total_seconds()) > TOLERANCE_SECONDS:
            raise Forged("the timestamp is too far from now")
        expected = Webhook(self.secret).sign(event_id, sent_at, _text(body))
        if not any(hmac.compare_digest(expected.encode(), one.encode()) for one in signatures):
            raise Forged("no signature fits")
        return event_id


def _timestamp(text: str) -> datetime:
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise Forged("the timestamp is no number of seconds")
    return datetime.fromtimestamp(int(text), UTC)


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as err:
        raise Forged("the body is no UTF-8") from err
