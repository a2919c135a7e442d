"""The fence: nothing passes a mailbox that was closed or changed meanwhile; and tasks follow from rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from shared.domain.errors import OutcomeUnknown, RowChanged, RowExists, StoreUnavailable
from shared.domain.model import (
    ConversationLink,
    Event,
    FenceState,
    Mailbox,
    MessageIndex,
    OutboxItem,
    Task,
    TaskKind,
    Thread,
)
from shared.state import keys, mailbox_rows
from shared.state.due import WORK_TIMER, DueIndex
from shared.state.ledger import Change, Erase, Ledger, new
from shared.state.mailbox_rows import StoredMailbox
from shared.storage.testing import Call, MemoryTables
from tests.builders import (
    KEY,
    MAILBOX,
    NOW,
    THREAD,
    a_mailbox,
    event,
    index,
    later,
    outbox_item,
    task,
    thread,
)


async def _opened(ledger: Ledger, **changes: Any) -> StoredMailbox:
    return (await ledger.commit(MAILBOX, None, a_mailbox(**changes))).mailbox


async def _passed(ledger: Ledger, read: StoredMailbox, *changes: Change) -> StoredMailbox:
    """Commits these changes and leaves the mailbox row as it is."""
    return (await ledger.commit(MAILBOX, read, read.value, *changes)).mailbox


@dataclass
class Torn:
    """A table whose queries are what a test says."""

    query: Any


def _lose_answers(call: Call) -> None:
    if call.operation == "transact":
        raise OutcomeUnknown


async def test_changes_pass_an_open_mailbox(ledger: Ledger) -> None:
    """A commit through an open mailbox writes its changes and the mailbox's new value."""
    opened = await _opened(ledger)
    await ledger.commit(MAILBOX, opened, a_mailbox(late_sweeps=1), new(outbox_item()))
    found = await ledger.find(MAILBOX, OutboxItem, KEY)
    assert found is not None
    assert found.value == outbox_item()
    now = await ledger.mailbox(MAILBOX)
    assert now is not None
    assert now.value == a_mailbox(late_sweeps=1)


async def test_a_mailbox_that_closed_meanwhile_stops_a_worker_that_read_it_open(ledger: Ledger) -> None:
    """A write of a worker whose mailbox was closed after it had read it fails whole (R5)."""
    read = await _opened(ledger)
    await ledger.commit(MAILBOX, read, a_mailbox(state=FenceState.CLOSED))
    with pytest.raises(RowChanged) as caught:
        await _passed(ledger, read, new(outbox_item()))
    assert caught.value.row == keys.fence_row(0)
    assert await ledger.find(MAILBOX, OutboxItem, KEY) is None


async def test_who_closes_a_mailbox_stops_notes_in_its_row_too(ledger: Ledger) -> None:
    """A note in the mailbox row by a worker that read it open is not written over the closed one."""
    read = await _opened(ledger)
    await ledger.commit(MAILBOX, read, a_mailbox(state=FenceState.CLOSED))
    with pytest.raises(RowChanged) as caught:
        await ledger.commit(MAILBOX, read, a_mailbox(late_sweeps=1))
    assert caught.value.row == keys.MAILBOX_ROW


async def test_two_writers_of_one_fence_do_not_both_win(ledger: Ledger) -> None:
    """Of two writers that read the same fence the second fails and must read again."""
    read = await _opened(ledger)
    await _passed(ledger, read, new(index()))
    with pytest.raises(RowChanged):
        await _passed(ledger, read, new(outbox_item()))


async def test_who_lets_a_mail_pass_and_who_notes_a_sweep_do_not_meet(ledger: Ledger) -> None:
    """A commit through the fence and a note in the mailbox row from the same read both stand."""
    read = await _opened(ledger)
    await _passed(ledger, read, new(index()))
    await ledger.commit(MAILBOX, read, a_mailbox(late_sweeps=1))
    now = await ledger.mailbox(MAILBOX)
    assert now is not None
    assert now.value.late_sweeps == 1


