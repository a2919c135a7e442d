"""Outages of our own storage: nothing counts as a crash, and every mailbox whose hints may be lost is swept in time."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from shared.domain.errors import OutcomeUnknown, StoreUnavailable
from shared.domain.model import ChangeHint, MailboxRef, Seen
from shared.domain.renewals import SWEEP_ACTIVE_EVERY
from shared.state import keys
from shared.storage.testing import Call
from shared.storage.testing.calls import no_hook
from shared.sync.operators.replay import Replayed, replay_letter
from shared.sync.queueing import put_back as put_back_module
from shared.sync.queueing.jobs import Changes, encode_job
from shared.sync.queueing.put_back import LONGEST_SECONDS
from shared.sync.tasks import store_poison_messages
from shared.sync.tasks.sweep_after_outage import MOST_A_TICK, SPREAD
from tests.functions.app import BEA_ADDRESS, App
from tests.functions.host import QueueJob, workers
from tests.functions.test_send_ends import mailbox_of

HOST = json.loads((Path(__file__).parents[2] / "host.json").read_text(encoding="utf-8"))
SPANS = {"a minute": 1, "ten minutes": 10, "four hours": 240, "a day": 1440}
IN_TIME = 16  # minutes: a quarter of an hour, and the tick that begins it


@pytest.fixture
async def quiet(begun: App) -> App:
    """Ann's mailbox, in which nothing has happened for more than a week: it is swept every six hours."""
    begun.clock.forward(days=8)
    await begun.later(minutes=2)
    return begun


def reply(app: App) -> str:
    """Bea answers the newest send, and Graph notifies nobody."""
    return app.mail.receive(BEA_ADDRESS, in_reply_to=app.mail.last_sent.internet_message_id)


def received(app: App) -> int:
    return app.crm.types().count("message.received")


async def dead_letters(app: App) -> int:
    return len([row async for row in app.tables.query_partitions(keys.DEAD_LETTERS)])


