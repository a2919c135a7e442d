"""`QueueStore` in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count as counter

from shared.domain.errors import UpstreamSurprise
from shared.ports import Clock
from shared.storage.api import FOREVER_SECONDS, QueueMessage
from shared.storage.testing.calls import MemoryStore
from shared.storage.texts import MESSAGES_AT_ONCE, decode_message, encode_message, with_poison

DEFAULT_LIFE_SECONDS = 7 * 24 * 3600
"""How long a message lives that was sent without a time to live ("Put Message", Azure Queue Storage)."""


@dataclass(slots=True)
class _Waiting:
    """A message: what it says as it travels, when it shows, when it is gone, and its newest receipt."""

    content: str
    inserted_at: datetime
    visible_at: datetime
    expires_at: datetime | None
    dequeue_count: int = 0
    receipt: str = ""


@dataclass(slots=True)
class MemoryQueues(MemoryStore):
    """Messages in dicts; time passes as the clock says."""

    clock: Clock
    _queues: dict[str, dict[str, _Waiting]] = field(default_factory=dict)
    _numbers: counter[int] = field(default_factory=counter)

    async def ensure(self, queues: Sequence[str]) -> None:
        """Create the queues that are missing, and for each its `-poison` queue."""
        for queue in with_poison(queues):
            async with self.called("queue", "create", queue, writes=True):
                self._queues.setdefault(queue, {})

    async def put(
        self, queue: str, text: str, delay_seconds: int = 0, ttl_seconds: int | None = FOREVER_SECONDS
    ) -> None:
        """Send a message."""
        content = encode_message(text, delay_seconds)
        async with self.called("queue", "put", queue, writes=True):
            self.put_raw(queue, content, delay_seconds, ttl_seconds)

    def put_raw(
        self, queue: str, content: str, delay_seconds: int = 0, ttl_seconds: int | None = FOREVER_SECONDS
    ) -> None:
        """Place a message as it stands, neither encoded nor counted: what a host or a stranger would have sent."""
        now = self.clock.now()
        life = DEFAULT_LIFE_SECONDS if ttl_seconds is None else ttl_seconds
        expires_at = None if life == FOREVER_SECONDS else now + timedelta(seconds=life)
        message_id = f"message-{next(self._numbers)}"
        self._queue(queue)[message_id] = _Waiting(
            content, now, now + timedelta(seconds=delay_seconds), expires_at
        )

    async def receive(self, queue: str, count: int = 1, visibility_seconds: int = 30) -> list[QueueMessage]:
        """Up to `count` messages, the longest visible first."""
        async with self.called("queue", "receive", queue, writes=False):
            hidden_until = self.clock.now() + timedelta(seconds=visibility_seconds)
            return [self._take(*item, hidden_until) for item in self._visible(queue, count)]

    async def delete(self, queue: str, message: QueueMessage) -> bool:
        """Finish with a received message; False when it is somebody else's by now."""
        async with self.called("queue", "delete", queue, message.id, writes=True):
            waiting = self._alive(queue).get(message.id)
            if waiting is None or waiting.receipt != message.receipt:
                return False
            del self._queue(queue)[message.id]
            return True

    async def peek(self, queue: str, count: int = 1) -> list[str]:
        """Texts of up to `count` visible messages."""
        async with self.called("queue", "peek", queue, writes=False):
            return [decode_message(waiting.content)[0] for _, waiting in self._visible(queue, count)]

    async def oldest_at(self, queue: str) -> datetime | None:
        """When the message that would be received next was put."""
        async with self.called("queue", "peek", queue, writes=False):
            visible = self._visible(queue, 1)
            return visible[0][1].inserted_at if visible else None

    async def count(self, queue: str) -> int:
        """How many messages there are."""
        async with self.called("queue", "count", queue, writes=False):
            return len(self._alive(queue))

    def next_visible_at(self, queue: str) -> datetime | None:
        """When the next message will show (or did): lets a simulation move its clock there."""
        return min((waiting.visible_at for waiting in self._alive(queue).values()), default=None)

    def _take(self, message_id: str, waiting: _Waiting, hidden_until: datetime) -> QueueMessage:
        waiting.receipt = f"receipt-{next(self._numbers)}"
        waiting.visible_at = hidden_until
        waiting.dequeue_count += 1
        text, intact = decode_message(waiting.content)
        return QueueMessage(
            message_id, waiting.receipt, text, waiting.dequeue_count, waiting.inserted_at, intact=intact
        )

    def _visible(self, queue: str, count: int) -> list[tuple[str, _Waiting]]:
        now = self.clock.now()
        visible = [item for item in self._alive(queue).items() if item[1].visible_at <= now]
        return sorted(visible, key=lambda item: item[1].visible_at)[: min(count, MESSAGES_AT_ONCE)]

    def _alive(self, queue: str) -> dict[str, _Waiting]:
        """The queue without what has expired."""
        now = self.clock.now()
        messages = self._queue(queue)
        for message_id in [
            key for key, message in messages.items() if message.expires_at and message.expires_at <= now
        ]:
            del messages[message_id]
        return messages

    def _queue(self, queue: str) -> dict[str, _Waiting]:
        if queue not in self._queues:
            raise UpstreamSurprise("A queue is missing in the storage account.")
        return self._queues[queue]
