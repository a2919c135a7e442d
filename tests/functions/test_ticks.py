"""The minute timer: one mailbox, row, queue or chore that fails keeps nobody else's work from being done."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shared.domain.errors import OutcomeUnknown, RowChanged, StoreUnavailable
from shared.domain.held import MOST_DEATHS
from shared.domain.model import MailboxRef
from shared.state import keys
from shared.state.dead_letters import NOBODY
from shared.state.sessions import Sessions
from shared.storage.api import Value
from shared.storage.testing import Call
from shared.storage.testing.calls import no_hook
from tests.functions.app import BEA_ADDRESS, App
from tests.functions.test_deadly_mail import Died
from tests.functions.test_send_ends import mailbox_of

OTHER = MailboxRef("ten_other", "mbx_other")


def reply(app: App) -> str:
    """Bea answers the newest send, and Graph notifies nobody."""
    return app.mail.receive(BEA_ADDRESS, in_reply_to=app.mail.last_sent.internet_message_id)


def received(app: App) -> int:
    return app.crm.types().count("message.received")


async def due_beside(app: App, mailbox: MailboxRef = OTHER) -> None:
    """Another mailbox is listed as well, in every bucket of the next hours, before ours."""
    for number in range(40):
        await app.services.due.add_at(mailbox, "work", app.clock.now() + number * keys.BUCKET)


def fail_at(app: App, error: Callable[[], Exception], *partitions: str, port: str = "table") -> None:
    """Every call that touches one of these partitions (or queues) fails."""

    def fail(call: Call) -> None:
        if call.port == port and set(partitions) & set(call.place):
            raise error()

    for store in (app.tables, app.queues, app.blobs):
        store.before = fail


@pytest.mark.parametrize("error", [StoreUnavailable, OutcomeUnknown, RowChanged, KeyError])
async def test_a_partition_that_fails_for_hours_stops_nobody_else(
    begun: App, error: Callable[[], Exception]
) -> None:
    """While one mailbox's partition fails for hours, another mailbox is swept in time; the first one stays listed."""
    await due_beside(begun)
    fail_at(begun, error, keys.mailbox_partition(OTHER))
    for number in range(1, 4):
        reply(begun)
        await begun.later(minutes=17)
        assert received(begun) == number
    begun.tables.before = begun.queues.before = no_hook
    assert OTHER in [
        ref for bucket in await begun.services.due.due_buckets("work", 0) for ref in bucket.mailboxes
    ]


async def test_a_failing_mailbox_is_worked_on_when_its_partition_answers_again(begun: App) -> None:
    """A mailbox whose partition failed for hours is swept as soon as it answers: it was never taken off the list."""
    mailbox = mailbox_of(begun)
    reply(begun)
    fail_at(begun, StoreUnavailable, keys.mailbox_partition(mailbox))
    await begun.later(hours=3)
    begun.tables.before = begun.queues.before = no_hook
    await begun.later(minutes=1)
    assert received(begun) == 1


async def test_a_mailbox_that_was_skipped_comes_last(begun: App) -> None:
    """A mailbox whose partition hung is read after all others, so that it keeps nobody waiting."""
    for name in ("mbx_a", "mbx_b", "mbx_c"):
        await due_beside(begun, MailboxRef("ten_other", name))
    hanging = keys.mailbox_partition(MailboxRef("ten_other", "mbx_a"))
    fail_at(begun, StoreUnavailable, hanging)
    await begun.tick()
    read: list[str] = []

    def note(call: Call) -> None:
        if call.operation == "query" and call.place[0] == keys.MAILBOX:
            read.append(call.place[1])

    begun.tables.before = note
    await begun.tick()
    assert (len(read), read[-1]) == (4, hanging)


async def poison_kept(app: App) -> int:
    """How many messages that are no jobs are kept as dead letters."""
    return len(await app.services.dead_letters.of_tenant(NOBODY, "", 100))


