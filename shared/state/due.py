"""The table `Due`: which mailboxes have work in which five minutes, so that timers never scan.

A mailbox is noted before the transaction that creates its work. A bucket is read by every tick from its start
until two minutes after its end (a writer may still be between the note and its transaction), then taken away and
the watermark moved; so missed ticks are read later, and nothing is forgotten.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from shared.domain.errors import RowChanged, RowExists, RowMissing
from shared.domain.model import MailboxRef, Task, TaskKind
from shared.ports import Clock
from shared.state import keys
from shared.storage.api import Row, TableStore

WORK_TIMER: Final = "work"
RENEWAL_TIMER: Final = "renewals"
GRACE: Final = timedelta(minutes=2)
# Ticks come each minute, and each leaves the watermark at most eight minutes behind.
BEHIND: Final = timedelta(minutes=10)
# For ten minutes the host hides a message whose worker it has lost (Azure WebJobs SDK, `QueueProcessor`); then the
# message comes again, and only that tells of the death.
ANNOUNCED_FOR: Final = timedelta(minutes=11)
# People wait for these, and leases count most of their deaths.
ANNOUNCED_ANEW: Final = {TaskKind.SEND: timedelta(minutes=5), TaskKind.SWEEP: timedelta(minutes=5)}
_REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True)
class DueBucket:
    """One bucket of one shard with the mailboxes noted in it."""

    timer: str
    shard: int
    bucket: int
    mailboxes: tuple[MailboxRef, ...]


def timer_of(kind: TaskKind) -> str:
    """Renewals have their own timer."""
    return RENEWAL_TIMER if kind is TaskKind.RENEW else WORK_TIMER


class DueIndex:
    """Notes and watermarks."""

    def __init__(self, tables: TableStore, clock: Clock) -> None:
        self._tables = tables
        self._clock = clock
        self._added: dict[tuple[str, str], None] = {}
        self._latest = 0
        self._skipped: set[MailboxRef] = set()
        self._announced: dict[tuple[MailboxRef, str], datetime] = {}
        self._stands_at: dict[str, int] = {}
        self._read: list[tuple[list[DueBucket], str, int, datetime]] = []

    async def add(self, mailbox: MailboxRef, task: Task) -> None:
        """Note the mailbox in the bucket of the task, or in the present one when that is later."""
        await self.add_at(mailbox, timer_of(task.kind), task.due_at)

    async def add_at(self, mailbox: MailboxRef, timer: str, at: datetime) -> None:
        """Note the mailbox for a time. This process writes a note only once: present buckets are never erased.

        Unless our clock is set back: then present ones were over, and are taken away.
        """
        present = keys.bucket_of(self._clock.now())
        if present < self._latest:
            self._added.clear()
        self._latest, bucket = present, max(keys.bucket_of(at), present)
        place = (keys.due_partition(timer, bucket, keys.shard_of(mailbox)), keys.mailbox_partition(mailbox))
        if place in self._added:
            return
        await self._tables.upsert(keys.DUE, *place, {"schema": 1})
        if len(self._added) >= _REMEMBERED:
            self._added.clear()
        self._added[place] = None

    async def due_buckets(self, timer: str, shard: int) -> list[DueBucket]:
        """Every bucket from the watermark to now, oldest first; empty ones between are left out.

        A row that is no note of ours is passed over, and left where it is.
        """
        now = keys.bucket_of(self._clock.now())
        first = min(await self._watermark(timer, shard), _over_until(self._clock.now()))
        return [found for found in await self.listed(timer, first, now) if found.shard == shard]

    async def listed(self, timer: str, first: int, last: int) -> list[DueBucket]:
        """The buckets between these two, both included, of every shard."""
        rows = self._tables.query_partitions(
            keys.DUE, keys.due_partition(timer, first, 0), keys.due_partition(timer, last + 1, 0)
        )
        found: dict[tuple[int, int], list[MailboxRef]] = {}
        async for row in rows:
            place, mailbox = keys.due_place_in(row.partition), keys.mailbox_in(row.row)
            if place is not None and mailbox is not None:
                found.setdefault(place, []).append(mailbox)
        return [DueBucket(timer, shard, bucket, tuple(who)) for (bucket, shard), who in sorted(found.items())]

    def ordered(self, buckets: list[DueBucket]) -> list[MailboxRef]:
        """The mailboxes of these buckets, each once; those that this process had to skip come last: they may hang."""
        refs = dict.fromkeys(ref for bucket in buckets for ref in bucket.mailboxes)
        return sorted(refs, key=lambda ref: ref in self._skipped)

    async def skip(self, mailbox: MailboxRef, timer: str) -> None:
        """Its work could not be read: it stays listed."""
        self._skipped.add(mailbox)
        await self.add_at(mailbox, timer, self._clock.now() + keys.BUCKET)

    def read(self, mailbox: MailboxRef) -> None:
        """Its work could be read."""
        self._skipped.discard(mailbox)

    def unannounced(self, mailbox: MailboxRef, due: Sequence[Task]) -> list[Task]:
        """Those that this process has not announced of late: a message of each of the others is still to end.

        Or what kills its worker would get a new one from each tick, before the message of the first one comes again.
        """
        now, found = self._clock.now(), list[Task]()
        for task in due:
            last = self._announced.get((mailbox, keys.row_of(task)))
            if last is None or now - last >= ANNOUNCED_ANEW.get(task.kind, ANNOUNCED_FOR):
                found.append(task)
        return found

    def announced(self, mailbox: MailboxRef, tasks: Sequence[Task]) -> None:
        """These were put on their queues. What is forgotten is announced once more often."""
        if len(self._announced) >= _REMEMBERED:
            self._announced.clear()
        now = self._clock.now()
        self._announced.update(((mailbox, keys.row_of(task)), now) for task in tasks)

    def is_behind(self, timer: str) -> bool:
        """Whether the watermark, as this process has read it last, stands where ticks that end leave it behind."""
        stands_at = self._stands_at.get(timer)
        return stands_at is not None and self._clock.now() - keys.start_of(stands_at) > BEHIND

    def finish_later(self, buckets: list[DueBucket], timer: str, shard: int, read_at: datetime) -> None:
        """These were read; they are taken off the list by `finish_read`, at the end of the tick."""
        self._read.append((buckets, timer, shard, read_at))

    async def finish_read(self) -> None:
        """Take off the list what was read in this tick. A tick that dies before leaves the watermark, which tells."""
        while self._read:
            await self.finish(*self._read.pop())

    async def finish(self, buckets: list[DueBucket], timer: str, shard: int, read_at: datetime) -> None:
        """Take away the buckets that were surely over when they were read, then move the watermark past them."""
        over_until = _over_until(read_at)
        for bucket in buckets:
            if bucket.bucket < over_until:
                await self._erase(bucket)
        await self._move_watermark(timer, shard, over_until)

    async def _erase(self, bucket: DueBucket) -> None:
        partition = keys.due_partition(bucket.timer, bucket.bucket, bucket.shard)
        for mailbox in bucket.mailboxes:
            await self._tables.delete(keys.DUE, partition, keys.mailbox_partition(mailbox), None)

    async def passed_until(self, timer: str) -> datetime | None:
        """Until when a timer has taken everything off its list, in the shard furthest behind; None: it never ran.

        Raises StoreUnavailable.
        """
        buckets = [await self._watermark(timer, shard) for shard in range(keys.DUE_SHARDS)]
        return keys.start_of(min(buckets)) if all(buckets) else None

    async def _watermark(self, timer: str, shard: int) -> int:
        row = await self._tables.get(keys.DUE, "watermark", f"{timer}|{shard:02d}")
        self._stands_at[timer] = _bucket_in(row) if row else 0
        return self._stands_at[timer]

    async def _move_watermark(self, timer: str, shard: int, bucket: int) -> None:
        """Only forward; two ticks at once are harmless, the later value wins."""
        name = f"{timer}|{shard:02d}"
        row = await self._tables.get(keys.DUE, "watermark", name)
        try:
            if row is None:
                await self._tables.insert(keys.DUE, "watermark", name, {"bucket": bucket})
            elif _bucket_in(row) < bucket:
                await self._tables.replace(keys.DUE, "watermark", name, {"bucket": bucket}, row.etag)
        except (RowExists, RowChanged, RowMissing):
            return


def _bucket_in(watermark: Row) -> int:
    """The bucket that a watermark stands at; one that cannot be read stands at the beginning, and is moved on."""
    text = str(watermark.values.get("bucket", ""))
    return int(text) if text.isdecimal() else 0


def _over_until(now: datetime) -> int:
    """The first bucket that a writer may still note something in; a clock that was set back leads back to it."""
    return keys.bucket_of(now - GRACE)
