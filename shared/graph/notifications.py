"""Change and lifecycle notifications, read item by item; nothing in here does I/O or imports an SDK (G-1 to G-5).

Of an item only the ids and kinds are used, each matched to a pattern; `resource`, `tenantId` and `@odata.id` are
never followed ("Receive change notifications through webhooks", Microsoft Graph).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from shared.domain.errors import MalformedBody
from shared.domain.model import ChangeHint
from shared.graph import tolerant

MAX_TOKEN_BYTES: Final = 2048
MAX_ITEMS: Final = 1000
_ID: Final = re.compile(r"[A-Za-z0-9_=\-]{1,512}")
# By their lower-case spelling: samples differ in case.
LIFECYCLE: Final = {
    event.lower(): event for event in ("reauthorizationRequired", "subscriptionRemoved", "missed")
}
CHANGES: Final = frozenset({"created", "updated"})

Verify = Callable[[str], tuple[str, int] | None]


class _Data(msgspec.Struct):
    id: str | None = None


class _Item(msgspec.Struct, rename="camel"):
    subscription_id: str = ""
    client_state: str | None = None
    change_type: str | None = None
    lifecycle_event: str | None = None
    resource_data: _Data | None = None


class _Envelope(msgspec.Struct):
    value: list[Any]


@dataclass(frozen=True, slots=True)
class Notifications:
    """What one POST said: hints to follow, and why the rest was dropped."""

    hints: tuple[ChangeHint, ...]
    dropped: tuple[str, ...]


def validation_answer(token: str) -> str | None:
    """The text that answers a validation request, or None for what cannot be one (G-1)."""
    if not token.isprintable() or len(token) > MAX_TOKEN_BYTES:
        return None
    return token if 0 < len(token.encode()) <= MAX_TOKEN_BYTES else None


def read_notifications(body: bytes, verify: Verify) -> Notifications:
    """Every item by itself: one bad item does not fail the others. Raises MalformedBody."""
    items = _read_items(body)
    if len(items) > MAX_ITEMS:
        raise MalformedBody(f"more than {MAX_ITEMS} items")
    judged = [_judge(item, verify) for item in items]
    hints = tuple(outcome for outcome in judged if isinstance(outcome, ChangeHint))
    return Notifications(hints, tuple(outcome for outcome in judged if isinstance(outcome, str)))


def _read_items(body: bytes) -> list[Any]:
    """The items as they came. Half a character in one of them is no fault of the others."""
    try:
        try:
            return msgspec.json.decode(body, type=_Envelope).value
        except msgspec.DecodeError:
            return msgspec.json.decode(tolerant.readable(body), type=_Envelope).value
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as err:
        raise MalformedBody from err


def _judge(raw: Any, verify: Verify) -> ChangeHint | str:  # noqa: PLR0911 - one reason a line
    try:
        item = msgspec.convert(raw, _Item)
    except msgspec.ValidationError:
        return "shape"
    proof = verify(item.client_state) if item.client_state else None
    if proof is None:
        return "client_state"
    if _ID.fullmatch(item.subscription_id) is None:
        return "subscription_id"
    mailbox_key, generation = proof
    if item.lifecycle_event is not None:
        event = LIFECYCLE.get(item.lifecycle_event.lower())
        hint = ChangeHint(mailbox_key, generation, item.subscription_id, lifecycle_event=event)
        return hint if event else "lifecycle_event"
    message_id = item.resource_data.id if item.resource_data else None
    if message_id is None or _ID.fullmatch(message_id) is None:
        return "message_id"
    change_type = (item.change_type or "").lower()
    if change_type not in CHANGES:
        return "change_type"
    return ChangeHint(mailbox_key, generation, item.subscription_id, message_id, change_type)
