"""Queues through `azure-storage-queue`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from azure.core.exceptions import HttpResponseError, ResourceExistsError
from azure.storage.queue.aio import QueueClient, QueueServiceClient

from shared.storage.api import FOREVER_SECONDS, Observe, QueueMessage
from shared.storage.texts import MESSAGES_AT_ONCE, decode_message, encode_message, with_poison
from shared.storage.wire import answered, code_of

# "Delete Message": the receipt is no longer the newest, or the message is not there any more.
NOT_OURS = frozenset({"MessageNotFound", "PopReceiptMismatch"})


class AzureQueues:
    """`QueueStore` over a storage account, or over Azurite."""

    def __init__(self, service: QueueServiceClient, observe: Observe) -> None:
        self._service = service
        self._observe = observe
        self._clients: dict[str, QueueClient] = {}

    async def ensure(self, queues: Sequence[str]) -> None:
        """Create the queues that are missing, and for each its `-poison` queue."""
        for queue in with_poison(queues):
            self._observe("queue", "create")
            async with answered(writes=True):
                try:
                    await self._client(queue).create_queue()
                except ResourceExistsError:
                    continue

    async def put(
        self, queue: str, text: str, delay_seconds: int = 0, ttl_seconds: int | None = FOREVER_SECONDS
    ) -> None:
        """Send a message."""
        content = encode_message(text, delay_seconds)
        self._observe("queue", "put")
        async with answered(writes=True):
            await self._client(queue).send_message(
                content, visibility_timeout=delay_seconds, time_to_live=ttl_seconds
            )

    async def receive(self, queue: str, count: int = 1, visibility_seconds: int = 30) -> list[QueueMessage]:
        """Up to `count` messages, in one request.

        A lost answer is no OutcomeUnknown: the messages show up again by themselves.
        """
        count = min(count, MESSAGES_AT_ONCE)
        self._observe("queue", "receive")
        async with answered(writes=False):
            messages = self._client(queue).receive_messages(
                messages_per_page=count, max_messages=count, visibility_timeout=visibility_seconds
            )
            return [_received(message) async for message in messages]

    async def delete(self, queue: str, message: QueueMessage) -> bool:
        """Finish with a received message; False when it is somebody else's by now."""
        self._observe("queue", "delete")
        async with answered(writes=True):
            try:
                await self._client(queue).delete_message(message.id, message.receipt)
            except HttpResponseError as error:
                if code_of(error) not in NOT_OURS:
                    raise
                return False
            return True

    async def peek(self, queue: str, count: int = 1) -> list[str]:
        """Texts of up to `count` visible messages."""
        self._observe("queue", "peek")
        async with answered(writes=False):
            found = await self._client(queue).peek_messages(min(count, MESSAGES_AT_ONCE))
            return [decode_message(str(message.content))[0] for message in found]

    async def oldest_at(self, queue: str) -> datetime | None:
        """When the message that would be received next was put."""
        self._observe("queue", "peek")
        async with answered(writes=False):
            found = await self._client(queue).peek_messages(1)
            return found[0].inserted_on if found else None

    async def count(self, queue: str) -> int:
        """How many messages there are."""
        self._observe("queue", "count")
        async with answered(writes=False):
            return (await self._client(queue).get_queue_properties()).approximate_message_count or 0

    async def close(self) -> None:
        """Let go of the connections."""
        await self._service.close()

    def _client(self, queue: str) -> QueueClient:
        if queue not in self._clients:
            self._clients[queue] = self._service.get_queue_client(queue)
        return self._clients[queue]


def _received(message: Any) -> QueueMessage:
    text, intact = decode_message(str(message.content))
    return QueueMessage(
        message.id, message.pop_receipt, text, message.dequeue_count, message.inserted_on, intact=intact
    )
