"""The index of due work: no task is forgotten, whatever ticks are missed."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from shared.domain.errors import StoreUnavailable
from shared.domain.model import MailboxRef, TaskKind
from shared.state import keys
from shared.state.due import RENEWAL_TIMER, WORK_TIMER, DueBucket, DueIndex, timer_of
from shared.storage.testing import Call, MemoryTables
from tests.builders import MAILBOX, StillClock, bucket_end, later, task

OTHER = MailboxRef("ten_other", "mbx_other")


@dataclass(slots=True)
class Ticker:
    """One instance's timer: the mailboxes for which a tick of it would enqueue work."""

    due: DueIndex

    async def tick(self, timer: str = WORK_TIMER) -> list[MailboxRef]:
        read_at = self.due._clock.now()
        found = await self.due.due_buckets(timer, 0)
        await self.due.finish(found, timer, 0, read_at)
        return _mailboxes(found)


def _mailboxes(found: list[DueBucket]) -> list[MailboxRef]:
    return [who for bucket in found for who in bucket.mailboxes]


@pytest.fixture
def ticker(tables: MemoryTables, clock: StillClock) -> Ticker:
    return Ticker(DueIndex(tables, clock))


async def test_a_mailbox_is_due_in_its_five_minutes(due: DueIndex, ticker: Ticker, clock: StillClock) -> None:
    """A mailbox's work is found from the beginning of its five-minute bucket on, and not before."""
    await due.add(MAILBOX, task(later(minutes=7)))
    assert await ticker.tick() == []
    clock.forward(minutes=5)
    assert await ticker.tick() == [MAILBOX]


async def test_overdue_work_is_noted_for_now(due: DueIndex, ticker: Ticker) -> None:
    """Work whose time has passed is noted in the present bucket."""
    await due.add(MAILBOX, task(later(hours=-3)))
    assert await ticker.tick() == [MAILBOX]


async def test_a_bucket_is_read_again_until_its_grace_is_over(
    due: DueIndex, ticker: Ticker, clock: StillClock
) -> None:
    """A bucket is read again for two minutes after its end, since a writer may still be at its transaction."""
    await due.add(MAILBOX, task())
    for _ in range(7):
        assert await ticker.tick() == [MAILBOX]
        clock.forward(minutes=1)
    await ticker.tick()
    assert await ticker.tick() == []


async def test_missed_ticks_are_read_later(due: DueIndex, ticker: Ticker, clock: StillClock) -> None:
    """After a day without ticks the first tick reads every missed bucket, oldest first."""
    assert await ticker.tick() == []
    await due.add(MAILBOX, task(later(minutes=10)))
    await due.add(OTHER, task(later(hours=5)))
    clock.forward(days=1)
    assert await ticker.tick() == [MAILBOX, OTHER]
    assert await ticker.tick() == []


async def test_the_first_tick_of_all_finds_what_was_noted_long_before(
    due: DueIndex, ticker: Ticker, clock: StillClock
) -> None:
    """The first tick of all finds work that was noted long before it, although there is no watermark yet."""
    await due.add(MAILBOX, task())
    clock.forward(hours=30)
    assert await ticker.tick() == [MAILBOX]


async def test_a_note_made_while_a_tick_runs_is_not_erased_by_it(
    due: DueIndex, ticker: Ticker, clock: StillClock
) -> None:
    """A note that is made while a long tick runs is found by the next tick."""
    await due.add(MAILBOX, task())
    read_at = clock.now()
    found = await ticker.due.due_buckets(WORK_TIMER, 0)
    clock.forward(minutes=1)
    await due.add(OTHER, task(clock.now()))
    clock.forward(minutes=20)
    await ticker.due.finish(found, WORK_TIMER, 0, read_at)
    assert set(await ticker.tick()) == {MAILBOX, OTHER}


async def test_two_ticks_at_once_lose_nothing(due: DueIndex, tables: MemoryTables, clock: StillClock) -> None:
    """When two instances tick at once, the slower one does not move the watermark back, and later work is found."""
    await due.add(MAILBOX, task())
    first, second = DueIndex(tables, clock), DueIndex(tables, clock)
    slow = await first.due_buckets(WORK_TIMER, 0)
    slow_read_at = clock.now()
    clock.forward(minutes=30)
    await Ticker(second).tick()
    await first.finish(slow, WORK_TIMER, 0, slow_read_at)
    await due.add(OTHER, task(later(minutes=31)))
    clock.forward(minutes=5)
    assert await Ticker(first).tick() == [OTHER]


