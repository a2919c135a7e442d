"""The table `Mailbox`: everything of one mailbox in one partition, so that one transaction changes it together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

from shared.domain.errors import (
    OutcomeUnknown,
    RowChanged,
    RowExists,
    RowMissing,
    StoreUnavailable,
    UnknownForm,
)
from shared.domain.model import (
    ConversationLink,
    Event,
    Mailbox,
    MailboxRef,
    MessageIndex,
    Task,
    Thread,
    ThreadMessage,
)
from shared.domain.tasks import tasks
from shared.ports import Random
from shared.state import keys, mailbox_rows
from shared.state.codec import Stored, decode, encode
from shared.state.due import DueIndex
from shared.state.mailbox_rows import StoredMailbox
from shared.storage.api import Delete, Insert, Op, Replace, Row, TableStore

R = TypeVar("R")
MOST_LOOKS: Final = 5


@dataclass(frozen=True, slots=True)
class Erase:
    """Take this record's row away; with an ETag only if it is unchanged."""

    record: Any
    etag: str | None = None


Change = Stored[Any] | Erase


@dataclass(frozen=True, slots=True)
class Written:
    """What a transaction did: the ETags of its changes in their order, and the tasks that are new.

    `etags` is None where the answer was lost and the transaction was found to have happened.
    """

    etags: tuple[str, ...] | None
    tasks: tuple[Task, ...]


@dataclass(frozen=True, slots=True)
class Committed:
    """A mailbox as it stands after a transaction, and what was written beside it."""

    mailbox: StoredMailbox
    written: Written


@dataclass(frozen=True, slots=True)
class DueTasks:
    """Tasks that are due; `more`: there are others, behind them or of kinds that only a newer version knows."""

    tasks: list[Stored[Task]]
    more: bool


@dataclass(frozen=True, slots=True)
class _Plan:
    """The tasks that come into being with a transaction, and the task rows to write for them and to remove."""

    added: tuple[Task, ...]
    insert: dict[str, Mapping[str, Any]]
    remove: tuple[str, ...]