async def pass_time(app: App, minutes: int) -> None:
    """Minutes in which timers and workers run, as far as the stores let them; of hours not every minute is played."""
    step = max(1, minutes // 30)
    for _ in range(0, minutes, step):
        app.clock.forward(minutes=step)
        await app.tick()
        try:
            await app.pump()
        except (StoreUnavailable, OutcomeUnknown):
            continue  # the host repeats it


def fail(app: App, store: str, error: type[Exception] = StoreUnavailable) -> None:
    def raise_it(_: Call) -> None:
        raise error

    getattr(app, store).before = raise_it


@pytest.mark.parametrize("minutes", [SPANS[name] for name in SPANS if name != "a minute"])
async def test_a_mailbox_is_swept_after_an_outage_of_the_storage(quiet: App, minutes: int) -> None:
    """A hint that nobody could keep, and that Graph does not repeat, loses nothing: the mail is there in time."""
    number = reply(quiet)
    quiet.store_down(StoreUnavailable())
    assert (await quiet.notify(number)).status == 500
    await pass_time(quiet, minutes)
    quiet.store_up()
    await pass_time(quiet, IN_TIME)
    assert received(quiet) == 1
    assert await dead_letters(quiet) == 0


@pytest.mark.parametrize("minutes", SPANS.values(), ids=SPANS)
@pytest.mark.parametrize("store", ["tables", "blobs"])
async def test_a_hint_outlasts_an_outage_of_one_store(quiet: App, store: str, minutes: int) -> None:
    """A hint that lies in its queue while another store fails is worked on in time afterwards."""
    number = quiet.mail.receive(
        BEA_ADDRESS, in_reply_to=quiet.mail.last_sent.internet_message_id, files=[("a.txt", b"words")]
    )
    assert (await quiet.notify(number)).status == 202
    fail(quiet, store)
    await pass_time(quiet, minutes)
    assert received(quiet) == 0
    quiet.tables.before = quiet.blobs.before = no_hook
    await pass_time(quiet, IN_TIME)
    assert received(quiet) == 1
    assert await dead_letters(quiet) == 0


@pytest.mark.parametrize("minutes", [SPANS[name] for name in SPANS if name != "a minute"])
async def test_a_mailbox_is_swept_after_an_outage_of_the_queues(quiet: App, minutes: int) -> None:
    """Where the queues alone took no hint for a while, the timer knows it from its own chore."""
    number = reply(quiet)
    fail(quiet, "queues")
    assert (await quiet.notify(number)).status == 500
    await pass_time(quiet, minutes + 1)
    quiet.queues.before = no_hook
    await pass_time(quiet, IN_TIME)
    assert received(quiet) == 1


async def test_a_standstill_of_the_timers_is_an_outage(quiet: App) -> None:
    """Where nothing of ours ran for an hour, every mailbox is swept in time."""
    reply(quiet)
    quiet.clock.forward(hours=1)
    await pass_time(quiet, IN_TIME)
    assert received(quiet) == 1


async def test_timers_that_run_sweep_nobody_out_of_turn(quiet: App) -> None:
    """Ticks that come in time, one of them four minutes late, bring no sweep forward."""
    swept = quiet.mail.calls.count("sweep")
    await pass_time(quiet, 30)
    quiet.clock.forward(minutes=4)
    await pass_time(quiet, 30)
    assert quiet.mail.calls.count("sweep") == swept


async def test_many_mailboxes_are_looked_after_over_several_ticks(quiet: App) -> None:
    """After an outage some hundred mailboxes are brought forward in each tick, the rest by the next ones."""
    for number in range(MOST_A_TICK + 20):
        at = quiet.clock.now() + timedelta(minutes=70 + number % 200)
        await quiet.services.due.add_at(MailboxRef("ten_other", f"mbx_{number:04d}"), "work", at)
    quiet.clock.forward(hours=1)
    await quiet.tick()
    assert await quiet.services.catch_ups.next_bucket() is not None
    await quiet.tick()
    assert await quiet.services.catch_ups.next_bucket() is None
    mailbox = await quiet.services.ledger.mailbox(mailbox_of(quiet))
    assert mailbox is not None
    assert mailbox.value.sweep_at is not None
    assert mailbox.value.sweep_at <= quiet.clock.now() + SPREAD


@pytest.mark.parametrize("error", [StoreUnavailable, OutcomeUnknown])
async def test_hints_that_were_decided_on_do_not_come_again(quiet: App, error: type[Exception]) -> None:
    """Of several hints in one message only those behind the failure come again, each time a little later."""
    first, second = reply(quiet), reply(quiet)
    await quiet.notify(first, second)
    looks = 0

    def fail_at_the_second(call: Call) -> None:
        nonlocal looks
        looks += call.operation == "get" and call.place[-1].startswith("seen:")
        if looks > 1:
            raise error

    quiet.tables.before = fail_at_the_second
    await quiet.pump(keys.CHANGES)
    assert received(quiet) == 1
    quiet.clock.forward(seconds=31)
    await quiet.pump(keys.CHANGES)
    (text,) = await _waiting_hints(quiet)
    assert ([hint["graph_message_id"] for hint in text["job"]["hints"]], text["put_back"]) == ([second], 2)
    quiet.tables.before = no_hook
    quiet.clock.forward(minutes=2)
    await quiet.pump()
    assert received(quiet) == 2


async def _waiting_hints(app: App) -> list[dict[str, object]]:
    app.clock.forward(seconds=61)
    return [json.loads(text) for text in await app.queues.peek(keys.CHANGES, 32)]


async def test_a_task_is_put_back_a_few_times_and_then_left_to_its_row(quiet: App) -> None:
    """A send whose rows fail for hours leaves no crowd of messages, and leaves once when they answer again."""
    await quiet.accepted("m-2")
    fail(quiet, "tables")
    await pass_time(quiet, 120)
    assert await quiet.queues.count(keys.OUTBOX) == 0
    quiet.tables.before = no_hook
    await pass_time(quiet, 3)
    assert len(quiet.mail.sent) == 2


async def test_a_poison_hint_has_its_mailbox_swept(quiet: App) -> None:
    """A hint over which workers crashed is a dead letter, and its mailbox is swept at once."""
    reply(quiet)
    hint = ChangeHint(quiet.mail.client_states[-1].split(".")[1], 1, "sub-1", None, "created")
    await quiet.queues.put("changes-poison", encode_job(Changes((hint,))))
    await pass_time(quiet, 1)
    assert received(quiet) == 1
    assert await dead_letters(quiet) > 0


def test_the_host_repeats_less_long_than_an_outage_lasts() -> None:
    """The host's tries of a message take minutes, an outage hours: so a failing store must not use them up.

    What is put back comes again in less than the quarter of an hour in which its mailbox is to be swept.
    """
    queues = HOST["extensions"]["queues"]
    hours, minutes, seconds = map(int, queues["visibilityTimeout"].split(":"))
    visibility = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    assert queues["maxDequeueCount"] * visibility < timedelta(minutes=10)
    assert timedelta(seconds=LONGEST_SECONDS) < SWEEP_ACTIVE_EVERY
    assert SPREAD + timedelta(minutes=2) < SWEEP_ACTIVE_EVERY


async def test_a_message_that_was_put_back_counts_from_the_beginning(quiet: App) -> None:
    """A message that meets a failing store is no failure of the worker: a new message takes its place."""
    await quiet.notify(reply(quiet))
    fail(quiet, "tables")
    for _ in range(HOST["extensions"]["queues"]["maxDequeueCount"]):
        (message,) = await quiet.queues.receive(keys.CHANGES, 32)
        await workers()[keys.CHANGES](msg=QueueJob(message))
        await quiet.queues.delete(keys.CHANGES, message)
        quiet.clock.forward(seconds=LONGEST_SECONDS + 1)
        assert message.dequeue_count == 1


async def test_a_poison_message_that_cannot_be_stored_holds_up_no_other(quiet: App) -> None:
    """Where the mailbox of one cannot be read, those behind it are dead letters all the same; it is one later."""
    hint = ChangeHint(quiet.mail.client_states[-1].split(".")[1], 1, "sub-1", None, "created")
    await quiet.queues.put("changes-poison", encode_job(Changes((hint,))))
    await quiet.queues.put("changes-poison", "rubbish")

    def fail_for_mailboxes(call: Call) -> None:
        if call.place[:1] == (keys.MAILBOX,):
            raise StoreUnavailable

    quiet.tables.before = fail_for_mailboxes
    await quiet.tick()
    assert [kept.letter.work async for kept in quiet.services.dead_letters.all()] == [""]
    quiet.tables.before = no_hook
    await pass_time(quiet, 3)
    assert {kept.letter.work async for kept in quiet.services.dead_letters.all()} == {"", "hints"}


async def test_a_list_that_stands_still_for_hours_is_one_outage(quiet: App) -> None:
    """Where the watermark cannot be moved for hours, mailboxes are swept once, and once more when it can."""
    swept = quiet.mail.calls.count("sweep")

    def fail_watermarks(call: Call) -> None:
        if call.writes and call.place[:2] == (keys.DUE, "watermark"):
            raise StoreUnavailable

    quiet.tables.before = fail_watermarks
    await pass_time(quiet, 30)
    for _ in range(5):
        await pass_time(quiet, 30)
        assert quiet.mail.calls.count("sweep") == swept + 1
    quiet.tables.before = no_hook
    await pass_time(quiet, IN_TIME)
    assert quiet.mail.calls.count("sweep") == swept + 2


async def test_poison_of_a_mailbox_that_cannot_be_read_is_a_dead_letter(quiet: App) -> None:
    """Where only a newer version reads the mailbox's row, the hint over which workers died is kept all the same."""
    hint = ChangeHint(quiet.mail.client_states[-1].split(".")[1], 1, "sub-1", "AAQ=", "created")
    await quiet.queues.put("changes-poison", encode_job(Changes((hint,))))
    partition = keys.mailbox_partition(mailbox_of(quiet))
    (row,) = await quiet.tables.query(keys.MAILBOX, partition, keys.MAILBOX_ROW, f"{keys.MAILBOX_ROW}~")
    await quiet.tables.replace(
        keys.MAILBOX, partition, row.row, {**row.values, "schema": 3, "data": "{"}, row.etag
    )
    await quiet.tick()
    assert [kept.letter.work async for kept in quiet.services.dead_letters.all()] == ["hints"]
    assert await quiet.services.chores.failing() == []


async def test_poison_of_a_mailbox_whose_rows_fail_for_days_is_a_dead_letter(
    quiet: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is kept before its queue forgets it, a week after."""
    monkeypatch.setattr(store_poison_messages, "MOST_TRIES", 5)
    hint = ChangeHint(quiet.mail.client_states[-1].split(".")[1], 1, "sub-1", "AAQ=", "created")
    await quiet.queues.put("changes-poison", encode_job(Changes((hint,))))

    def fail_for_mailboxes(call: Call) -> None:
        if call.place[:1] == (keys.MAILBOX,):
            raise StoreUnavailable

    quiet.tables.before = fail_for_mailboxes
    await pass_time(quiet, 4)
    assert await dead_letters(quiet) == 0
    await pass_time(quiet, 3)
    assert [kept.letter.work async for kept in quiet.services.dead_letters.all()] == ["hints"]


def fail_for(app: App, graph_message_id: str) -> None:
    """Whatever is written of this mail fails, and nothing else."""

    def fail_it(call: Call) -> None:
        if call.operation == "get" and call.place[-1] == keys.row_by_identity(Seen, graph_message_id):
            raise StoreUnavailable

    app.tables.before = fail_it


async def test_a_hint_whose_store_always_fails_ends_as_a_dead_letter(
    quiet: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the stores answer, what fails for a mail alone is no outage: seen by a person, and replayed when mended."""
    monkeypatch.setattr(put_back_module, "MOST_OF_A_HINT", 20)
    number = reply(quiet)
    await quiet.notify(number)
    fail_for(quiet, number)
    await pass_time(quiet, 600)
    quiet.clock.forward(days=1)
    assert await quiet.queues.receive(keys.CHANGES, 32) == []
    assert await quiet.queues.count("changes-poison") == 1
    quiet.tables.before = no_hook
    await pass_time(quiet, IN_TIME)
    kept = [kept async for kept in quiet.services.dead_letters.all()]
    assert [(each.letter.work, each.letter.cause) for each in kept] == [("hints", "store_fails")]
    assert received(quiet) == 1


async def test_the_dead_letter_of_a_held_mails_hint_is_replayed_at_once(quiet: App) -> None:
    """The mail of a hint over which workers died is held for a day; the replay of the letter looks at it now."""
    hint = ChangeHint(quiet.mail.client_states[-1].split(".")[1], 1, "sub-1", reply(quiet), "created")
    await quiet.queues.put("changes-poison", encode_job(Changes((hint,))))
    await pass_time(quiet, 30)
    assert received(quiet) == 0
    (kept,) = [kept async for kept in quiet.services.dead_letters.all()]
    assert await replay_letter(quiet.services, kept) is Replayed.DUE
    await pass_time(quiet, 2)
    assert received(quiet) == 1


@pytest.mark.parametrize("store", ["tables", "blobs", "queues"])
async def test_an_outage_of_days_is_never_poison(
    quiet: App, monkeypatch: pytest.MonkeyPatch, store: str
) -> None:
    """However often a hint is put back while a whole store fails, it comes in when that answers again."""
    monkeypatch.setattr(put_back_module, "MOST_OF_A_HINT", 3)
    number = quiet.mail.receive(
        BEA_ADDRESS, in_reply_to=quiet.mail.last_sent.internet_message_id, files=[("a.txt", b"words")]
    )
    await quiet.notify(number)
    fail(quiet, store)
    await pass_time(quiet, 300)
    quiet.tables.before = quiet.blobs.before = quiet.queues.before = no_hook
    assert await quiet.queues.count("changes-poison") == 0
    await pass_time(quiet, IN_TIME)
    assert (received(quiet), await dead_letters(quiet)) == (1, 0)


async def test_a_hint_whose_store_fails_keeps_none_behind_it_waiting(quiet: App) -> None:
    """Of several hints in one message the others come in within minutes."""
    bad, good = reply(quiet), reply(quiet)
    await quiet.notify(bad, good)
    fail_for(quiet, bad)
    await pass_time(quiet, 10)
    assert received(quiet) == 1
