"""Signatures of what we post, checked by somebody else's implementation of Standard Webhooks."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from shared.security.webhooks import SECRET_BYTES, signed_headers, written_secret
from tests.builders import NOW, later

NEW, OLD, THEIRS = b"n" * 32, b"o" * 32, b"t" * 32
BODY = b'{"type":"message.received"}'


def now() -> datetime:
    """The receiver's library knows the real time only."""
    return datetime.now(UTC)


def verified(secret: bytes, headers: Mapping[str, str], body: bytes = BODY) -> bool:
    try:
        Webhook(written_secret(secret)).verify(body.decode(), dict(headers))
    except (WebhookVerificationError, ValueError):  # the library splits and decodes without asking
        return False
    return True


def signed(*secrets: bytes, at: datetime | None = None, body: bytes = BODY) -> dict[str, str]:
    return signed_headers("evt_1", at or now(), body, secrets)


@given(st.text(max_size=40), st.binary(min_size=24, max_size=64))
def test_a_receiver_can_check_every_body(text: str, secret: bytes) -> None:
    """A signature fits its body in letters of any script, and no body longer by a byte."""
    body = json.dumps({"subject": text}, ensure_ascii=False).encode()
    headers = signed_headers("evt_1", now(), body, [secret])
    assert verified(secret, headers, body)
    assert not verified(secret, headers, body + b" ")


def test_a_signature_is_of_one_secret() -> None:
    """A signature fits its own secret alone."""
    assert verified(NEW, signed(NEW))
    assert not verified(NEW, signed(THEIRS))
    assert not verified(NEW, signed())


def test_while_a_secret_is_replaced_both_receivers_are_content() -> None:
    """While a secret is replaced, receivers with the new and with the old one both accept (C-7)."""
    headers = signed(NEW, OLD)
    assert verified(NEW, headers)
    assert verified(OLD, headers)
    assert not verified(THEIRS, headers)
    assert len(headers["webhook-signature"].split(" ")) == 2


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_nothing_signed_can_be_changed(name: str) -> None:
    """A delivery with a changed or missing id, time, body or signature is refused."""
    headers = signed(NEW)
    for changed in ("", "x", headers[name][:-1], "7" + headers[name], headers[name][1:]):
        assert not verified(NEW, {**headers, name: changed})
    assert not verified(NEW, {key: value for key, value in headers.items() if key != name})
    assert not verified(NEW, headers, BODY + b" ")


@pytest.mark.parametrize("minutes", [-6, 6])
def test_an_old_one_is_refused(minutes: int) -> None:
    """A delivery signed more than five minutes off is refused."""
    assert not verified(NEW, signed(NEW, at=now() + timedelta(minutes=minutes)))
    assert verified(NEW, signed(NEW, at=now() + timedelta(minutes=minutes / 2)))


def test_an_attempt_keeps_its_id_and_has_its_own_time() -> None:
    """Each attempt of a delivery keeps its id and is signed at its own time (C-7)."""
    first, second = signed(NEW, at=NOW), signed(NEW, at=later(minutes=5))
    assert first["webhook-id"] == second["webhook-id"] == "evt_1"
    assert int(second["webhook-timestamp"]) - int(first["webhook-timestamp"]) == 300
    assert first["webhook-signature"] != second["webhook-signature"]
    assert first["webhook-timestamp"] == str(int(NOW.timestamp()))


def test_the_sample_of_the_standard() -> None:
    """Our signature is that of the standard's own sample."""
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    at = datetime.fromtimestamp(1614265330, UTC)
    headers = signed_headers("msg_p5jXN8AQM9LWM0D4loKWxJek", at, b'{"test": 2432232314}', [secret])
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(st.binary(min_size=1, max_size=64))
def test_a_secret_is_written_for_others_to_read(secret: bytes) -> None:
    """A secret is written as `whsec_` and base64."""
    written = written_secret(secret)
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]+=*", written)
    assert base64.b64decode(written.removeprefix("whsec_"), validate=True) == secret


def test_secrets_are_long_enough() -> None:
    """New secrets have 24 to 64 bytes, as the standard asks."""
    assert 24 <= SECRET_BYTES <= 64
