"""Faults, counts and interleaving: what only the in-memory stores offer, for simulations."""

from __future__ import annotations

import asyncio

import pytest

from sandbox.clock import VirtualClock
from shared.domain.errors import OutcomeUnknown, RowChanged, StoreUnavailable
from shared.storage.api import Insert, Replace
from shared.storage.testing import Call, MemoryBlobs, MemoryQueues, MemoryTables


async def test_a_fault_before_leaves_nothing() -> None:
    """An in-memory call that fails before its commit has done nothing."""
    store = MemoryTables()
    await store.ensure(["table"])

    def refuse(call: Call) -> None:
        if call.writes:
            raise StoreUnavailable

    store.before = refuse
    with pytest.raises(StoreUnavailable):
        await store.transact("table", "p", [Insert("r", {})])
    assert await store.get("table", "p", "r") is None


async def test_a_fault_after_leaves_everything() -> None:
    """An in-memory call that fails after its commit has done all of it, as when the answer was lost (E-6)."""
    store = MemoryTables()
    await store.ensure(["table"])

    def lose_answer(call: Call) -> None:
        if call.writes:
            raise OutcomeUnknown

    store.after = lose_answer
    with pytest.raises(OutcomeUnknown):
        await store.transact("table", "p", [Insert("a", {}), Insert("b", {})])
    assert [row.row for row in await store.query("table", "p")] == ["a", "b"]


async def test_calls_say_what_they_touch() -> None:
    """A hook of an in-memory store is told the port, the operation and the place of a call."""
    seen: list[Call] = []
    tables = MemoryTables(before=seen.append)
    await tables.ensure(["table"])
    await tables.transact("table", "p", [Insert("a", {}), Insert("b", {})])
    assert seen == [
        Call("table", "create", True, ("table",)),
        Call("table", "transact", True, ("table", "p", "a", "b")),
    ]


async def test_calls_are_counted_by_operation() -> None:
    """Each call of an in-memory store is told to the observer once, a refused one too."""
    seen: list[tuple[str, str]] = []
    clock = VirtualClock()
    tables = MemoryTables(observe=lambda *call: seen.append(call))
    blobs = MemoryBlobs(clock, observe=lambda *call: seen.append(call))
    queues = MemoryQueues(clock, observe=lambda *call: seen.append(call))
    await tables.ensure(["table"])
    await blobs.ensure(["container"])
    await queues.ensure(["queue"])
    etag = await tables.insert("table", "p", "r", {})
    with pytest.raises(RowChanged):
        await tables.replace("table", "p", "r", {}, etag + "x")
    await blobs.put("container", "a", b"", "text/plain")
    await queues.put("queue", "x")
    assert seen == [
        ("table", "create"),
        ("blob", "create"),
        ("queue", "create"),
        ("queue", "create"),
        ("table", "insert"),
        ("table", "replace"),
        ("blob", "put"),
        ("queue", "put"),
    ]


async def test_a_waiting_hook_lets_tasks_interleave() -> None:
    """With a hook that waits, two tasks both read before either writes, and the ETag decides."""
    store = MemoryTables()
    await store.ensure(["table"])
    await store.insert("table", "p", "r", {"x": 0})
    meet = asyncio.Barrier(2)

    async def wait_for_each_other(call: Call) -> None:
        if call.operation == "replace":
            await meet.wait()

    store.before = wait_for_each_other

    async def write(value: int) -> None:
        row = await store.get("table", "p", "r")
        assert row is not None
        await store.replace("table", "p", "r", {"x": value}, row.etag)

    results = await asyncio.gather(write(1), write(2), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["NoneType", "RowChanged"]


async def test_what_was_read_is_not_what_is_stored() -> None:
    """Changing a row that was read, or that was written, changes nothing in the in-memory store."""
    store = MemoryTables()
    await store.ensure(["table"])
    written = {"x": 1}
    etag = await store.insert("table", "p", "r", written)
    written["x"] = 2
    row = await store.get("table", "p", "r")
    assert row is not None
    row.values["x"] = 3
    assert [stored.values for stored in await store.query("table", "p")] == [{"x": 1}]
    await store.transact("table", "p", [Replace("r", {"x": 4}, etag)])
