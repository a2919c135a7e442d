"""The fence: nothing passes a closed, changed or doubtful gate."""

from __future__ import annotations

from typing import Any

import pytest

from shared.domain.errors import MailboxClosed, OutcomeUnknown, RowChanged, RowExists, StoreUnavailable
from shared.domain.model import (
    ConversationLink,
    Event,
    FenceState,
    Mailbox,
    MessageIndex,
    OutboxItem,
    Task,
    Thread,
)
from shared.state import keys
from shared.state.codec import Stored
from shared.state.due import WORK_TIMER, Due
from shared.state.ledger import Erase, Ledger, new
from shared.storage.memory import Call, MemoryTables
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


async def _opened(ledger: Ledger, **changes: Any) -> Stored[Mailbox]:
    return await ledger.open_gate(MAILBOX, new(a_mailbox(**changes)))


def _lose_answers(call: Call) -> None:
    if call.operation == "transact":
        raise OutcomeUnknown


async def test_changes_pass_an_open_gate(ledger: Ledger) -> None:
    """What is written through an open gate stands, and so does the gate's new value."""
    opened = await _opened(ledger)
    await ledger.pass_gate(MAILBOX, opened.changed(a_mailbox(late_sweeps=1)), new(outbox_item()))
    found = await ledger.find(MAILBOX, OutboxItem, KEY)
    assert found is not None
    assert found.value == outbox_item()
    now = await ledger.gate(MAILBOX)
    assert now is not None
    assert now.value == a_mailbox(late_sweeps=1)


async def test_nothing_passes_a_closed_gate(ledger: Ledger) -> None:
    """A closed gate refuses before anything is sent."""
    closed = await _opened(ledger, state=FenceState.CLOSED)
    with pytest.raises(MailboxClosed):
        await ledger.pass_gate(MAILBOX, closed, new(outbox_item()))
    assert await ledger.find(MAILBOX, OutboxItem, KEY) is None


async def test_a_gate_that_closed_meanwhile_stops_a_worker_that_read_it_open(ledger: Ledger) -> None:
    """Disconnect between a worker's read and its write: the write fails whole (R5)."""
    read = await _opened(ledger)
    await ledger.open_gate(MAILBOX, read.changed(a_mailbox(state=FenceState.CLOSED)))
    with pytest.raises(RowChanged) as caught:
        await ledger.pass_gate(MAILBOX, read, new(outbox_item()))
    assert caught.value.row == keys.MAILBOX_ROW
    assert await ledger.find(MAILBOX, OutboxItem, KEY) is None


async def test_two_writers_of_one_gate_do_not_both_win(ledger: Ledger) -> None:
    """The second of two who read the same gate must read again."""
    read = await _opened(ledger)
    await ledger.pass_gate(MAILBOX, read, new(index()))
    with pytest.raises(RowChanged):
        await ledger.pass_gate(MAILBOX, read, new(outbox_item()))


async def test_the_returned_gate_is_good_for_the_next_write(ledger: Ledger) -> None:
    """Passing returns the gate under its new ETag."""
    opened = await _opened(ledger)
    passed = await ledger.pass_gate(MAILBOX, opened, new(index()))
    assert await ledger.pass_gate(MAILBOX, passed, new(outbox_item()))


async def test_a_record_that_exists_is_not_written_again(ledger: Ledger) -> None:
    """A second insert of the same record fails the whole transaction (E-3)."""
    opened = await _opened(ledger)
    passed = await ledger.pass_gate(MAILBOX, opened, new(outbox_item()))
    with pytest.raises(RowExists):
        await ledger.pass_gate(MAILBOX, passed, new(index()), new(outbox_item(subject="another")))
    assert await ledger.find(MAILBOX, MessageIndex, index().internet_message_id) is None


async def test_a_lost_answer_is_concluded_as_done(ledger: Ledger, tables: MemoryTables) -> None:
    """The transaction happened though its answer was lost: the gate's commit mark proves it (E-6)."""
    opened = await _opened(ledger)
    tables.after = _lose_answers
    passed = await ledger.pass_gate(MAILBOX, opened, new(outbox_item()))
    tables.after = lambda _: None
    assert await ledger.find(MAILBOX, OutboxItem, KEY)
    assert await ledger.pass_gate(MAILBOX, passed, new(index()))


async def test_a_lost_request_is_concluded_as_not_done(ledger: Ledger, tables: MemoryTables) -> None:
    """The transaction never happened: the caller hears that the gate is not as it hoped, and decides anew."""
    opened = await _opened(ledger)
    tables.before = _lose_answers
    with pytest.raises(RowChanged):
        await ledger.pass_gate(MAILBOX, opened, new(outbox_item()))
    assert await ledger.find(MAILBOX, OutboxItem, KEY) is None


async def test_a_first_gate_that_never_came_to_be_is_concluded(ledger: Ledger, tables: MemoryTables) -> None:
    """Also a gate that was to be inserted is looked for before anybody believes in it."""
    tables.before = _lose_answers
    with pytest.raises(RowChanged):
        await ledger.open_gate(MAILBOX, new(a_mailbox()))


async def test_somebody_elses_commit_is_not_taken_for_ours(ledger: Ledger, tables: MemoryTables) -> None:
    """After a lost answer the gate stands as another writer left it: that is no proof of our write."""
    opened = await _opened(ledger)
    other = Ledger(tables, Due(tables, ledger._due._clock), ledger._chance)

    async def overtaken(call: Call) -> None:
        if call.operation == "transact":
            tables.before = lambda _: None
            await other.pass_gate(MAILBOX, opened, new(index()))
            raise OutcomeUnknown

    tables.before = overtaken
    with pytest.raises(RowChanged):
        await ledger.pass_gate(MAILBOX, opened, new(outbox_item()))


