"""An endpoint of the CRM that hangs: no import waits long for it, and no other tenant's events wait at all (C-8)."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import azure.functions as func
import pytest

from shared.domain.errors import CrmUnavailable
from shared.domain.model import Event, MailboxRef
from shared.endpoint_watch import LONGEST_WAIT, SLOW_AFTER, SLOW_FOR, EndpointWatch
from shared.mailbox_context import MailboxContext
from shared.state import keys
from shared.state.ledger import new
from shared.storage.api import QueueMessage
from shared.storage.testing import Call
from shared.sync.queueing.jobs import enqueue_all
from tests.builders import NOW
from tests.functions.app import BEA_ADDRESS, App
from tests.functions.host import QueueJob, workers
from tests.functions.racing import work
from tests.functions.test_send_ends import mailbox_of

HANGS_SECONDS = 15
FOREIGN = "https://other.example/hooks"


def hang(app: App, only: str | None = None) -> None:
    """The endpoint takes 15 seconds and says nothing."""

    async def takes_its_time(url: str) -> None:
        if only is None or url == only:
            for _ in range(50):  # who works at the same time goes on meanwhile
                await asyncio.sleep(0)
            app.clock.forward(seconds=HANGS_SECONDS)
            raise CrmUnavailable

    app.crm.takes_its_time = takes_its_time


def replies(app: App, count: int) -> list[str]:
    before = app.mail.last_sent.internet_message_id
    return [app.mail.receive(BEA_ADDRESS, in_reply_to=before) for _ in range(count)]


async def told(app: App) -> int:
    """How many answers the CRM has heard of."""
    return app.crm.types().count("message.received")


async def longest_job(app: App, *queues: str) -> timedelta:
    """Let the workers take every message, one at a time; how long the longest of them took."""
    longest = timedelta()
    for queue in queues:
        while await app.queues.peek(queue):
            began = app.clock.now()
            received = await app.queues.receive(queue, 1)
            await workers()[queue](msg=func.QueueMessage(id=received[0].id, body=received[0].text))
            await app.queues.delete(queue, received[0])
            longest = max(longest, app.clock.now() - began)
    return longest


async def test_one_invocation_waits_twenty_seconds_at_most(begun: App) -> None:
    """60 answers found by one job at an endpoint that hangs: all are imported, and the job waits for one of them."""
    hang(begun)
    assert (await begun.notify(*replies(begun, 60))).status == 202
    assert await longest_job(begun, keys.CHANGES) <= timedelta(seconds=20)
    shown = await begun.services.ledger.events(mailbox_of(begun), "", 200)
    assert sum(event.value.type == "message.received" for event in shown) == 60


async def test_a_sweep_waits_no_longer(begun: App) -> None:
    """The same where a sweep finds them."""
    replies(begun, 60)
    hang(begun)
    begun.clock.forward(minutes=16)
    await begun.tick()
    assert await longest_job(begun, keys.MAINTENANCE) <= timedelta(seconds=20)


async def test_answers_at_a_steady_pace_are_told_at_once_until_the_time_is_up(begun: App) -> None:
    """Each takes a second: a job tells six and leaves the others to the queue, none waits longer for it."""

    async def a_second(_: str) -> None:
        begun.clock.forward(seconds=1)

    begun.crm.takes_its_time = a_second
    assert (await begun.notify(*replies(begun, 20))).status == 202
    assert await longest_job(begun, keys.CHANGES) <= timedelta(seconds=20)
    assert await told(begun) == 6
    await begun.pump(keys.DELIVERIES)
    assert await told(begun) == 20


async def test_everything_is_told_once_it_answers_again(begun: App) -> None:
    """An hour of hanging costs nothing but time: each is told once, by its schedule."""
    hang(begun)
    await begun.arrives(*replies(begun, 30))
    await begun.later(hours=1)
    assert await told(begun) == 0
    begun.crm.takes_its_time = None
    await begun.later(hours=3)
    assert await told(begun) == 30
    assert len(begun.crm.ids) == len(set(begun.crm.ids))


async def test_what_waits_for_a_slow_endpoint_uses_up_no_attempt(begun: App) -> None:
    """What was not called does not count: the schedule of an event is that of its own calls."""
    hang(begun)
    before = len(begun.crm.tried)
    assert (await begun.notify(*replies(begun, 10))).status == 202
    await work(begun, 4)
    begun.clock.forward(minutes=1)
    await work(begun, 4)
    events = await begun.services.ledger.events(mailbox_of(begun), "", 200)
    attempts = [event.value.attempts for event in events if event.value.type == "message.received"]
    assert sum(attempts) == len(begun.crm.tried) - before
    assert attempts.count(0) >= 5
    assert all(event.value.due_at for event in events if event.value.type == "message.received")


@pytest.fixture
async def two(begun: App) -> App:
    """A second tenant's mailbox is connected too."""
    await begun.connect("u_cem", "cem", key=begun.other.api_key)
    return begun


async def foreign(app: App) -> MailboxRef:
    """The other tenant's mailbox."""
    (mailbox_id,) = await app.services.tenants.mailboxes(app.other.tenant_id)
    return MailboxRef(app.other.tenant_id, mailbox_id)


async def record_foreign(app: App, start: int, end: int) -> None:
    """Events of the other tenant, each with its message in the queue."""
    ctx = MailboxContext(app.services, await foreign(app))
    body = (
        '{"type":"connection.connected","timestamp":"2026-03-02T09:30:00Z","data":{"user_id":"u_cem",'
        '"status":"connected","reason":null,"mailbox":{"id":"mbx_1","address":"cem@northwind.example"}}}'
    )
    for number in range(start, end):
        now = ctx.now()
        event = Event(f"evt_{number}", "connection.connected", now, None, body, None, now)
        written = await app.services.ledger.write(ctx.ref, new(event))
        await enqueue_all(ctx, written.tasks)


