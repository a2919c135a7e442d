"""Queues in memory and on Azurite."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator

import pytest
from azure.storage.queue.aio import QueueClient

from sandbox.clock import VirtualClock
from shared.domain.errors import TooLarge, UpstreamSurprise
from shared.storage.api import QueueStore
from shared.storage.stores import open_stores
from shared.storage.testing import MemoryQueues


class QueueStoreCases:
    """Give it fixtures `opened` and `place_raw`; each case works on a queue of its own."""

    @pytest.fixture
    async def store(self, opened: QueueStore, fresh: str) -> AsyncIterator[QueueStore]:
        await opened.ensure([fresh])
        yield opened
        await opened.close()

    @pytest.fixture
    def queue(self, fresh: str) -> str:
        return fresh

    async def place_raw(self, store: QueueStore, queue: str, content: str) -> None:
        """Put a message into the queue as a stranger would."""
        raise NotImplementedError

    async def test_an_empty_queue_gives_nothing(self, store: QueueStore, queue: str) -> None:
        """Receiving from an empty queue returns at once with nothing."""
        assert await store.receive(queue) == []
        assert await store.peek(queue) == []
        assert await store.count(queue) == 0

    @pytest.mark.parametrize("text", ['{"v":1}', "", "Grüße 😀", "<a>&amp;\n\t\x00", "x" * 49_152])
    async def test_a_text_comes_back_as_it_went(self, store: QueueStore, queue: str, text: str) -> None:
        """Any text up to 48 KiB survives the queue."""
        await store.put(queue, text)
        (message,) = await store.receive(queue)
        assert (message.text, message.intact, message.dequeue_count) == (text, True, 1)
        assert message.inserted_at.tzinfo is not None

    async def test_a_text_over_the_limit_is_refused(self, store: QueueStore, queue: str) -> None:
        """A text of 48 KiB and a byte is refused, since it would not fit once encoded."""
        with pytest.raises(TooLarge):
            await store.put(queue, "x" * 49_153)

    async def test_texts_travel_as_base64(self, store: QueueStore, queue: str) -> None:
        """A message that a producer put in base64 is read as ours."""
        await self.place_raw(store, queue, base64.b64encode("über".encode()).decode())
        (message,) = await store.receive(queue)
        assert (message.text, message.intact) == ("über", True)

    async def test_a_strangers_message_is_given_as_it_stands(self, store: QueueStore, queue: str) -> None:
        """A message that is not base64 is given as it stands and can be deleted."""
        await self.place_raw(store, queue, "not base64!")
        assert await store.peek(queue) == ["not base64!"]
        (message,) = await store.receive(queue)
        assert (message.text, message.intact) == ("not base64!", False)
        assert await store.delete(queue, message)

    async def test_a_received_message_is_hidden(self, store: QueueStore, queue: str) -> None:
        """A received message is hidden from other workers and still counts until it is deleted."""
        await store.put(queue, "x")
        (message,) = await store.receive(queue, visibility_seconds=60)
        assert await store.receive(queue) == []
        assert await store.count(queue) == 1
        assert await store.delete(queue, message)
        assert await store.count(queue) == 0

    async def test_a_message_shows_again_with_another_receipt(self, store: QueueStore, queue: str) -> None:
        """A message whose time is over is given out again and counted, and its first receiver cannot delete it."""
        await store.put(queue, "x")
        (first,) = await store.receive(queue, visibility_seconds=1)
        await self.pass_time(1.1)
        (second,) = await store.receive(queue, visibility_seconds=60)
        assert (second.id, second.text, second.dequeue_count) == (first.id, "x", 2)
        assert second.inserted_at == first.inserted_at
        assert not await store.delete(queue, first)
        assert await store.delete(queue, second)
        assert not await store.delete(queue, second)

    async def test_a_delayed_message_shows_later(self, store: QueueStore, queue: str) -> None:
        """A message put with a delay is received only after it."""
        await store.put(queue, "x", delay_seconds=1)
        assert await store.receive(queue) == []
        assert await store.peek(queue) == []
        assert await store.count(queue) == 1
        await self.pass_time(1.1)
        assert [message.text for message in await store.receive(queue)] == ["x"]

    async def test_a_message_lives_as_long_as_asked(self, store: QueueStore, queue: str) -> None:
        """A message may expire; without a time, or with -1, it lives on."""
        await store.put(queue, "short", ttl_seconds=1)
        await store.put(queue, "default", ttl_seconds=None)
        await store.put(queue, "forever")
        await self.pass_time(1.1)
        assert sorted([message.text for message in await store.receive(queue, 32)]) == ["default", "forever"]

    async def test_several_messages_come_at_once(self, store: QueueStore, queue: str) -> None:
        """One request receives up to 32 messages, and each goes to one receiver only."""
        for number in range(40):
            await store.put(queue, str(number))
        first = await store.receive(queue, 32)
        rest = await store.receive(queue, 100)
        assert (len(first), len(rest)) == (32, 8)
        assert sorted(int(message.text) for message in [*first, *rest]) == list(range(40))

    async def test_the_oldest_message_has_its_time(self, store: QueueStore, queue: str) -> None:
        """The time at which the next message was put is known without taking it; of what is hidden nothing is said."""
        assert await store.oldest_at(queue) is None
        await store.put(queue, "later", delay_seconds=60)
        assert await store.oldest_at(queue) is None
        await store.put(queue, "x")
        at = await store.oldest_at(queue)
        assert at is not None
        (message,) = await store.receive(queue)
        assert at == message.inserted_at
        assert await store.oldest_at(queue) is None

    async def test_peeking_changes_nothing(self, store: QueueStore, queue: str) -> None:
        """Peeking at messages hides none and counts nothing."""
        await store.put(queue, "x")
        assert await store.peek(queue, 5) == ["x"]
        (message,) = await store.receive(queue)
        assert message.dequeue_count == 1

    async def test_a_delay_beyond_a_week_is_refused(self, store: QueueStore, queue: str) -> None:
        """A message cannot be delayed for more than seven days."""
        for seconds in (-1, 7 * 24 * 3600 + 1):
            with pytest.raises(ValueError, match="cannot wait"):
                await store.put(queue, "x", delay_seconds=seconds)

    async def test_ensure_makes_the_poison_queue_and_may_be_repeated(
        self, store: QueueStore, queue: str
    ) -> None:
        """Creating a queue makes its `-poison` as well, and repeating it keeps the messages."""
        await store.put(f"{queue}-poison", "bad")
        await store.put(queue, "good")
        await store.ensure([queue])
        assert await store.count(queue) == 1
        assert [message.text for message in await store.receive(f"{queue}-poison")] == ["bad"]

    async def test_a_missing_queue_is_a_surprise(self, store: QueueStore) -> None:
        """Using a queue that was never created is an error of set-up, not an empty queue."""
        for act in (
            store.receive("nosuch"),
            store.put("nosuch", "x"),
            store.count("nosuch"),
            store.peek("nosuch"),
        ):
            with pytest.raises(UpstreamSurprise):
                await act

    async def pass_time(self, seconds: float) -> None:
        """Let the queue's time go on."""
        raise NotImplementedError


