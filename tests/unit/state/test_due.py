"""Alarms: no piece of kind is without one, whatever ticks are missed."""

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
    """One instance's timer: what a tick of it would ring for."""

    due: DueIndex

    async def tick(self, timer: str = WORK_TIMER) -> list[MailboxRef]:
        read_at = self.due._clock.now()
        found = await self.due.due_buckets(timer, 0)
        await self.due.finish(found, timer, 0, read_at)
        return _mailboxes(found)


def _mailboxes(found: list[DueBucket]) -> list[MailboxRef]:
    return [who for one in found for who in one.mailboxes]


@pytest.fixture
def ticker(tables: MemoryTables, clock: StillClock) -> Ticker:
    return Ticker(DueIndex(tables, clock))


async def test_a_mailbox_is_rung_in_its_five_minutes(
    due: DueIndex, ticker: Ticker, clock: StillClock
) -> None:
    """Work is not seen before its bucket begins, and is from then on."""
    await due.add(MAILBOX, task(later(minutes=7)))
    assert await ticker.tick() == []
    clock.forward(minutes=5)
    assert await ticker.tick() == [MAILBOX]


async def test_overdue_work_is_noted_for_now(due: DueIndex, ticker: Ticker) -> None:
    """A time that has passed is noted in the present bucket: past ones may be erased already."""
    await due.add(MAILBOX, task(later(hours=-3)))
    assert await ticker.tick() == [MAILBOX]


async def test_a_bucket_is_read_again_until_its_grace_is_over(
    due: DueIndex, ticker: Ticker, clock: StillClock
) -> None:
    """A writer may still be between its note and its transaction two minutes after the end of the bucket."""
    await due.add(MAILBOX, task())
    for _ in range(7):
        assert await ticker.tick() == [MAILBOX]
        clock.forward(minutes=1)
    await ticker.tick()
    assert await ticker.tick() == []


async def test_missed_ticks_are_read_later(due: DueIndex, ticker: Ticker, clock: StillClock) -> None:
    """The app slept for a day: the first tick reads every bucket since the watermark, oldest first."""
    assert await ticker.tick() == []
    await due.add(MAILBOX, task(later(minutes=10)))
    await due.add(OTHER, task(later(hours=5)))
    clock.forward(days=1)
    assert await ticker.tick() == [MAILBOX, OTHER]
    assert await ticker.tick() == []


async def test_the_first_tick_of_all_finds_what_was_noted_long_before(
    due: DueIndex, ticker: Ticker, clock: StillClock
) -> None:
    """Before the first tick there is no watermark: nothing may be forgotten for that."""
    await due.add(MAILBOX, task())
    clock.forward(hours=30)
    assert await ticker.tick() == [MAILBOX]


async def test_a_note_made_while_a_tick_runs_is_not_erased_by_it(
    due: DueIndex, ticker: Ticker, clock: StillClock
) -> None:
    """A long tick takes away only what was over when it read: what was noted since, it has not rung for."""
    await due.add(MAILBOX, task())
    read_at = clock.now()
    found = await ticker.due.due_buckets(WORK_TIMER, 0)
    clock.forward(minutes=1)
    await due.add(OTHER, task(clock.now()))
    clock.forward(minutes=20)
    await ticker.due.finish(found, WORK_TIMER, 0, read_at)
    assert set(await ticker.tick()) == {MAILBOX, OTHER}


async def test_two_ticks_at_once_lose_nothing(due: DueIndex, tables: MemoryTables, clock: StillClock) -> None:
    """Two instances read the same buckets; the slower one moves nothing back."""
    await due.add(MAILBOX, task())
    one, other = DueIndex(tables, clock), DueIndex(tables, clock)
    slow = await one.due_buckets(WORK_TIMER, 0)
    slow_read_at = clock.now()
    clock.forward(minutes=30)
    await Ticker(other).tick()
    await one.finish(slow, WORK_TIMER, 0, slow_read_at)
    await due.add(OTHER, task(later(minutes=31)))
    clock.forward(minutes=5)
    assert await Ticker(one).tick() == [OTHER]


async def test_a_tick_that_failed_before_its_end_is_repeated(
    due: DueIndex, ticker: Ticker, tables: MemoryTables, clock: StillClock
) -> None:
    """The watermark moves behind the work: a crash in between only rings twice."""
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


async def test_a_clock_that_jumps_ahead_rings_early_and_loses_nothing(
    due: DueIndex, ticker: Ticker, clock: StillClock
) -> None:
    """After a jump everything between is rung; what is added then is noted in the new present."""
    await due.add(MAILBOX, task(later(days=2)))
    clock.forward(days=3)
    assert await ticker.tick() == [MAILBOX]
    await due.add(OTHER, task(later(days=1)))
    assert await ticker.tick() == [OTHER]


async def test_a_writer_whose_clock_is_a_minute_slow_is_heard(
    tables: MemoryTables, ticker: Ticker, clock: StillClock
) -> None:
    """Clocks of instances differ by seconds: a note in the bucket that has just ended is still read."""
    slow = StillClock(clock.at)
    clock.at = bucket_end(keys.bucket_of(clock.at))
    slow.at = clock.forward(minutes=-1)
    clock.forward(minutes=1, seconds=30)
    await ticker.tick()
    await DueIndex(tables, slow).add(MAILBOX, task(slow.at))
    assert await ticker.tick() == [MAILBOX]


async def test_a_clock_that_was_set_back_still_rings(
    due: DueIndex, ticker: Ticker, clock: StillClock
) -> None:
    """A clock ran an hour ahead and was put right: what is added meanwhile does not wait for that hour."""
    clock.forward(hours=1)
    await ticker.tick()
    clock.forward(hours=-1)
    await due.add(MAILBOX, task(clock.now()))
    assert await ticker.tick() == [MAILBOX]


async def test_lanes_keep_apart(due: DueIndex, ticker: Ticker) -> None:
    """Renewals are rung by their own timer only."""
    await due.add(MAILBOX, task(kind=TaskKind.RENEW))
    await due.add(OTHER, task(kind=TaskKind.SWEEP))
    assert await ticker.tick(RENEWAL_TIMER) == [MAILBOX]
    assert await ticker.tick(WORK_TIMER) == [OTHER]


@pytest.mark.parametrize("kind", list(TaskKind))
def test_every_kind_of_work_has_a_lane(kind: TaskKind) -> None:
    """Renewals have theirs, all other work shares one."""
    assert timer_of(kind) == (RENEWAL_TIMER if kind is TaskKind.RENEW else WORK_TIMER)


async def test_a_promise_is_written_once_a_bucket(
    due: DueIndex, tables: MemoryTables, clock: StillClock
) -> None:
    """The same mailbox in the same five minutes costs one write, however much work it gets; the next bucket its own."""
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
    """Only a note that stands is remembered."""

    def down(call: Call) -> None:
        raise StoreUnavailable

    tables.before = down
    with pytest.raises(StoreUnavailable):
        await due.add(MAILBOX, task())
    tables.before = lambda _: None
    await due.add(MAILBOX, task())
    assert _mailboxes(await due.due_buckets(WORK_TIMER, 0)) == [MAILBOX]
