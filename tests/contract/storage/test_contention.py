"""Several processes write one mailbox at the same time, over Azurite: all get through, and who closes it wins."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest

from shared import bootstrap
from shared.domain.connection import with_closed_fence
from shared.domain.errors import MailboxClosed
from shared.domain.model import FenceState, MailboxRef, OutboxItem, Reason
from shared.mailbox_context import MailboxContext
from shared.ops import create_storage
from shared.services import Services
from shared.state.ledger import new
from shared.storage.stores import open_stores
from shared.sync.mailbox.unit_of_work import change, switch
from tests.builders import a_mailbox, outbox_item
from tests.functions.world import settings

PROCESSES = 6
WRITERS = 24


@pytest.fixture
async def processes(azurite: str, tmp_path: Path) -> AsyncIterator[list[Services]]:
    """As many processes as there may be, each with its own connections, memory and turns."""
    async with AsyncExitStack() as stack:
        built = []
        for _ in range(PROCESSES):
            stores = open_stores(connection_string=azurite)
            stack.push_async_callback(stores.close)
            built.append(bootstrap.build(settings(tmp_path), bootstrap.Parts(stores=stores)))
        await create_storage(built[0])
        yield built


@pytest.fixture
async def ref(processes: list[Services], fresh: str) -> MailboxRef:
    """An open mailbox."""
    opened = MailboxRef(f"ten_{fresh}", "mbx_busy")
    async for tx in switch(MailboxContext(processes[0], opened)):
        tx.mailbox = a_mailbox()
    return opened


async def _write(process: Services, ref: MailboxRef, name: str) -> None:
    """Let one send pass, as accepting it does, but with no work that follows."""
    item = outbox_item(key=name, message_id=f"msg_{name}", due_at=None)
    async for tx in change(MailboxContext(process, ref), 1, as_read=True):
        tx.add(new(item))


async def _rows(process: Services, ref: MailboxRef, names: list[str]) -> list[str]:
    found = [await process.ledger.find(ref, OutboxItem, name) for name in names]
    return [row.value.key for row in found if row is not None]


async def test_a_hundred_writers_all_get_through(processes: list[Services], ref: MailboxRef) -> None:
    """100 writes in six processes at once: none is given up, each stands once."""
    names = [f"k{number}" for number in range(100)]
    writes = (_write(processes[number % PROCESSES], ref, name) for number, name in enumerate(names))
    await asyncio.gather(*writes)
    assert await _rows(processes[0], ref, names) == names


async def test_who_closes_the_mailbox_wins_over_writers_that_never_stop(
    processes: list[Services], ref: MailboxRef
) -> None:
    """24 writers in five processes go on and on; another closes at its first request, and nothing passes after it."""
    written: list[str] = []
    numbers = count()

    async def goes_on(process: Services) -> None:
        for number in numbers:
            try:
                await _write(process, ref, f"w{number}")
            except MailboxClosed:
                return
            written.append(f"w{number}")

    async def closes() -> int:
        await asyncio.sleep(0.5)
        changing = switch(MailboxContext(processes[0], ref), urgent=True)
        async for tx in changing:
            tx.mailbox = with_closed_fence(tx.mailbox, Reason.DISCONNECTED, datetime.now(UTC))
        return len(written)

    others = (goes_on(processes[1 + number % (PROCESSES - 1)]) for number in range(WRITERS))
    before, *_ = await asyncio.wait_for(asyncio.gather(closes(), *others), 30)
    stored = await processes[0].ledger.mailbox(ref)
    assert stored is not None
    assert stored.value == replace(
        a_mailbox(),
        state=FenceState.CLOSED,
        closed_because=Reason.DISCONNECTED,
        closed_at=stored.value.closed_at,
    )
    assert before > 0
    assert len(written) - before <= PROCESSES  # whose answers were on their way when it closed