async def test_a_tick_that_failed_before_its_end_is_repeated(
    due: DueIndex, ticker: Ticker, tables: MemoryTables, clock: StillClock
) -> None:
    """A tick that fails before its end is repeated: its buckets are read again."""
    await due.add(MAILBOX, task())
    clock.forward(hours=1)
    found = await ticker.due.due_buckets(WORK_TIMER, 0)

    def down(call: Call) -> None:
        if call.writes:
            raise StoreUnavailable

    tables.before = down
    with pytest.raises(StoreUnavailable):
        await ticker.due.finish(found, WORK_TIMER, 0, clock.now())
    tables.before = lambda _: None
    assert await ticker.tick() == [MAILBOX]


async def test_a_clock_that_jumps_ahead_loses_nothing(
    due: DueIndex, ticker: Ticker, clock: StillClock
) -> None:
    """After a clock jumps ahead all work in between is found, and so is work that is added with a passed time."""
    await due.add(MAILBOX, task(later(days=2)))
    clock.forward(days=3)
    assert await ticker.tick() == [MAILBOX]
    await due.add(OTHER, task(later(days=1)))
    assert await ticker.tick() == [OTHER]


async def test_a_writer_whose_clock_is_a_minute_slow_is_heard(
    tables: MemoryTables, ticker: Ticker, clock: StillClock
) -> None:
    """A note of a writer whose clock is a minute slow is found although its bucket has just ended."""
    slow = StillClock(clock.at)
    clock.at = bucket_end(keys.bucket_of(clock.at))
    slow.at = clock.forward(minutes=-1)
    clock.forward(minutes=1, seconds=30)
    await ticker.tick()
    await DueIndex(tables, slow).add(MAILBOX, task(slow.at))
    assert await ticker.tick() == [MAILBOX]


async def test_work_is_found_although_the_clock_was_put_back(
    due: DueIndex, ticker: Ticker, clock: StillClock
) -> None:
    """After a clock that ran an hour ahead was put right, new work is found without waiting for that hour."""
    clock.forward(hours=1)
    await ticker.tick()
    clock.forward(hours=-1)
    await due.add(MAILBOX, task(clock.now()))
    assert await ticker.tick() == [MAILBOX]


async def test_what_was_noted_before_a_clock_was_put_back_is_noted_again(
    due: DueIndex, ticker: Ticker, clock: StillClock
) -> None:
    """A note that a tick took away while the clock ran ahead is written again, although this process wrote it once."""
    await due.add(MAILBOX, task(clock.now()))
    clock.forward(hours=1)
    await due.add(OTHER, task(clock.now()))
    await ticker.tick()
    clock.forward(hours=-1)
    await due.add(MAILBOX, task(clock.now()))
    assert MAILBOX in await ticker.tick()


async def test_timers_keep_apart(due: DueIndex, ticker: Ticker) -> None:
    """Each timer finds its own kinds of work: renewals one, everything else the other."""
    await due.add(MAILBOX, task(kind=TaskKind.RENEW))
    await due.add(OTHER, task(kind=TaskKind.SWEEP))
    assert await ticker.tick(RENEWAL_TIMER) == [MAILBOX]
    assert await ticker.tick(WORK_TIMER) == [OTHER]


@pytest.mark.parametrize("kind", list(TaskKind))
def test_every_kind_of_work_has_a_timer(kind: TaskKind) -> None:
    """Renewals belong to the renewal timer and all other kinds of work to the work timer."""
    assert timer_of(kind) == (RENEWAL_TIMER if kind is TaskKind.RENEW else WORK_TIMER)


async def test_a_promise_is_written_once_a_bucket(
    due: DueIndex, tables: MemoryTables, clock: StillClock
) -> None:
    """A mailbox costs one note for each bucket, however much work it gets in it."""
    writes = 0

    def count(call: Call) -> None:
        nonlocal writes
        writes += call.writes

    tables.before = count
    for ref in ("a", "b", "c"):
        await due.add(MAILBOX, task(ref=ref))
    assert writes == 1
    clock.forward(minutes=5)
    await due.add(MAILBOX, task(clock.now()))
    assert writes == 2


async def test_a_promise_that_failed_is_written_the_next_time(due: DueIndex, tables: MemoryTables) -> None:
    """A note that could not be written is written the next time."""

    def down(call: Call) -> None:
        raise StoreUnavailable

    tables.before = down
    with pytest.raises(StoreUnavailable):
        await due.add(MAILBOX, task())
    tables.before = lambda _: None
    await due.add(MAILBOX, task())
    assert _mailboxes(await due.due_buckets(WORK_TIMER, 0)) == [MAILBOX]