class Ledger:
    """Rows of mailboxes. A new record is inserted, a read one replaced under its ETag; nothing is upserted (E-2)."""

    def __init__(self, tables: TableStore, due: DueIndex, random: Random) -> None:
        self._tables = tables
        self._due = due
        self._random = random

    async def mailbox(self, ref: MailboxRef) -> StoredMailbox | None:
        """The mailbox as its rows say, or None when it was never connected.

        Raises StoreUnavailable, also where the rows are of two generations at every look; UnknownForm.
        """
        partition = keys.mailbox_partition(ref)
        for _ in range(MOST_LOOKS):
            rows = await self._tables.query(keys.MAILBOX, partition, mailbox_rows.FROM, mailbox_rows.TO)
            if not mailbox_rows.are_torn(rows):
                return mailbox_rows.from_rows(rows)
        raise StoreUnavailable

    async def find(self, ref: MailboxRef, kind: type[R], identity: str) -> Stored[R] | None:
        """One record by its natural id: thread_id, Message-ID, graph_message_id, key, event ref or message_id.

        Raises UnknownForm where it can only be read by a newer version: so do all that read records, except of tasks.
        """
        row = await self._tables.get(
            keys.MAILBOX, keys.mailbox_partition(ref), keys.row_by_identity(kind, identity)
        )
        return decode(kind, row.values, row.etag) if row else None

    async def has(self, ref: MailboxRef, record: Any) -> bool:
        """Whether there is a row where this record would lie."""
        row = await self._tables.get(keys.MAILBOX, keys.mailbox_partition(ref), keys.row_of(record))
        return row is not None

    async def threads_of_conversation(self, ref: MailboxRef, conversation_id: str) -> tuple[Thread, ...]:
        """The threads that a conversation_id of this mailbox leads to."""
        prefix = keys.conversation_prefix(conversation_id)
        links = await self._range(ref, ConversationLink, prefix, keys.after_prefix(prefix))
        found = [await self.find(ref, Thread, link.value.thread_id) for link in links]
        return tuple(thread.value for thread in found if thread)

    async def threads(self, ref: MailboxRef, limit: int | None) -> list[Thread]:
        """The mailbox's threads, at most so many (None: all), in no order that people know."""
        found = await self._range(ref, Thread, "thread:", "thread;", limit)
        return [thread.value for thread in found]

    async def message_indexes(self, ref: MailboxRef) -> list[MessageIndex]:
        """Every Message-ID that is known in the mailbox: a thousand rows a call, for the daily audit."""
        return [row.value for row in await self._range(ref, MessageIndex, "msgid:", "msgid;")]

    async def messages_of_thread(
        self, ref: MailboxRef, thread_id: str, after: str, limit: int
    ) -> list[ThreadMessage]:
        """Messages of a thread behind that one's row ("" for all), oldest first."""
        prefix = keys.thread_messages_prefix(thread_id)
        start = f"{prefix}{after}~" if after else prefix
        found = await self._range(ref, ThreadMessage, start, keys.after_prefix(prefix), limit)
        return [message.value for message in found]

    async def tasks(self, ref: MailboxRef, until: datetime, limit: int | None = 100) -> list[Stored[Task]]:
        """Work due at or before `until`, oldest first, as far as its kind is known; without a limit all of it."""
        return (await self.due_tasks(ref, until, limit)).tasks

    async def due_tasks(self, ref: MailboxRef, until: datetime, limit: int | None) -> DueTasks:
        """The same, and whether there is more: behind these, or of a kind that only a newer version knows."""
        partition, end = keys.mailbox_partition(ref), f"task:{keys.stamp(until)}~"
        start, known, unknown = "task:", list[Stored[Task]](), 0
        while True:
            most = None if limit is None else limit - len(known)
            rows = await self._tables.query(keys.MAILBOX, partition, start, end, most)
            found = [task for row in rows if (task := _known_task(row)) is not None]
            known, unknown = known + found, unknown + len(rows) - len(found)
            is_all = most is None or len(rows) < most
            if is_all or len(known) == limit:
                return DueTasks(known, unknown > 0 or not is_all)
            start = f"{rows[-1].row}~"

    async def task(self, ref: MailboxRef, task: Task) -> Stored[Task] | None:
        """A task's row, where it is still there."""
        row = await self._tables.get(keys.MAILBOX, keys.mailbox_partition(ref), keys.row_of(task))
        return decode(Task, row.values, row.etag) if row else None

    async def tasks_behind(
        self, ref: MailboxRef, place: str, limit: int
    ) -> list[tuple[str, Stored[Task] | None]]:
        """Tasks behind that place ("" for all) with their places, by time; None for a kind that is not known."""
        start = f"{keys.TASK_PREFIX}{place}~" if place else keys.TASK_PREFIX
        end = keys.after_prefix(keys.TASK_PREFIX)
        rows = await self._tables.query(keys.MAILBOX, keys.mailbox_partition(ref), start, end, limit)
        return [(row.row.removeprefix(keys.TASK_PREFIX), _known_task(row)) for row in rows]

    async def events(self, ref: MailboxRef, after_ref: str, limit: int) -> list[Stored[Event]]:
        """Recorded events behind `after_ref` ("" for all), oldest first."""
        start = f"event:{after_ref}~" if after_ref else "event:"
        return await self._range(ref, Event, start, "event;", limit)

    async def erase_activity(self, ref: MailboxRef, until: datetime, limit: int) -> int:
        """Take away lines of the activity list up to that time, at most so many; returns how many."""
        partition, end = keys.mailbox_partition(ref), f"{keys.ACTIVITY_PREFIX}{keys.stamp(until)}"
        rows = await self._tables.query(keys.MAILBOX, partition, keys.ACTIVITY_PREFIX, end, limit)
        if rows:
            await self._tables.transact(keys.MAILBOX, partition, [Delete(row.row) for row in rows])
        return len(rows)

    async def write(self, ref: MailboxRef, *changes: Change) -> Written:
        """Write what lets nothing in or out (attempts, deliveries done, failures): no fence.

        Raises RowExists, RowChanged, RowMissing, StoreUnavailable, OutcomeUnknown.
        """
        plan = _plan(changes)
        await self._add_due(ref, plan.added)
        etags = await self._transact(ref, plan, [_op(change) for change in changes])
        return Written(tuple(etags[: len(changes)]), plan.added)

    async def commit(
        self,
        ref: MailboxRef,
        before: StoredMailbox | None,
        value: Mailbox,
        *changes: Change,
        marked: bool = False,
    ) -> Committed:
        """Write the mailbox's rows, as far as they change, and `changes`, which a fence row lets pass.

        `before` is the mailbox as it was read. A change of what the fence says (connecting, disconnecting) writes all
        of its rows; so does `marked`, for decisions that rest on the mailbox row as it was read.
        Raises RowExists, RowChanged, RowMissing when somebody was faster, StoreUnavailable.
        """
        plan = _plan(changes, tasks(before.value) if before else [], tasks(value))
        await self._add_due(ref, plan.added)
        mark = self._random.token(9)
        rows = mailbox_rows.rows_to_write(before, value, passes=bool(changes), jitter=self._random.jitter())
        rows += [keys.MAILBOX_ROW] if marked and keys.MAILBOX_ROW not in rows else []
        own = [mailbox_rows.written(before, value, row, mark) for row in rows]
        try:
            etags = await self._transact(ref, plan, [*own, *(_op(change) for change in changes)])
        except OutcomeUnknown:
            return await self._conclude(ref, rows[0], mark, plan.added)
        stored = StoredMailbox(
            value,
            {**(before.etags if before else {}), **dict(zip(rows, etags, strict=False))},
            unknown=before.unknown if before else {},
            left=before.left - set(rows) if before else frozenset(),
            members=mailbox_rows.members_to_write(before, value),
        )
        return Committed(stored, Written(tuple(etags[len(rows) : len(rows) + len(changes)]), plan.added))

    async def _conclude(self, ref: MailboxRef, row: str, mark: str, added: tuple[Task, ...]) -> Committed:
        """E-6: a transaction without an answer is concluded by reading one of its rows."""
        found = await self.mailbox(ref)
        if found is None or found.marks.get(row) != mark:
            raise RowChanged(row)
        return Committed(found, Written(None, added))

    async def _add_due(self, ref: MailboxRef, added: Sequence[Task]) -> None:
        """Due rows come before the transaction that needs them, so that no task is forgotten by the timers."""
        for task in added:
            await self._due.add(ref, task)

    async def _transact(self, ref: MailboxRef, plan: _Plan, ops: list[Op]) -> list[str]:
        """One transaction; a task row that is missing or there already never keeps its record from being written."""
        following: list[Op] = [*map(Delete, plan.remove), *(Insert(*row) for row in plan.insert.items())]
        partition = keys.mailbox_partition(ref)
        while True:
            try:
                return await self._tables.transact(keys.MAILBOX, partition, [*ops, *following])
            except (RowExists, RowMissing) as err:
                rest = [op for op in following if op.row != err.row]
                if len(rest) == len(following):
                    raise
                following = rest

    async def forget(self, ref: MailboxRef, task: Task) -> None:
        """Take away a task row that no row stands for any more; gone already is fine."""
        await self._tables.delete(keys.MAILBOX, keys.mailbox_partition(ref), keys.row_of(task))

    async def _range(
        self, ref: MailboxRef, kind: type[R], start: str, end: str, limit: int | None = None
    ) -> list[Stored[R]]:
        rows = await self._tables.query(keys.MAILBOX, keys.mailbox_partition(ref), start, end, limit)
        return [decode(kind, row.values, row.etag) for row in rows]