async def test_a_decision_may_rest_on_the_mailbox_row(ledger: Ledger) -> None:
    """A commit that rests on the mailbox row fails when that row has changed meanwhile."""
    read = await _opened(ledger)
    await ledger.commit(MAILBOX, read, a_mailbox(late_sweeps=1))
    with pytest.raises(RowChanged):
        await ledger.commit(MAILBOX, read, read.value, new(index()), marked=True)


async def test_the_returned_mailbox_is_good_for_the_next_write(ledger: Ledger) -> None:
    """A commit returns the mailbox under new ETags that serve the next write."""
    opened = await _opened(ledger)
    passed = await _passed(ledger, opened, new(index()))
    assert await _passed(ledger, passed, new(outbox_item()))


async def test_a_record_that_exists_is_not_written_again(ledger: Ledger) -> None:
    """A second insert of a record fails its whole transaction (E-3)."""
    opened = await _opened(ledger)
    passed = await _passed(ledger, opened, new(outbox_item()))
    with pytest.raises(RowExists):
        await _passed(ledger, passed, new(index()), new(outbox_item(subject="another")))
    assert await ledger.find(MAILBOX, MessageIndex, index().internet_message_id) is None


async def test_a_lost_answer_is_concluded_as_done(ledger: Ledger, tables: MemoryTables) -> None:
    """A transaction whose answer was lost is concluded as done by its commit mark (E-6)."""
    opened = await _opened(ledger)
    tables.after = _lose_answers
    done = await ledger.commit(MAILBOX, opened, opened.value, new(outbox_item()))
    tables.after = lambda _: None
    assert done.written.etags is None
    assert await ledger.find(MAILBOX, OutboxItem, KEY)
    assert await _passed(ledger, done.mailbox, new(index()))


async def test_a_lost_request_is_concluded_as_not_done(ledger: Ledger, tables: MemoryTables) -> None:
    """A transaction that never happened is concluded as not done, so that the caller decides anew."""
    opened = await _opened(ledger)
    tables.before = _lose_answers
    with pytest.raises(RowChanged):
        await _passed(ledger, opened, new(outbox_item()))
    assert await ledger.find(MAILBOX, OutboxItem, KEY) is None


async def test_a_first_opening_that_never_came_to_be_is_concluded(
    ledger: Ledger, tables: MemoryTables
) -> None:
    """A first opening of a mailbox that never happened is concluded as not done."""
    tables.before = _lose_answers
    with pytest.raises(RowChanged):
        await _opened(ledger)


async def test_somebody_elses_commit_is_not_taken_for_ours(ledger: Ledger, tables: MemoryTables) -> None:
    """After a lost answer another writer's commit is not taken for one's own."""
    opened = await _opened(ledger)
    other = Ledger(tables, DueIndex(tables, ledger._due._clock), ledger._random)

    async def overtaken(call: Call) -> None:
        if call.operation == "transact":
            tables.before = lambda _: None
            await _passed(other, opened, new(index()))
            raise OutcomeUnknown

    tables.before = overtaken
    with pytest.raises(RowChanged):
        await _passed(ledger, opened, new(outbox_item()))


async def test_work_is_listed_as_due_before_it_is_written(
    ledger: Ledger, due: DueIndex, tables: MemoryTables
) -> None:
    """Work is listed as due before its transaction, so that a crash between leaves one note too many."""
    opened = await _opened(ledger)

    def down(call: Call) -> None:
        if call.operation == "transact":
            raise StoreUnavailable

    tables.before = down
    with pytest.raises(StoreUnavailable):
        await _passed(ledger, opened, new(task()))
    tables.before = lambda _: None
    assert [bucket.mailboxes for bucket in await due.due_buckets(WORK_TIMER, 0)] == [(MAILBOX,)]


