"""Queue messages as they travel: base64 of UTF-8, as the Functions host writes and expects them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable

from shared.domain.errors import TooLarge

# "Put Message": 64 KiB in the queue, which base64 fills with 48 KiB; 7 days of delay at most.
MESSAGE_BYTES = 48 * 1024
LONGEST_DELAY_SECONDS = 7 * 24 * 3600
MESSAGES_AT_ONCE = 32


def encode_message(text: str, delay_seconds: int) -> str:
    """The text as it travels. Raises TooLarge; ValueError for a delay the service does not offer."""
    data = text.encode()
    if len(data) > MESSAGE_BYTES:
        raise TooLarge(f"a message of {len(data)} bytes, {MESSAGE_BYTES} are allowed")
    if not 0 <= delay_seconds <= LONGEST_DELAY_SECONDS:
        message = f"a message cannot wait {delay_seconds} seconds"
        raise ValueError(message)
    return base64.b64encode(data).decode("ascii")


def decode_message(content: str) -> tuple[str, bool]:
    """The text, and whether it was encoded as ours are; a stranger's message must not stop a queue."""
    try:
        return base64.b64decode(content, validate=True).decode(), True
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return content, False


def with_poison(queues: Iterable[str]) -> list[str]:
    """The queues, and beside each the one that the Functions host puts failed messages into."""
    return [name for queue in queues for name in (queue, f"{queue}-poison")]