async def test_work_is_promised_before_it_is_written(ledger: Ledger, due: Due, tables: MemoryTables) -> None:
    """The alarm stands before the transaction, so that a crash between leaves an alarm too many, never one too few."""
    opened = await _opened(ledger)

    def down(call: Call) -> None:
        if call.operation == "transact":
            raise StoreUnavailable

    tables.before = down
    with pytest.raises(StoreUnavailable):
        await ledger.pass_gate(MAILBOX, opened, new(task()))
    tables.before = lambda _: None
    assert [one.mailboxes for one in await due.due_buckets(WORK_TIMER, 0)] == [(MAILBOX,)]


async def test_no_work_is_written_without_its_alarm(ledger: Ledger, tables: MemoryTables) -> None:
    """When the alarm cannot be set, nothing is written."""
    opened = await _opened(ledger)

    def down(call: Call) -> None:
        if call.operation == "upsert":
            raise StoreUnavailable

    tables.before = down
    for write in (ledger.pass_gate(MAILBOX, opened, new(task())), ledger.write(MAILBOX, new(task()))):
        with pytest.raises(StoreUnavailable):
            await write
    assert await ledger.tasks(MAILBOX, later(days=1)) == []


async def test_writes_outside_the_fence_hold_to_their_etags(ledger: Ledger) -> None:
    """A record that changed since it was read is not overwritten."""
    await ledger.write(MAILBOX, new(event()))
    read = await ledger.find(MAILBOX, Event, event().ref)
    assert read is not None
    await ledger.write(MAILBOX, read.changed(event(attempts=1)))
    with pytest.raises(RowChanged):
        await ledger.write(MAILBOX, read.changed(event(attempts=7)))


async def test_todos_come_in_the_order_of_time_up_to_an_hour(ledger: Ledger) -> None:
    """What is due at the asked time is included, what comes after is not, and a limit cuts the youngest."""
    for minutes in (5, 0, 3, 9):
        await ledger.write(MAILBOX, new(task(later(minutes=minutes), ref=f"k{minutes}")))
    due_now = await ledger.tasks(MAILBOX, later(minutes=5))
    assert [one.value.ref for one in due_now] == ["k0", "k3", "k5"]
    assert [one.value.ref for one in await ledger.tasks(MAILBOX, later(minutes=5), 2)] == ["k0", "k3"]


async def test_erased_work_is_gone(ledger: Ledger) -> None:
    """Work that is done leaves no row."""
    await ledger.write(MAILBOX, new(task()))
    assert await ledger.tasks(MAILBOX, NOW)
    await ledger.write(MAILBOX, Erase(task()))
    assert not await ledger.tasks(MAILBOX, NOW)


async def test_events_are_read_behind_a_cursor(ledger: Ledger) -> None:
    """From the beginning without a cursor, and after one without what it names."""
    recorded = [event(at=later(seconds=n), event_id=f"evt_{n}") for n in range(3)]
    for one in recorded:
        await ledger.write(MAILBOX, new(one))
    assert [one.value for one in await ledger.events(MAILBOX, "", 10)] == recorded
    assert [one.value for one in await ledger.events(MAILBOX, recorded[0].ref, 10)] == recorded[1:]
    assert [one.value for one in await ledger.events(MAILBOX, "", 2)] == recorded[:2]


async def test_two_threads_may_share_a_conversation(ledger: Ledger) -> None:
    """A conversation_id leads to every thread that it names, and to no other mailbox's."""
    other = thread(thread_id=THREAD + "x")
    links = [ConversationLink("conv-1", THREAD), ConversationLink("conv-1", other.thread_id)]
    await ledger.write(MAILBOX, new(thread()), new(other), *[new(one) for one in links])
    await ledger.write(MAILBOX, new(ConversationLink("conv-2", THREAD)))
    assert set(await ledger.threads_of_conversation(MAILBOX, "conv-1")) == {thread(), other}
    assert await ledger.threads_of_conversation(MAILBOX, "conv-2") == (thread(),)
    assert await ledger.threads_of_conversation(MAILBOX, "conv-3") == ()


async def test_mailboxes_do_not_see_each_other(ledger: Ledger) -> None:
    """A record is found under its own mailbox only, also within a tenant."""
    await ledger.write(MAILBOX, new(thread()))
    stranger = type(MAILBOX)("ten_other", MAILBOX.mailbox_id)
    assert await ledger.find(stranger, Thread, THREAD) is None
    assert await ledger.find(MAILBOX, Thread, THREAD)


async def test_a_record_is_found_by_the_case_of_its_id(ledger: Ledger) -> None:
    """Ids from outside are never folded: another case is another mail."""
    await ledger.write(MAILBOX, new(index(internet_message_id="<Ab@x>")))
    assert await ledger.find(MAILBOX, MessageIndex, "<Ab@x>")
    assert await ledger.find(MAILBOX, MessageIndex, "<ab@x>") is None


async def test_todos_of_a_mailbox_are_todos_only(ledger: Ledger) -> None:
    """Other rows of the partition never show up as work."""
    await ledger.write(MAILBOX, new(task()), new(thread()), new(event()), new(index()))
    assert [type(one.value) for one in await ledger.tasks(MAILBOX, later(days=1))] == [Task]