async def test_no_work_is_written_without_its_due_row(ledger: Ledger, tables: MemoryTables) -> None:
    """When work cannot be listed as due, nothing of it is written."""
    opened = await _opened(ledger)

    def down(call: Call) -> None:
        if call.operation == "upsert":
            raise StoreUnavailable

    tables.before = down
    for write in (_passed(ledger, opened, new(task())), ledger.write(MAILBOX, new(task()))):
        with pytest.raises(StoreUnavailable):
            await write
    assert await ledger.tasks(MAILBOX, later(days=1)) == []


async def _with_further_fences(ledger: Ledger, tables: MemoryTables, count: int = 3) -> StoredMailbox:
    """The open mailbox as a version leaves it that makes more fence rows."""
    await _opened(ledger)
    partition = keys.mailbox_partition(MAILBOX)
    first = await tables.get(keys.MAILBOX, partition, keys.fence_row(0))
    assert first is not None
    for number in range(1, count):
        await tables.insert(keys.MAILBOX, partition, keys.fence_row(number), first.values)
    read = await ledger.mailbox(MAILBOX)
    assert read is not None
    return read


async def test_what_passes_goes_by_any_fence_row_that_another_version_made(
    ledger: Ledger, tables: MemoryTables
) -> None:
    """The next version may make more fence rows: this one passes by each of them, so that their writers do not meet."""
    read = await _with_further_fences(ledger, tables)
    for number in range(30):
        read = await _passed(ledger, read, new(index(internet_message_id=f"<{number}@x.example>")))
    now = await ledger.mailbox(MAILBOX)
    assert now is not None
    assert all(now.marks[keys.fence_row(number)] for number in range(3))
    assert len({now.marks[keys.fence_row(number)] for number in range(3)}) == 3


async def test_who_closes_a_mailbox_closes_every_fence_row_that_there_is(
    ledger: Ledger, tables: MemoryTables
) -> None:
    """A writer of the version that made them passes by none of them afterwards; who opens it opens them all."""
    read = await _with_further_fences(ledger, tables)
    closed = await ledger.commit(MAILBOX, read, a_mailbox(state=FenceState.CLOSED))
    assert all(closed.mailbox.etags[row] != read.etags[row] for row in read.fences)
    assert len(read.fences) == 3
    opened = a_mailbox(generation=2, connection_id="con_2")
    await ledger.commit(MAILBOX, closed.mailbox, opened)
    now = await ledger.mailbox(MAILBOX)
    assert now is not None
    assert (now.value, now.left) == (opened, frozenset())


@pytest.mark.parametrize(
    "written", [a_mailbox(state=FenceState.CLOSED), a_mailbox(generation=2, connection_id="con_2")]
)
async def test_a_fence_row_that_the_last_writer_did_not_know_of_lets_nothing_pass(
    ledger: Ledger, tables: MemoryTables, written: Mailbox
) -> None:
    """A version with one fence row closed the mailbox, or connected another: what the other rows say is over."""
    partition = keys.mailbox_partition(MAILBOX)
    read = await _with_further_fences(ledger, tables)
    kept = [await tables.get(keys.MAILBOX, partition, keys.fence_row(number)) for number in (1, 2)]
    await ledger.commit(MAILBOX, read, written)
    for row in kept:
        assert row is not None
        await tables.upsert(keys.MAILBOX, partition, row.row, row.values)
    now = await ledger.mailbox(MAILBOX)
    assert now is not None
    assert now.value == written
    assert now.left == {keys.fence_row(1), keys.fence_row(2)}
    for number in range(10):
        now = await _passed(ledger, now, new(index(internet_message_id=f"<{number}@x.example>")))
    after = await ledger.mailbox(MAILBOX)
    assert after is not None
    assert [after.etags[row] == now.etags[row] for row in now.fences] == [True] * 3
    assert len(now.left) == 2


