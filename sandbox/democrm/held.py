"""Messages that Postbraid could not read yet: when each is looked at again, which no event says."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from sandbox.democrm.model import Message
from sandbox.democrm.product import Product, Refused

HELD_FOR = {"attachment_unreadable", "message_unreadable"}
MOST_ASKED = 5


async def find_next_looks(product: Product, messages: Iterable[Message]) -> dict[str, datetime]:
    """When Postbraid looks at each of the newest held messages again, by the CRM's id; without what it does not say."""
    held = [message for message in messages if message.reason and message.reason.code in HELD_FOR]
    looks = {}
    for message in held[-MOST_ASKED:]:
        if message.status != "not_synced" or message.product_id is None:
            continue
        try:
            answer = await product.get_message(message.product_id)
        except Refused:
            continue
        if answer.get("next_look_at"):
            looks[message.id] = msgspec.convert(answer["next_look_at"], datetime)
    return looks
