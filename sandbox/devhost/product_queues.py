"""The host's view of the product's in-memory queues, so that both can run in one process.

The host's calls bypass the hooks of the in-memory store: they are not counted as the product's calls, and faults
planned for the product do not hit them.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sandbox.devhost.queues import DAYS_KEPT, MessageGone, QueueMissing, Received
from shared.domain.errors import UpstreamSurprise
from shared.storage.testing import MemoryQueues


@dataclass(slots=True)
class ProductQueues:
    """A `QueueAccess` over `shared.storage.testing.MemoryQueues`.

    `answers`: whether the storage account answers the host; while it does not, nothing is received and nothing taken.
    """

    store: MemoryQueues
    answers: bool = True

    async def receive(self, queue: str, count: int, visibility_seconds: float) -> Sequence[Received]:
        """Receive up to `count` visible messages; raises QueueMissing."""
        if not self.answers:
            return []
        hidden_until = self.store.clock.now() + timedelta(seconds=visibility_seconds)
        try:
            visible = self.store._visible(queue, count)  # noqa: SLF001 - without the hooks, see above
        except UpstreamSurprise as error:
            raise QueueMissing(queue) from error
        received = []
        for message_id, waiting in visible:
            taken = self.store._take(message_id, waiting, hidden_until)  # noqa: SLF001 - as above
            expires_at = waiting.expires_at or waiting.inserted_at + timedelta(days=DAYS_KEPT)
            received.append(
                Received(
                    id=message_id,
                    receipt=taken.receipt,
                    text=base64.b64encode(taken.text.encode()).decode() if taken.intact else taken.text,
                    dequeue_count=taken.dequeue_count,
                    inserted_at=waiting.inserted_at,
                    expires_at=expires_at,
                    next_visible_at=hidden_until,
                )
            )
        return received

    async def delete(self, queue: str, message_id: str, receipt: str) -> None:
        """Delete a received message; raises MessageGone."""
        self._check(queue, message_id, receipt)
        del self.store._queue(queue)[message_id]  # noqa: SLF001 - as above

    async def update(self, queue: str, message_id: str, receipt: str, visibility_seconds: float) -> str:
        """Hide it for that many seconds from now; the receipt stays the same. Raises MessageGone."""
        self._check(queue, message_id, receipt)
        waiting = self.store._queue(queue)[message_id]  # noqa: SLF001 - as above
        waiting.visible_at = self.store.clock.now() + timedelta(seconds=visibility_seconds)
        return receipt

    async def put(self, queue: str, text: str) -> None:
        """Send a message, creating the queue when it is missing. Raises ConnectionError."""
        if not self.answers:
            raise ConnectionError(queue)
        try:
            self.store.put_raw(queue, text)
        except UpstreamSurprise:
            await self.store.ensure([queue])
            self.store.put_raw(queue, text)

    async def close(self) -> None:
        """Do nothing."""

    def _check(self, queue: str, message_id: str, receipt: str) -> None:
        waiting = self.store._alive(queue).get(message_id)  # noqa: SLF001 - as above
        if waiting is None or waiting.receipt != receipt:
            raise MessageGone(message_id)