async def test_rows_of_two_generations_are_read_again(ledger: Ledger, tables: MemoryTables) -> None:
    """A query that sees the fence of one connection and the mailbox row of the next is not believed."""
    await _opened(ledger)
    old = await tables.query(keys.MAILBOX, keys.mailbox_partition(MAILBOX), "fence:", "fence;")
    read = await ledger.mailbox(MAILBOX)
    assert read is not None
    await ledger.commit(MAILBOX, read, a_mailbox(generation=2, connection_id="con_2"))
    whole = await tables.query(keys.MAILBOX, keys.mailbox_partition(MAILBOX), "fence:", "mailbox~")
    assert mailbox_rows.are_torn([*old, whole[-1]])
    assert not mailbox_rows.are_torn(whole)
    torn, right = [[*old, whole[-1]]], tables.query

    async def query(*args: Any) -> Any:
        return torn.pop() if torn else await right(*args)

    object.__setattr__(ledger, "_tables", Torn(query))
    again = await ledger.mailbox(MAILBOX)
    assert again is not None
    assert again.value.connection_id == "con_2"


# ---- tasks follow from rows


async def _due(ledger: Ledger) -> list[Task]:
    return [stored.value for stored in await ledger.tasks(MAILBOX, later(days=400))]


async def test_tasks_come_move_and_go_with_their_row(ledger: Ledger) -> None:
    """A send's task row is made, moved and erased with its due time, and new tasks are returned."""
    written = await ledger.write(MAILBOX, new(outbox_item(due_at=NOW)))
    assert await _due(ledger) == list(written.tasks) == [Task(NOW, TaskKind.SEND, KEY)]
    for due_at in (later(hours=1), later(hours=1), None):
        stored = await ledger.find(MAILBOX, OutboxItem, KEY)
        assert stored is not None
        written = await ledger.write(
            MAILBOX, stored.changed(outbox_item(due_at=due_at, build=stored.value.build + 1))
        )
        assert await _due(ledger) == ([Task(due_at, TaskKind.SEND, KEY)] if due_at else [])
    assert written.tasks == ()


async def test_the_mailbox_row_stands_for_its_sweep_and_renewal(ledger: Ledger) -> None:
    """An open mailbox has tasks for its sweep and renewal, and closing it erases both."""
    read = await _opened(ledger, sweep_at=NOW, renew_at=later(days=6))
    assert await _due(ledger) == [Task(NOW, TaskKind.SWEEP, ""), Task(later(days=6), TaskKind.RENEW, "")]
    await ledger.commit(MAILBOX, read, replace(read.value, state=FenceState.CLOSED))
    assert await _due(ledger) == []


async def test_an_erased_record_takes_its_task_along(ledger: Ledger) -> None:
    """Erasing a record erases its task row."""
    await ledger.write(MAILBOX, new(event()))
    await ledger.write(MAILBOX, Erase(event()))
    assert await _due(ledger) == []


async def test_a_task_row_that_is_gone_keeps_nobody_from_writing(ledger: Ledger) -> None:
    """A record whose task row is gone can be written and has a row for its next task."""
    await ledger.write(MAILBOX, new(outbox_item(due_at=NOW)))
    await ledger.forget(MAILBOX, Task(NOW, TaskKind.SEND, KEY))
    stored = await ledger.find(MAILBOX, OutboxItem, KEY)
    assert stored is not None
    await ledger.write(MAILBOX, stored.changed(outbox_item(due_at=later(hours=1))))
    assert await _due(ledger) == [Task(later(hours=1), TaskKind.SEND, KEY)]


async def test_a_task_row_that_is_there_already_keeps_nobody_from_writing(ledger: Ledger) -> None:
    """A record whose task row is there already can be written."""
    await ledger.write(
        MAILBOX, new(Task(NOW, TaskKind.SEND, KEY)), new(Task(NOW, TaskKind.DELIVER, event().ref))
    )
    await ledger.write(MAILBOX, new(outbox_item(due_at=NOW)), new(event(due_at=NOW)))
    assert len(await _due(ledger)) == 2


