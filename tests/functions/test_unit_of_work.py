"""The one way to change a mailbox: lost races are repeated, being fenced out is final, what follows happens once."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.errors import MailboxClosed, OutcomeUnknown, RaceLost, RowChanged, StoreUnavailable
from shared.domain.model import Event, FenceState, MessageIndex, OutboxItem, Task, TaskKind
from shared.mailbox_context import MailboxContext
from shared.state import keys
from shared.state.ledger import new
from shared.storage.testing.calls import Call, no_hook
from shared.sync.mailbox.unit_of_work import MAX_TRIES, change, races, switch, write
from tests.builders import outbox_item
from tests.functions.app import App
from tests.functions.test_making_subscriptions import mailbox


def context(app: App) -> MailboxContext:
    return MailboxContext(app.services, mailbox(app))


def index(name: str, app: App) -> MessageIndex:
    return MessageIndex(f"<{name}@x.example>", "thr_1", "msg_1", app.clock.now())


def an_event(app: App) -> Event:
    body = (
        '{"type":"connection.connected","timestamp":"2026-03-02T09:30:00Z","data":{"user_id":"u_ann",'
        '"status":"connected","reason":null,"mailbox":{"id":"mbx_1","address":"ann@northwind.example"}}}'
    )
    now = app.clock.now()
    return Event("evt_test", "connection.connected", now, None, body, None, now + timedelta(minutes=1))


def each_time(app: App, meddle: Callable[[], Awaitable[object]]) -> None:
    """Before each transaction on the mailbox somebody else is faster."""

    async def before(call: Call) -> None:
        if call.operation == "transact" and call.place[0] == keys.MAILBOX:
            app.tables.before = no_hook
            await meddle()
            app.tables.before = before

    app.tables.before = before


async def sweeps_late(app: App, count: int) -> None:
    """Another worker writes the mailbox row."""
    async for tx in change(context(app)):
        tx.mailbox = replace(tx.mailbox, late_sweeps=count)


async def add_index(app: App, generation: int | None = None) -> None:
    """Something passes."""
    async for tx in change(context(app), generation):
        tx.add(new(index("a", app)))


async def test_a_lost_race_is_repeated_on_what_the_winner_left(ready: App) -> None:
    """The second try reads anew: both changes of the mailbox row stand."""
    once = [5]

    async def meddle() -> None:
        if once:
            await sweeps_late(ready, once.pop())

    each_time(ready, meddle)
    ctx, tries = context(ready), 0
    async for tx in change(ctx):
        tries += 1
        assert tx.first == (tries == 1)
        tx.mailbox = replace(tx.mailbox, late_sweeps=tx.mailbox.late_sweeps + 1)
    assert tries == 2
    assert ctx.mailbox is not None
    assert ctx.mailbox.late_sweeps == 6


async def test_losing_every_race_is_an_error_of_its_own(ready: App) -> None:
    """After eight lost races the work is put off: it was not fenced out, and nothing was written."""
    counts = iter(range(1, 100))
    each_time(ready, lambda: sweeps_late(ready, next(counts)))
    tries = []

    async def note() -> None:
        async for tx in change(context(ready)):
            tries.append(tx.first)
            tx.mailbox = replace(tx.mailbox, sweep_late_found=9)

    with pytest.raises(RaceLost):
        await note()
    assert len(tries) == MAX_TRIES


@pytest.mark.parametrize("changes", [{"state": FenceState.CLOSED}, {"generation": 2}])
async def test_being_fenced_out_is_final(ready: App, changes: dict[str, object]) -> None:
    """A mailbox that was closed, or connected anew, between the read and the write lets nothing pass."""

    async def meddle() -> None:
        ready.tables.before = no_hook
        async for tx in switch(context(ready)):
            tx.mailbox = replace(tx.mailbox, **changes)  # type: ignore[arg-type]

    each_time(ready, meddle)
    with pytest.raises(MailboxClosed):
        await add_index(ready, generation=1)
    assert await context(ready).find(MessageIndex, "<a@x.example>") is None


async def test_what_passes_and_what_is_noted_do_not_meet(ready: App) -> None:
    """A mail that is imported while a sweep is noted needs one try: they write different rows."""
    each_time(ready, lambda: sweeps_late(ready, 3))
    tries = 0
    async for tx in change(context(ready)):
        tries += 1
        tx.add(new(index("a", ready)))
    assert tries == 1


async def test_a_decision_that_rests_on_the_mailbox_row_is_made_again(ready: App) -> None:
    """Where a change says so, a sweep that was noted meanwhile sends it back to decide anew."""
    once = [5]

    async def meddle() -> None:
        if once:
            await sweeps_late(ready, once.pop())

    each_time(ready, meddle)
    seen = []
    async for tx in change(context(ready)):
        seen.append(tx.mailbox.late_sweeps)
        tx.rest_on_mailbox()
        tx.add(new(index("a", ready)))
    assert seen == [0, 5]


async def test_an_abandoned_change_writes_nothing(ready: App) -> None:
    """`abandon` ends the loop without a transaction, whatever was added before."""
    changing = change(context(ready))
    async for tx in changing:
        tx.add(new(index("a", ready)))
        tx.abandon()
    assert not changing.committed
    assert await context(ready).find(MessageIndex, "<a@x.example>") is None


async def test_a_body_that_raises_writes_nothing(ready: App) -> None:
    """The commit comes when the loop goes on, so an error in the body leaves the mailbox as it was."""

    async def fail() -> None:
        async for tx in change(context(ready)):
            tx.add(new(index("a", ready)))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await context(ready).find(MessageIndex, "<a@x.example>") is None


async def test_a_change_that_changes_nothing_costs_no_write(ready: App) -> None:
    """The mailbox is read, and that is all."""
    calls: list[str] = []
    ready.tables.before = lambda call: calls.append(call.operation)
    changing = change(context(ready))
    async for _ in changing:
        pass
    assert changing.committed
    assert calls == ["query"]


async def test_a_new_event_is_delivered_once_and_not_enqueued(ready: App) -> None:
    """Its first attempt follows the commit; its task is there for the case that the worker dies before."""
    ready.crm.told.clear()
    async for tx in change(context(ready)):
        tx.add(new(an_event(ready)))
    assert ready.crm.types() == ["connection.connected"]
    assert await ready.queues.count(keys.DELIVERIES) == 0
    await ready.later(minutes=3)
    assert ready.crm.types() == ["connection.connected"]


async def test_a_new_event_is_delivered_also_where_the_answer_of_the_commit_was_lost(ready: App) -> None:
    """The transaction is found to have happened by its commit mark, and everything that follows it happens (E-6)."""
    ready.crm.told.clear()

    def lose(call: Call) -> None:
        if call.operation == "transact" and call.place[0] == keys.MAILBOX:
            ready.tables.after = no_hook
            raise OutcomeUnknown

    ready.tables.after = lose
    async for tx in change(context(ready)):
        tx.add(new(an_event(ready)))
    assert ready.crm.types() == ["connection.connected"]


async def test_new_tasks_are_enqueued_after_the_commit(ready: App) -> None:
    """What is due within five minutes is announced; what is left to the timer is not."""
    async for tx in change(context(ready)):
        tx.add(new(outbox_item(due_at=ready.clock.now())))
    assert await ready.queues.count(keys.OUTBOX) == 1
    async for tx in change(context(ready)):
        tx.add(new(outbox_item(key="b" * 64, due_at=ready.clock.now())))
        tx.leave_to_timer()
    assert await ready.queues.count(keys.OUTBOX) == 1


async def test_a_crash_before_the_tasks_are_enqueued_forgets_nobody(ready: App) -> None:
    """The task row stands with its record, so the timer finds it."""

    async def down(call: Call) -> None:
        raise StoreUnavailable(call.operation)

    ready.queues.before = down
    with pytest.raises(StoreUnavailable):
        await write(context(ready), new(outbox_item(due_at=ready.clock.now())))
    ready.queues.before = no_hook
    await ready.tick()
    assert await ready.queues.count(keys.OUTBOX) == 1


async def test_rows_of_other_tables_are_raced_for_in_the_same_way(ready: App) -> None:
    """Eight tries, then an error that says what happened; a try that loses no race is the last."""
    tries = 0
    async for race in races(ready.services):
        with race:
            tries += 1
            if tries < 3:
                raise RowChanged
    assert tries == 3

    async def lose() -> None:
        async for race in races(ready.services):
            with race:
                raise RowChanged

    with pytest.raises(RaceLost):
        await lose()


# ---- task rows are no truth of their own


async def take_away_task_rows(app: App) -> None:
    """By hand, all of them that follow from rows."""
    for stored in await app.services.ledger.tasks(mailbox(app), app.clock.now() + timedelta(days=400), None):
        if stored.value.kind in {TaskKind.SEND, TaskKind.DELIVER, TaskKind.SWEEP, TaskKind.RENEW}:
            await app.services.ledger.forget(mailbox(app), stored.value)


async def add_task_rows(app: App) -> None:
    """By hand, for everything that could be due, at the times its rows could move to."""
    rows = [Task(app.clock.now(), kind, "") for kind in (TaskKind.SWEEP, TaskKind.RENEW)]
    rows += [
        Task(app.clock.now(), TaskKind.SEND, "unknown"),
        Task(app.clock.now(), TaskKind.DELIVER, "unknown"),
    ]
    present = {
        stored.value
        for stored in await app.services.ledger.tasks(mailbox(app), app.clock.now() + timedelta(days=1), None)
    }
    missing = [new(task) for task in rows if task not in present]
    if missing:
        await app.services.ledger.write(mailbox(app), *missing)


@pytest.mark.parametrize("meddle", [take_away_task_rows, add_task_rows])
async def test_every_step_succeeds_whatever_task_rows_somebody_added_or_took_away(
    ready: App, meddle: Callable[[App], Awaitable[None]]
) -> None:
    """Sends, answers, deliveries that fail, sweeps and renewals go on, and in the end nothing is due for ever."""
    await ready.accepted("m-1")
    for _ in range(3):
        await meddle(ready)
        await ready.pump()
        ready.clock.forward(seconds=61)
    assert ready.crm.types()[-1] == "message.sent"
    await meddle(ready)
    await ready.answered()
    await meddle(ready)
    assert ready.crm.types()[-1] == "message.received"
    stored = await ready.services.ledger.find(mailbox(ready), OutboxItem, ready.mail.last_sent.key or "")
    assert stored is None or stored.value.phase.final
    for _ in range(4):
        await meddle(ready)
        await ready.later(minutes=16)
    due = await ready.services.ledger.tasks(mailbox(ready), ready.clock.now() - timedelta(minutes=5), None)
    assert [task.value for task in due] == []


async def test_members_of_another_version_stay_in_the_fence(ready: App) -> None:
    """A newer version keeps something in the fence row; whoever passes the fence writes it back."""
    place = (keys.MAILBOX, keys.mailbox_partition(mailbox(ready)), keys.fence_row(0))
    row = await ready.tables.get(*place)
    assert row is not None
    members = {**json.loads(str(row.values["data"])), "of_tomorrow": 7}
    await ready.tables.replace(*place, {**row.values, "data": json.dumps(members)}, row.etag)
    async for tx in change(MailboxContext(ready.services, mailbox(ready))):
        tx.add(new(index("a", ready)))
    after = await ready.tables.get(*place)
    assert after is not None
    assert json.loads(str(after.values["data"])).get("of_tomorrow") == 7
