"""The table `Mailbox`: everything of one mailbox in one partition, so that one transaction changes it together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from shared.domain.errors import MailboxClosed, OutcomeUnknown, RowChanged
from shared.domain.model import ConversationLink, Event, FenceState, Mailbox, MailboxRef, Task, Thread
from shared.ports import Random
from shared.state import keys
from shared.state.codec import Stored, decode, encode
from shared.state.due import Due
from shared.storage.api import Delete, Insert, Op, Replace, TableStore

R = TypeVar("R")
COMMIT_COLUMN = "commit"


@dataclass(frozen=True, slots=True)
class Erase:
    """Take this record's row away; with an ETag only if it is unchanged."""

    record: Any
    etag: str | None = None


Change = Stored[Any] | Erase


class Ledger:
    """Rows of mailboxes. A new record is inserted, a read one replaced under its ETag; nothing is upserted (E-2)."""

    def __init__(self, tables: TableStore, due: Due, random: Random) -> None:
        self._tables = tables
        self._due = due
        self._chance = random

    async def gate(self, mailbox: MailboxRef) -> Stored[Mailbox] | None:
        """The mailbox's gate, or None when it was never connected."""
        return await self.find(mailbox, Mailbox, "")

    async def find(self, mailbox: MailboxRef, kind: type[R], identity: str) -> Stored[R] | None:
        """One record by its natural id: thread_id, Message-ID, graph_message_id, key, event ref or message_id."""
        row = await self._tables.get(
            keys.MAILBOX, keys.mailbox_partition(mailbox), keys.row_by_identity(kind, identity)
        )
        return decode(kind, row.values, row.etag) if row else None

    async def has(self, mailbox: MailboxRef, record: Any) -> bool:
        """Whether there is a row where this record would lie."""
        row = await self._tables.get(keys.MAILBOX, keys.mailbox_partition(mailbox), keys.row_of(record))
        return row is not None

    async def threads_of_conversation(self, mailbox: MailboxRef, conversation_id: str) -> tuple[Thread, ...]:
        """The threads that a conversation_id of this mailbox leads to."""
        prefix = keys.conversation_prefix(conversation_id)
        links = await self._range(mailbox, ConversationLink, prefix, keys.after_prefix(prefix))
        found = [await self.find(mailbox, Thread, link.value.thread_id) for link in links]
        return tuple(one.value for one in found if one)

    async def tasks(
        self, mailbox: MailboxRef, until: datetime, limit: int | None = 100, after: Task | None = None
    ) -> list[Stored[Task]]:
        """Work due at or before `until` (and listed behind `after`), oldest first; without a limit all of it."""
        start = f"{keys.row_of(after)}~" if after is not None else "task:"
        return await self._range(mailbox, Task, start, f"task:{keys.stamp(until)}~", limit)

    async def events(self, mailbox: MailboxRef, after_ref: str, limit: int) -> list[Stored[Event]]:
        """Recorded events behind `after_ref` ("" for all), oldest first."""
        start = f"event:{after_ref}~" if after_ref else "event:"
        return await self._range(mailbox, Event, start, "event;", limit)

    async def write(self, mailbox: MailboxRef, *changes: Change) -> list[str]:
        """Write what lets nothing in or out (attempts, deliveries done, failures): no fence. Returns the new ETags.

        Raises RowExists, RowChanged, RowMissing, StoreUnavailable, OutcomeUnknown.
        """
        await self._add_due(mailbox, changes)
        partition = keys.mailbox_partition(mailbox)
        return await self._tables.transact(keys.MAILBOX, partition, [_op(one) for one in changes])

    async def open_gate(
        self, mailbox: MailboxRef, gate: Stored[Mailbox], *changes: Change
    ) -> Stored[Mailbox]:
        """Write a gate whatever it says (connect, disconnect, repair) together with `changes`."""
        await self._add_due(mailbox, changes)
        commit = self._chance.token(9)
        columns: dict[str, Any] = {**encode(gate), COMMIT_COLUMN: commit}
        own: Op = (
            Replace(keys.MAILBOX_ROW, columns, gate.etag) if gate.etag else Insert(keys.MAILBOX_ROW, columns)
        )
        partition = keys.mailbox_partition(mailbox)
        try:
            etags = await self._tables.transact(
                keys.MAILBOX, partition, [own, *(_op(one) for one in changes)]
            )
        except OutcomeUnknown:
            return await self._conclude(mailbox, gate, commit)
        return Stored(gate.value, etags[0], gate.unknown)

    async def pass_gate(
        self, mailbox: MailboxRef, gate: Stored[Mailbox], *changes: Change
    ) -> Stored[Mailbox]:
        """The fence: write `changes` only while the gate is open and exactly as it was read.

        Raises MailboxClosed when it is closed, RowChanged("mailbox") when it changed meanwhile.
        """
        if gate.value.state is FenceState.CLOSED:
            raise MailboxClosed
        return await self.open_gate(mailbox, gate, *changes)

    async def _conclude(self, mailbox: MailboxRef, gate: Stored[Mailbox], commit: str) -> Stored[Mailbox]:
        """E-6: a transaction without an answer is concluded by reading its gate row."""
        row = await self._tables.get(keys.MAILBOX, keys.mailbox_partition(mailbox), keys.MAILBOX_ROW)
        if row is None or row.values.get(COMMIT_COLUMN) != commit:
            raise RowChanged(keys.MAILBOX_ROW)
        return Stored(gate.value, row.etag, gate.unknown)

    async def _add_due(self, mailbox: MailboxRef, changes: Sequence[Change]) -> None:
        """Due rows come before the transaction that needs them, so that no task is without its alarm."""
        for one in changes:
            if isinstance(one, Stored) and isinstance(one.value, Task):
                await self._due.add(mailbox, one.value)

    async def _range(
        self, mailbox: MailboxRef, kind: type[R], start: str, end: str, limit: int | None = None
    ) -> list[Stored[R]]:
        rows = await self._tables.query(keys.MAILBOX, keys.mailbox_partition(mailbox), start, end, limit)
        return [decode(kind, row.values, row.etag) for row in rows]


def new(record: R) -> Stored[R]:
    """A record that must not exist yet."""
    return Stored(record)


def _op(change: Change) -> Op:
    if isinstance(change, Erase):
        return Delete(keys.row_of(change.record), change.etag)
    row = keys.row_of(change.value)
    return Replace(row, encode(change), change.etag) if change.etag else Insert(row, encode(change))