async def test_writes_outside_the_fence_hold_to_their_etags(ledger: Ledger) -> None:
    """A record that changed since it was read is not overwritten outside the fence either."""
    await ledger.write(MAILBOX, new(event()))
    read = await ledger.find(MAILBOX, Event, event().ref)
    assert read is not None
    await ledger.write(MAILBOX, read.changed(event(attempts=1)))
    with pytest.raises(RowChanged):
        await ledger.write(MAILBOX, read.changed(event(attempts=7)))


async def test_tasks_come_in_the_order_of_time_up_to_an_hour(ledger: Ledger) -> None:
    """Tasks come in the order of time up to the asked moment, inclusive, and a limit cuts the latest."""
    for minutes in (5, 0, 3, 9):
        await ledger.write(MAILBOX, new(task(later(minutes=minutes), ref=f"k{minutes}")))
    due_now = await ledger.tasks(MAILBOX, later(minutes=5))
    assert [row.value.ref for row in due_now] == ["k0", "k3", "k5"]
    assert [row.value.ref for row in await ledger.tasks(MAILBOX, later(minutes=5), 2)] == ["k0", "k3"]


async def test_erased_work_is_gone(ledger: Ledger) -> None:
    """Erased work leaves no task row."""
    await ledger.write(MAILBOX, new(task()))
    assert await ledger.tasks(MAILBOX, NOW)
    await ledger.write(MAILBOX, Erase(task()))
    assert not await ledger.tasks(MAILBOX, NOW)


async def test_events_are_read_behind_a_cursor(ledger: Ledger) -> None:
    """Events are read in order behind a cursor, from the beginning without one, up to a limit."""
    recorded = [event(at=later(seconds=n), event_id=f"evt_{n}") for n in range(3)]
    for record in recorded:
        await ledger.write(MAILBOX, new(record))
    assert [row.value for row in await ledger.events(MAILBOX, "", 10)] == recorded
    assert [row.value for row in await ledger.events(MAILBOX, recorded[0].ref, 10)] == recorded[1:]
    assert [row.value for row in await ledger.events(MAILBOX, "", 2)] == recorded[:2]


async def test_two_threads_may_share_a_conversation(ledger: Ledger) -> None:
    """A conversation_id leads to every thread linked to it, and to no other."""
    other = thread(thread_id=THREAD + "x")
    links = [ConversationLink("conv-1", THREAD), ConversationLink("conv-1", other.thread_id)]
    await ledger.write(MAILBOX, new(thread()), new(other), *[new(link) for link in links])
    await ledger.write(MAILBOX, new(ConversationLink("conv-2", THREAD)))
    assert set(await ledger.threads_of_conversation(MAILBOX, "conv-1")) == {thread(), other}
    assert await ledger.threads_of_conversation(MAILBOX, "conv-2") == (thread(),)
    assert await ledger.threads_of_conversation(MAILBOX, "conv-3") == ()


async def test_mailboxes_do_not_see_each_other(ledger: Ledger) -> None:
    """A record of a mailbox is not found under another tenant's."""
    await ledger.write(MAILBOX, new(thread()))
    stranger = type(MAILBOX)("ten_other", MAILBOX.mailbox_id)
    assert await ledger.find(stranger, Thread, THREAD) is None
    assert await ledger.find(MAILBOX, Thread, THREAD)


async def test_a_record_is_found_by_the_case_of_its_id(ledger: Ledger) -> None:
    """A record is found by the exact case of its outside id."""
    await ledger.write(MAILBOX, new(index(internet_message_id="<Ab@x>")))
    assert await ledger.find(MAILBOX, MessageIndex, "<Ab@x>")
    assert await ledger.find(MAILBOX, MessageIndex, "<ab@x>") is None


async def test_tasks_of_a_mailbox_are_tasks_only(ledger: Ledger) -> None:
    """Other rows of a mailbox's partition are never listed as tasks."""
    await ledger.write(MAILBOX, new(task()), new(thread()), new(event(due_at=None)), new(index()))
    assert [type(row.value) for row in await ledger.tasks(MAILBOX, later(days=1))] == [Task]
