"""Blobs in memory and on Azurite."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from sandbox.clock import VirtualClock
from shared.domain.errors import BlobExists, UpstreamSurprise
from shared.storage.api import Blob, BlobStore
from shared.storage.stores import open_stores
from shared.storage.testing import MemoryBlobs


class BlobStoreCases:
    """Give it a fixture `opened`; each case works in a container of its own."""

    @pytest.fixture
    async def store(self, opened: BlobStore, fresh: str) -> AsyncIterator[BlobStore]:
        await opened.ensure([fresh])
        yield opened
        await opened.close()

    @pytest.fixture
    def container(self, fresh: str) -> str:
        return fresh

    async def test_a_missing_blob_is_none(self, store: BlobStore, container: str) -> None:
        """Reading a blob that nobody wrote gives None."""
        assert await store.get(container, "a/b") is None

    async def test_a_blob_comes_back_as_it_went(self, store: BlobStore, container: str) -> None:
        """A blob's bytes and type survive."""
        data = bytes(range(256)) * 10
        await store.put(container, "a/b", data, "image/png")
        assert await store.get(container, "a/b") == Blob(data, "image/png")

    async def test_an_empty_blob_comes_back(self, store: BlobStore, container: str) -> None:
        """An empty blob is stored and read."""
        await store.put(container, "empty", b"", "text/plain")
        assert await store.get(container, "empty") == Blob(b"", "text/plain")

    async def test_a_large_file_goes_in_one_piece(self, store: BlobStore, container: str) -> None:
        """A blob takes 25 MB, the most that a send's files may have."""
        data = bytes(25_000_000)
        await store.put(container, "large", data, "application/zip")
        found = await store.get(container, "large")
        assert found is not None
        assert found.data == data

    @pytest.mark.parametrize(
        "name", ["a b", "ü/ключ/鍵", "100%", "%2F", "a+b&c=d", "it's", "a|b:c", "a?b#c", "😀"]
    )
    async def test_odd_names_work(self, store: BlobStore, container: str, name: str) -> None:
        """Blob names may hold spaces, percent signs, question marks and letters of other scripts."""
        await store.put(container, name, b"x", "text/plain")
        assert await store.get(container, name) == Blob(b"x", "text/plain")
        assert [blob.name for blob in await store.list(container)] == [name]
        await store.delete(container, name)
        assert await store.list(container) == []

    async def test_names_are_case_sensitive(self, store: BlobStore, container: str) -> None:
        """Blob names that differ in case are different blobs."""
        await store.put(container, "a", b"small", "text/plain")
        await store.put(container, "A", b"large", "text/plain")
        assert await store.get(container, "a") == Blob(b"small", "text/plain")

    async def test_a_second_put_is_refused(self, store: BlobStore, container: str) -> None:
        """A second put under a name is refused unless it says that it may overwrite."""
        await store.put(container, "a", b"1", "text/plain")
        with pytest.raises(BlobExists):
            await store.put(container, "a", b"2", "text/html")
        assert await store.get(container, "a") == Blob(b"1", "text/plain")
        await store.put(container, "a", b"2", "text/html", overwrite=True)
        assert await store.get(container, "a") == Blob(b"2", "text/html")

    async def test_one_of_many_writers_wins(self, store: BlobStore, container: str) -> None:
        """Of many who put a blob of the same name at once exactly one succeeds."""
        results = await asyncio.gather(
            *(store.put(container, "a", bytes([n]), "text/plain") for n in range(8)), return_exceptions=True
        )
        assert sorted(type(result).__name__ for result in results) == ["BlobExists"] * 7 + ["NoneType"]

    async def test_delete_is_content_with_a_missing_blob(self, store: BlobStore, container: str) -> None:
        """Deleting a missing blob is no error."""
        await store.delete(container, "a")
        await store.put(container, "a", b"1", "text/plain")
        await store.delete(container, "a")
        assert await store.get(container, "a") is None

    async def test_list_goes_by_prefix_and_name(self, store: BlobStore, container: str) -> None:
        """A list has name, size and time of each blob with the prefix, in the order of names."""
        for name in ["b/2", "b/10", "a", "b", "c"]:
            await store.put(container, name, b"12345", "text/plain")
        assert [blob.name for blob in await store.list(container)] == ["a", "b", "b/10", "b/2", "c"]
        found = await store.list(container, "b/")
        assert [(blob.name, blob.size_bytes) for blob in found] == [("b/10", 5), ("b/2", 5)]
        assert found[0].modified_at.tzinfo is not None
        assert await store.list(container, "x") == []

    async def test_a_missing_container_is_a_surprise(self, store: BlobStore) -> None:
        """Using a container that was never created is an error of set-up, not an absent blob."""
        for act in (
            store.get("nosuch", "a"),
            store.put("nosuch", "a", b"", "text/plain"),
            store.delete("nosuch", "a"),
            store.list("nosuch"),
        ):
            with pytest.raises(UpstreamSurprise):
                await act


class TestMemoryBlobs(BlobStoreCases):
    """The in-memory store."""

    @pytest.fixture
    def opened(self) -> BlobStore:
        return MemoryBlobs(VirtualClock())

    async def test_times_are_the_clocks(self) -> None:
        """A blob is dated by the injected clock."""
        clock = VirtualClock(datetime(2026, 3, 2, 9, 0, tzinfo=UTC))
        store = MemoryBlobs(clock)
        await store.ensure(["c"])
        clock.advance(60)
        await store.put("c", "a", b"", "text/plain")
        (found,) = await store.list("c")
        assert found.modified_at == datetime(2026, 3, 2, 9, 0, tzinfo=UTC) + timedelta(minutes=1)


@pytest.mark.azurite
class TestAzuriteBlobs(BlobStoreCases):
    """The real client."""

    @pytest.fixture
    def opened(self, azurite: str) -> BlobStore:
        return open_stores(connection_string=azurite).blobs