class TestMemoryQueues(QueueStoreCases):
    """The in-memory store."""

    @pytest.fixture(autouse=True)
    def _clocked(self) -> None:
        self.clock = VirtualClock()

    @pytest.fixture
    def opened(self) -> QueueStore:
        return MemoryQueues(self.clock)

    async def place_raw(self, store: QueueStore, queue: str, content: str) -> None:
        assert isinstance(store, MemoryQueues)
        store.put_raw(queue, content)

    async def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)

    async def test_a_simulation_can_ask_when_something_shows(self, store: QueueStore, queue: str) -> None:
        """An in-memory queue tells when its next message becomes visible, hidden ones included."""
        assert isinstance(store, MemoryQueues)
        assert store.next_visible_at(queue) is None
        await store.put(queue, "late", delay_seconds=60)
        await store.put(queue, "later", delay_seconds=90)
        shows_at = store.next_visible_at(queue)
        assert shows_at is not None
        assert (shows_at - self.clock.now()).total_seconds() == 60


@pytest.mark.azurite
class TestAzuriteQueues(QueueStoreCases):
    """The real client."""

    @pytest.fixture
    def opened(self, azurite: str) -> QueueStore:
        self.connection_string = azurite
        return open_stores(connection_string=azurite).queues

    async def place_raw(self, store: QueueStore, queue: str, content: str) -> None:
        async with QueueClient.from_connection_string(self.connection_string, queue) as client:
            await client.send_message(content)

    async def pass_time(self, seconds: float) -> None:
        # Azurite's queues run on the real clock: there is no other way than to wait these short times.
        await asyncio.sleep(seconds)