async def test_a_hanging_endpoint_keeps_one_worker_and_the_others_go_on(two: App) -> None:
    """A hundred events of another tenant hang; Ann's answers are told while one call of theirs is still under way."""
    released, hanging, most = asyncio.Event(), list[str](), [0]

    async def hangs(url: str) -> None:
        if url == FOREIGN:
            hanging.append(url)
            most[0] = max(most[0], len(hanging))
            await released.wait()
            hanging.remove(url)
            raise CrmUnavailable

    hang(two, FOREIGN)
    await record_foreign(two, 0, 1)
    await two.pump(keys.DELIVERIES)
    two.crm.takes_its_time = hangs
    await record_foreign(two, 1, 100)
    for number in replies(two, 5):
        await two.notify(number)
    working = asyncio.create_task(work(two, 4))
    for _ in range(2_000):
        await asyncio.sleep(0)
    assert (await told(two), most) == (5, [1])
    released.set()
    await working


async def test_the_first_calls_that_hang_keep_the_workers_for_one_call(two: App) -> None:
    """Nobody knows yet that it hangs: the workers wait for their first call, and then it is one of them."""
    calls: list[str] = []

    async def hangs(url: str) -> None:
        if url == FOREIGN:
            calls.append(url)
            for _ in range(50):
                await asyncio.sleep(0)
            two.clock.forward(seconds=HANGS_SECONDS)
            raise CrmUnavailable

    two.crm.takes_its_time = hangs
    await record_foreign(two, 0, 60)
    await work(two, 4)
    assert len(calls) < 8


class Host:
    """Timers and workers by the clock: a call that hangs is under way while other messages are worked on."""

    def __init__(self, app: App) -> None:
        self.app, self.put, self.running = app, 0, set[asyncio.Task[None]]()
        app.queues.after = self._count

        async def takes_its_time(url: str) -> None:
            until = app.clock.now() + timedelta(seconds=HANGS_SECONDS)
            for _ in range(10_000 if url == FOREIGN else 0):
                if app.clock.now() >= until:
                    raise CrmUnavailable
                await asyncio.sleep(0)

        app.crm.takes_its_time = takes_its_time

    def _count(self, call: Call) -> None:
        self.put += (call.operation, call.place[0]) == ("put", keys.DELIVERIES)

    async def pass_time(self, minutes: int) -> int:
        """Returns how many messages were put for deliveries meanwhile."""
        before = self.put
        for second in range(5, minutes * 60 + 1, 5):
            self.app.clock.forward(seconds=5)
            if second % 60 == 0:
                await self.app.tick()
            for message in await self.app.queues.receive(keys.DELIVERIES, 32, 600):
                task = asyncio.create_task(self._work(message))
                self.running.add(task)
                task.add_done_callback(self.running.discard)
            for _ in range(40):
                await asyncio.sleep(0)
        return self.put - before

    async def _work(self, message: QueueMessage) -> None:
        await workers()[keys.DELIVERIES](msg=QueueJob(message))
        await self.app.queues.delete(keys.DELIVERIES, message)

    async def end(self) -> None:
        """What is under way ends."""
        self.app.clock.forward(minutes=1)
        await asyncio.gather(*self.running)


async def test_what_waits_for_a_slow_endpoint_is_no_crowd_of_messages(two: App) -> None:
    """A hundred events at an endpoint that hangs: one message for each call that it can take, four an hour for each."""
    host = Host(two)
    await record_foreign(two, 0, 100)
    for _ in range(2):
        assert await host.pass_time(60) <= 3600 // HANGS_SECONDS + 4 * 100
    await host.end()
    events = await two.services.ledger.events(await foreign(two), "", 200)
    names = {f"evt_{number}" for number in range(100)}
    assert all(event.value.due_at for event in events if event.value.event_id in names)


async def test_what_waited_for_its_turn_goes_out_when_the_endpoint_is_quick_again(two: App) -> None:
    """Whatever had not been tried yet is told within a quarter of an hour and the minute of its timer."""
    host = Host(two)
    await record_foreign(two, 0, 100)
    await host.pass_time(20)
    two.crm.takes_its_time = None
    await host.end()
    await host.pass_time(LONGEST_WAIT // timedelta(minutes=1) + 2)
    events = await two.services.ledger.events(await foreign(two), "", 200)
    assert [event.value.event_id for event in events if not event.value.attempts] == []


def test_an_endpoint_is_slow_while_a_call_takes_long_and_for_minutes_after() -> None:
    """Then one call at a time is made; one that answers in time ends it."""
    watch = EndpointWatch()
    assert watch.may_call("ten_a", NOW)
    with watch.calling("ten_a", NOW) as ended:
        assert watch.may_call("ten_a", NOW + SLOW_AFTER)
        late = NOW + SLOW_AFTER + timedelta(seconds=1)
        assert watch.is_slow("ten_a", late)
        assert not watch.may_call("ten_a", late)
        assert watch.may_call("ten_b", late)
        ended.append(late)
    assert watch.may_call("ten_a", late)
    with watch.calling("ten_a", late) as ended:
        assert not watch.may_call("ten_a", late)
        ended.append(late)
    assert not watch.is_slow("ten_a", late)


def test_an_endpoint_that_is_not_called_any_more_is_not_slow_for_ever() -> None:
    """Five minutes after its last slow call it is called as any other."""
    watch = EndpointWatch()
    with watch.calling("ten_a", NOW):
        pass
    assert watch.is_slow("ten_a", NOW + SLOW_FOR)
    assert not watch.is_slow("ten_a", NOW + SLOW_FOR + SLOW_AFTER)
