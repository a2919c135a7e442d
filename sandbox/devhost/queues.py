"""The protocol by which the host uses queues, and its implementations on Azure Storage and in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Protocol

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.storage.queue.aio import QueueClient, QueueServiceClient

from sandbox.devhost.connections import close_service
from sandbox.devhost.context import Clock

DAYS_KEPT = 7
ANSWER_SECONDS = 30


class QueueMissing(Exception):
    """The queue does not exist."""


class MessageGone(Exception):
    """The message has been deleted, or another process has received it meanwhile."""


@dataclass(frozen=True, slots=True)
class Received:
    """A received message: `text` is still encoded; `receipt` is needed to change or delete it."""

    id: str
    receipt: str
    text: str
    dequeue_count: int
    inserted_at: datetime
    expires_at: datetime
    next_visible_at: datetime


class QueueAccess(Protocol):
    """What the host does with the queues of one storage account; texts are neither encoded nor decoded."""

    async def receive(self, queue: str, count: int, visibility_seconds: float) -> Sequence[Received]:
        """Receive up to `count` (at most 32) visible messages and hide them; raises QueueMissing."""
        ...

    async def delete(self, queue: str, message_id: str, receipt: str) -> None:
        """Delete a received message; raises MessageGone."""
        ...

    async def update(self, queue: str, message_id: str, receipt: str, visibility_seconds: float) -> str:
        """Hide it for that many seconds from now; return the new receipt; raises MessageGone."""
        ...

    async def put(self, queue: str, text: str) -> None:
        """Send a message, creating the queue when it is missing."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


@dataclass(slots=True)
class AzureQueues:
    """Azure Queue Storage (or Azurite) through the SDK's asynchronous client."""

    service: QueueServiceClient
    _clients: dict[str, QueueClient] = field(default_factory=dict)

    async def receive(self, queue: str, count: int, visibility_seconds: float) -> Sequence[Received]:
        """Receive up to `count` visible messages; raises QueueMissing."""
        pages = self._client(queue).receive_messages(
            messages_per_page=count,
            max_messages=count,
            visibility_timeout=int(visibility_seconds),
            timeout=ANSWER_SECONDS,
        )
        try:
            return [_received(message) async for message in pages]
        except ResourceNotFoundError as error:
            raise QueueMissing(queue) from error

    async def delete(self, queue: str, message_id: str, receipt: str) -> None:
        """Delete a received message; raises MessageGone."""
        try:
            await self._client(queue).delete_message(message_id, receipt, timeout=ANSWER_SECONDS)
        except HttpResponseError as error:
            raise _gone(error, message_id) from error

    async def update(self, queue: str, message_id: str, receipt: str, visibility_seconds: float) -> str:
        """Hide it for that many seconds from now; return the new receipt; raises MessageGone."""
        try:
            renewed = await self._client(queue).update_message(
                message_id, receipt, visibility_timeout=int(visibility_seconds), timeout=ANSWER_SECONDS
            )
        except HttpResponseError as error:
            raise _gone(error, message_id) from error
        return str(renewed.pop_receipt)

    async def put(self, queue: str, text: str) -> None:
        """Send a message, creating the queue when it is missing."""
        client = self._client(queue)
        try:
            await client.send_message(text, timeout=ANSWER_SECONDS)
        except ResourceNotFoundError:
            await client.create_queue()
            await client.send_message(text, timeout=ANSWER_SECONDS)

    async def close(self) -> None:
        """Close the connections."""
        await close_service(self.service)

    def _client(self, queue: str) -> QueueClient:
        if queue not in self._clients:
            self._clients[queue] = self.service.get_queue_client(queue)
        return self._clients[queue]


def _received(message: Any) -> Received:
    return Received(
        id=message.id,
        receipt=message.pop_receipt,
        text=message.content,
        dequeue_count=message.dequeue_count,
        inserted_at=message.inserted_on,
        expires_at=message.expires_on,
        next_visible_at=message.next_visible_on,
    )


def _gone(error: HttpResponseError, message_id: str) -> Exception:
    """MessageGone for 400 (PopReceiptMismatch) and 404 (MessageNotFound), else the error itself."""
    return MessageGone(message_id) if error.status_code in {400, 404} else error


@dataclass(slots=True)
class _Kept:
    text: str
    inserted_at: datetime
    visible_at: datetime
    dequeue_count: int = 0
    receipt: str = ""


@dataclass(slots=True)
class MemoryQueues:
    """Queues in memory, for tests and for runs in one process."""

    clock: Clock
    queues: dict[str, dict[str, _Kept]] = field(default_factory=dict)
    _numbers: count[int] = field(default_factory=count)

    def create(self, *names: str) -> None:
        """Create queues."""
        for name in names:
            self.queues.setdefault(name, {})

    def texts(self, queue: str) -> list[str]:
        """All texts in a queue, hidden or not, oldest first."""
        return [kept.text for kept in self.queues.get(queue, {}).values()]

    async def receive(self, queue: str, count: int, visibility_seconds: float) -> Sequence[Received]:
        """Receive up to `count` visible messages, oldest first; raises QueueMissing."""
        if queue not in self.queues:
            raise QueueMissing(queue)
        now = self.clock.now()
        visible = [item for item in self.queues[queue].items() if item[1].visible_at <= now][:count]
        return [self._take(*item, now + timedelta(seconds=visibility_seconds)) for item in visible]

    async def delete(self, queue: str, message_id: str, receipt: str) -> None:
        """Delete a received message; raises MessageGone."""
        self._held(queue, message_id, receipt)
        del self.queues[queue][message_id]

    async def update(self, queue: str, message_id: str, receipt: str, visibility_seconds: float) -> str:
        """Hide it for that many seconds from now; return the new receipt; raises MessageGone."""
        kept = self._held(queue, message_id, receipt)
        kept.visible_at = self.clock.now() + timedelta(seconds=visibility_seconds)
        kept.receipt = f"receipt-{next(self._numbers)}"
        return kept.receipt

    async def put(self, queue: str, text: str) -> None:
        """Send a message, creating the queue when it is missing."""
        self.create(queue)
        now = self.clock.now()
        self.queues[queue][f"message-{next(self._numbers)}"] = _Kept(text, now, now)

    async def close(self) -> None:
        """Do nothing."""

    def _take(self, message_id: str, kept: _Kept, hidden_until: datetime) -> Received:
        kept.receipt = f"receipt-{next(self._numbers)}"
        kept.visible_at = hidden_until
        kept.dequeue_count += 1
        expires_at = (kept.inserted_at + timedelta(days=DAYS_KEPT)).astimezone(UTC)
        return Received(
            message_id,
            kept.receipt,
            kept.text,
            kept.dequeue_count,
            kept.inserted_at,
            expires_at,
            kept.visible_at,
        )

    def _held(self, queue: str, message_id: str, receipt: str) -> _Kept:
        kept = self.queues.get(queue, {}).get(message_id)
        if kept is None or kept.receipt != receipt:
            raise MessageGone(message_id)
        return kept
