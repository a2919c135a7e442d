"""Which due work follows from a row: the one place that says so.

The ledger compares the tasks of a row as it was read with those of the row as it is written, and adds or removes task
rows in the same transaction. Work without a row of its own (looking at a mail again, enqueueing what waited, erasing)
is a `Task` that is written for itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

from shared.domain.model import Event, FenceState, Mailbox, OutboxItem, Seen, Task, TaskKind


def tasks(record: object) -> list[Task]:
    """The tasks that this row stands for, without counters: those are kept in the row itself."""
    find = _FOLLOWING.get(type(record))
    return [] if find is None else find(record)


def in_turn(due: Sequence[Task]) -> list[Task]:
    """These tasks, one of each kind in turn, the oldest of each first: a crowd of one kind hides no other."""
    ranks: Counter[TaskKind] = Counter()
    ranked: list[tuple[int, Task]] = []
    for task in due:
        ranked.append((ranks[task.kind], task))
        ranks[task.kind] += 1
    return [task for _, task in sorted(ranked, key=lambda pair: pair[0])]


def _of_send(item: OutboxItem) -> list[Task]:
    return [] if item.due_at is None else [Task(item.due_at, TaskKind.SEND, item.key)]


def _of_event(event: Event) -> list[Task]:
    return [] if event.due_at is None else [Task(event.due_at, TaskKind.DELIVER, event.ref)]


def _of_seen(seen: Seen) -> list[Task]:
    """A held mail is looked at again."""
    return [] if seen.held is None else [Task(seen.held.look_at, TaskKind.LOOK_AGAIN, seen.graph_message_id)]


def _of_mailbox(mailbox: Mailbox) -> list[Task]:
    """A closed mailbox is neither swept nor subscribed."""
    if mailbox.state is FenceState.CLOSED:
        return []
    planned = (
        (TaskKind.SWEEP, mailbox.sweep_at),
        (TaskKind.RENEW, mailbox.renew_at),
        (TaskKind.AUDIT, mailbox.audit_at),
    )
    return [Task(at, kind, "") for kind, at in planned if at is not None]


_FOLLOWING: Final[dict[type, Callable[[Any], list[Task]]]] = {
    OutboxItem: _of_send,
    Event: _of_event,
    Seen: _of_seen,
    Mailbox: _of_mailbox,
}
