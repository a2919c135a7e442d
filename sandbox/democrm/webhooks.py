"""Verification of webhooks by the Standard Webhooks specification.

Source: "Standard Webhooks" 1.0.0 (headers, signed text, 5 minutes of tolerance).
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
    """The request is not proven to come from Postbraid now."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """Checks an endpoint's deliveries. The library compares with the real time, so the time is checked here."""

    secret: str

    def check(self, headers: Mapping[str, str], body: bytes, now: datetime) -> str:
        """The webhook's id; raises Forged with the reason."""
        event_id = headers.get("webhook-id", "")
        signatures = headers.get("webhook-signature", "").split(" ")[:MOST_SIGNATURES]
        if not event_id or signatures == [""]:
            raise Forged("a webhook header is missing")
        sent_at = _timestamp(headers.get("webhook-timestamp", ""))
        if abs((now - sent_at).total_seconds()) > TOLERANCE_SECONDS:
            raise Forged("the timestamp is too far from now")
        expected = Webhook(self.secret).sign(event_id, sent_at, _text(body))
        if not any(hmac.compare_digest(expected.encode(), signature.encode()) for signature in signatures):
            raise Forged("no signature matches")
        return event_id


def _timestamp(text: str) -> datetime:
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise Forged("the timestamp is not a number of seconds")
    return datetime.fromtimestamp(int(text), UTC)


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as err:
        raise Forged("the body is not UTF-8") from err