BROKEN: dict[str, tuple[str, str, str, dict[str, Value]]] = {
    "a note of no bucket": (keys.DUE, "work|soon|00", "ten_a|mbx_a", {}),
    "a note of no shard": (keys.DUE, "work|000000000001", "ten_a|mbx_a", {}),
    "a note of no mailbox": (keys.DUE, "work|000000000001|00", "nobody", {}),
    "a note of half a mailbox": (keys.DUE, "work|000000000001|00", "ten_a|", {}),
    "a watermark without a bucket": (keys.DUE, "watermark", "work|00", {}),
    "a watermark of no number": (keys.DUE, "watermark", "work|00", {"bucket": "soon"}),
    "a failing chore without a time": (keys.DUE, "chores", "erase_ended", {}),
    "the end of no letter": (keys.DEAD_LETTERS, "ends|20200101", "nothing", {}),
    "the end of a letter that cannot be read": (keys.DEAD_LETTERS, "ends|20200101", "ten_a|broken", {}),
    "a letter that cannot be read": (keys.DEAD_LETTERS, "ten_a", "broken", {"data": "{"}),
    "the end of no row": (keys.SESSIONS, "ends|000000000001", "nothing", {}),
    "the end of a row that is not there": (keys.SESSIONS, "ends|000000000001", "session|gone", {}),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_row_of_any_table_stops_no_chore(begun: App, name: str) -> None:
    """With a broken row in a table that the timer reads, mail is swept in time, poison kept, and nothing is failing."""
    table, partition, row, values = BROKEN[name]
    await begun.tables.upsert(table, partition, row, {"schema": 1, **values})
    await begun.queues.put("outbox-poison", "{}")
    reply(begun)
    await begun.later(minutes=17)
    assert received(begun) == 1
    assert await poison_kept(begun) == 1
    assert (await begun.call("GET", "/health/ready")).status == 200


@pytest.mark.parametrize(
    "values", [{}, {"data": "{"}, {"data": '{"expires_at": 7}'}], ids=["empty", "cut", "wrong"]
)
async def test_a_session_that_cannot_be_read_ends_with_its_note(begun: App, values: dict[str, Value]) -> None:
    """A row of a sign-in that cannot be read is erased at the time its note says, and the ones behind it are."""
    session = await begun.page_session()
    for row in await begun.tables.query(keys.SESSIONS, "session"):
        await begun.tables.upsert(keys.SESSIONS, "session", row.row, {"schema": 1, **values})
    assert session
    await begun.later(hours=1)
    begun.clock.forward(days=2)
    await begun.tick()
    assert await begun.tables.query(keys.SESSIONS, "session") == []


async def test_one_failing_queue_stops_no_other(begun: App) -> None:
    """While one queue fails, the poison of the others is kept; health names the chore after ten minutes of it."""
    await begun.queues.put("outbox-poison", "{}")
    fail_at(begun, StoreUnavailable, "changes-poison", port="queue")
    await begun.later(minutes=1)
    assert await poison_kept(begun) == 1
    assert (await begun.call("GET", "/health/ready")).status == 200
    await begun.later(minutes=11)
    answer = await begun.call("GET", "/health/ready")
    assert (answer.status, len(answer.json()["faults"])) == (503, 1)
    assert answer.json()["faults"][0].startswith("store_poison_messages: fails since ")
    begun.queues.before = no_hook
    await begun.later(minutes=1)
    assert (await begun.call("GET", "/health/ready")).status == 200


@pytest.mark.parametrize("table", [keys.DUE, keys.SESSIONS, keys.DEAD_LETTERS])
async def test_a_table_that_fails_stops_only_what_needs_it(begun: App, table: str) -> None:
    """While one table fails, the chores that need it fail, the others are done, and afterwards all are."""
    reply(begun)
    await begun.queues.put("outbox-poison", "{}")
    fail_at(begun, StoreUnavailable, table)
    await begun.later(minutes=17)
    assert received(begun) == (0 if table == keys.DUE else 1)
    begun.tables.before = begun.queues.before = no_hook
    stored = await poison_kept(begun)
    assert stored == (0 if table == keys.DEAD_LETTERS else 1)
    await begun.later(minutes=2)
    assert received(begun) == 1
    assert await poison_kept(begun) == 1


async def died_in(app: App, minutes: int, step: int = 1) -> int:
    """How many ticks died in these minutes; of days not every one is played."""
    deaths = 0
    for _ in range(0, minutes, step):
        app.clock.forward(minutes=step)
        try:
            await app.tick()
        except Died:
            deaths += 1
        await app.pump()
    return deaths


async def test_a_chore_that_kills_rests_and_the_others_are_done(
    begun: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chore over which ticks die is named by health and tried ever more seldom; what comes after it is done."""

    async def die(*_: object) -> int:
        raise Died

    with monkeypatch.context() as patched:
        patched.setattr(Sessions, "erase_ended", die)
        assert 0 < await died_in(begun, 60) <= 10 + MOST_DEATHS + 1
        answer = await begun.call("GET", "/health/ready")
        assert [fault.partition(":")[0] for fault in answer.json()["faults"]] == ["erase_ended"]
        await begun.queues.put("outbox-poison", "{}")
        reply(begun)
        assert await died_in(begun, 60) <= 1
        assert (received(begun), await poison_kept(begun)) == (1, 1)
        await died_in(begun, 24 * 60, 5)
        assert await died_in(begun, 24 * 60, 5) <= 1
    assert await died_in(begun, 24 * 60, 5) == 0
    assert (await begun.call("GET", "/health/ready")).status == 200


async def test_ticks_that_end_write_of_no_chore(begun: App) -> None:
    """What tells of deaths costs nothing while nobody dies: ticks in time write nothing beside the watermark."""
    written: list[tuple[str, ...]] = []

    def note(call: Call) -> None:
        if call.writes and call.place[0] == keys.DUE:
            written.append(call.place[1:])

    await begun.later(minutes=3)
    begun.tables.before = note
    await begun.later(minutes=30)
    assert {place[0].partition("|")[0] for place in written} <= {"watermark", "work", "renewals"}


async def test_a_tick_that_dies_by_chance_is_no_failing_chore(
    begun: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few ticks that die, as in a deployment, leave nothing behind: the next ones do all of it."""

    async def die(*_: object) -> int:
        raise Died

    with monkeypatch.context() as patched:
        patched.setattr(Sessions, "erase_ended", die)
        assert await died_in(begun, 3) == 3
    assert await died_in(begun, 10) == 0
    assert await begun.services.chores.failing() == []