def _known_task(row: Row) -> Stored[Task] | None:
    try:
        return decode(Task, row.values, row.etag)
    except UnknownForm:
        return None


def new(record: R) -> Stored[R]:
    """A record that must not exist yet."""
    return Stored(record)


def _plan(changes: Sequence[Change], before: Sequence[Task] = (), after: Sequence[Task] = ()) -> _Plan:
    """What follows from the rows (see `shared.domain.tasks`); tasks written for themselves are among `added` too.

    `before` and `after` are the tasks of the mailbox row.
    """
    were, are, explicit = list(before), list(after), list[Task]()
    for change in changes:
        if isinstance(change, Erase):
            were += tasks(change.record)
            continue
        were += tasks(change.read)
        are += tasks(change.value)
        explicit += [change.value] if isinstance(change.value, Task) else []
    fresh = [task for task in are if task not in were]
    return _Plan(
        (*explicit, *fresh),
        {keys.row_of(task): encode(Stored(task)) for task in fresh},
        tuple(keys.row_of(task) for task in were if task not in are),
    )


def _op(change: Change) -> Op:
    if isinstance(change, Erase):
        return Delete(keys.row_of(change.record), change.etag)
    row = keys.row_of(change.value)
    return Replace(row, encode(change), change.etag) if change.etag else Insert(row, encode(change))
