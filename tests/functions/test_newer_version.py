"""Two versions run together during a deployment: what the newer one wrote is kept, or left to it, and never lost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import azure.functions as func
import pytest

from shared.domain.model import MailboxRef, Task, TaskKind
from shared.state import keys
from shared.state.codec import Stored, encode, form_in
from shared.sync.queueing.jobs import TaskMessage, encode_job
from tests.functions.answers import problem
from tests.functions.app import BEA_ADDRESS, App, send_body
from tests.functions.host import workers
from tests.functions.test_connection_truth import status
from tests.functions.test_disconnect import disconnected
from tests.functions.test_send_ends import mailbox_of
from tests.newer import MARK, marks, newer, newer_message, records, rewrite, with_members


async def _dead_letters(app: App) -> list[str]:
    return [row.row async for row in app.tables.query_partitions(keys.DEAD_LETTERS)]


async def _all_newer(app: App) -> None:
    for table in keys.TABLES:
        await rewrite(app.tables, newer, table)


async def test_rows_of_a_newer_version_are_used_and_kept(begun: App) -> None:
    """Everything works on rows of a newer version; members and columns that it alone knows are still there after."""
    await begun.answered()
    await begun.accepted("m-2", thread_id=begun.crm.last["thread_id"])
    await _all_newer(begun)
    before = await records(begun.tables)
    await begun.pump()
    await begun.answered()
    await begun.later(minutes=20)
    assert begun.crm.types().count("message.received") == 2
    assert len(begun.mail.sent) == 2
    await disconnected(begun)
    await begun.later(minutes=5)
    after = await records(begun.tables)
    lost = {
        place
        for place, columns in after.items()
        if place in before
        and (
            columns[MARK] != "column"
            or columns["schema"] != 2
            or marks(form_in(columns).members) < marks(form_in(before[place]).members)
        )
    }
    assert lost == set()
    changed = {
        place[2].partition(":")[0] for place in after if place in before and after[place] != before[place]
    }
    assert {"out", "thread", "mailbox", "fence", "conn"} <= changed


async def _add_unknown_task(app: App, ref: MailboxRef) -> str:
    """A task of a kind of tomorrow's is due now; returns its row."""
    task = Task(app.clock.now(), TaskKind.ERASE, "x")
    row = with_members(encode(Stored(task)), kind=MARK)
    name = keys.row_of(task).replace("erase", MARK)
    await app.tables.insert(keys.MAILBOX, keys.mailbox_partition(ref), name, row)
    await app.services.due.add(ref, task)
    return name


async def test_a_task_of_an_unknown_kind_holds_up_nobody(begun: App) -> None:
    """A task of a kind that only a newer version knows stays where it is, and the mailbox's other work is done."""
    name = await _add_unknown_task(begun, mailbox_of(begun))
    await begun.accepted("m-2")
    await begun.later(hours=7)
    assert len(begun.mail.sent) == 2
    assert await begun.tables.get(keys.MAILBOX, keys.mailbox_partition(mailbox_of(begun)), name)
    assert await _dead_letters(begun) == []


async def test_a_task_of_an_unknown_kind_stays_listed(begun: App) -> None:
    """A mailbox whose only work is of an unknown kind stays listed, or the newer version would miss it."""
    ref = MailboxRef(begun.tenant.tenant_id, "mbx_other")
    await _add_unknown_task(begun, ref)
    await begun.later(hours=1)
    buckets = await begun.services.due.due_buckets("work", 0)
    soon = keys.due_partition("work", keys.bucket_of(begun.clock.now()) + 1, 0)
    listed = await begun.tables.get(keys.DUE, soon, keys.mailbox_partition(ref))
    assert listed or ref in {mailbox for bucket in buckets for mailbox in bucket.mailboxes}


async def test_a_send_in_an_unknown_phase_is_left_to_the_newer_version(begun: App) -> None:
    """A send in a phase that this version does not know is neither sent nor failed here; known again, it leaves."""
    await begun.accepted("m-2")
    assert (
        await rewrite(begun.tables, lambda row: with_members(row, phase="scanned"), keys.MAILBOX, "out:") == 2
    )
    await begun.later(hours=3)
    assert len(begun.mail.sent) == 1
    assert (await begun.v1("GET", "events")).status == 200
    known = {"m-1": "sent", "m-2": "new"}
    await rewrite(
        begun.tables,
        lambda row: with_members(row, phase=known[form_in(row).members["crm_message_id"]]),
        keys.MAILBOX,
        "out:",
    )
    await begun.later(minutes=7)
    assert len(begun.mail.sent) == 2
    assert await _dead_letters(begun) == []


async def test_a_mailbox_that_only_the_newer_version_reads(begun: App) -> None:
    """While the mailbox row cannot be read, mail and sends wait; nothing is lost, told wrongly or a dead letter."""
    assert (
        await rewrite(begun.tables, lambda row: with_members(row, subscription="x"), keys.MAILBOX, "mailbox")
        == 1
    )
    begun.mail.receive(BEA_ADDRESS, in_reply_to=begun.mail.last_sent.internet_message_id)
    await begun.arrives(next(reversed(begun.mail.mails)))
    await begun.later(hours=2)
    assert begun.crm.types().count("message.received") == 0
    refused = await begun.v1("POST", "messages", json=send_body("m-2"))
    problem(refused, 503, "unavailable")
    await rewrite(begun.tables, lambda row: with_members(row, subscription="active"), keys.MAILBOX, "mailbox")
    await begun.accepted("m-2")
    await begun.later(minutes=7)
    assert begun.crm.types().count("message.received") == 1
    assert len(begun.mail.sent) == 2
    assert await _dead_letters(begun) == []


async def test_rows_that_only_the_newer_version_keeps(begun: App) -> None:
    """A row of an unknown name beside a mailbox's own is not taken for a part of it, and stays."""
    partition = keys.mailbox_partition(mailbox_of(begun))
    row = {"schema": 2, "kind": "Lock", "data": '{"generation":7,"state":"odd"}'}
    for name in ("lock:1", "grant:1", "mail:x"):
        await begun.tables.insert(keys.MAILBOX, partition, name, row)
    await begun.answered()
    assert begun.crm.types()[-1] == "message.received"
    assert await begun.tables.get(keys.MAILBOX, partition, "lock:1")


async def test_a_job_message_with_unknown_members_is_worked(begun: App) -> None:
    """Members that a job message has beyond those that are known change nothing."""
    await begun.accepted("m-2")
    (text,) = await begun.queues.peek(keys.OUTBOX, 32)
    received = await begun.queues.receive(keys.OUTBOX, 32)
    await begun.queues.delete(keys.OUTBOX, received[0])
    await begun.queues.put(keys.OUTBOX, newer_message(text))
    await begun.pump()
    assert len(begun.mail.sent) == 2


def _message(app: App, **job: object) -> str:
    ref = mailbox_of(app)
    text = encode_job(TaskMessage(ref.tenant_id, ref.mailbox_id, Task(app.clock.now(), TaskKind.CLOSE, "x")))
    read = json.loads(text)
    return json.dumps({**read, "job": {**read["job"], "task": {**read["job"]["task"], **job}}})


@pytest.mark.parametrize("queue", keys.QUEUES)
async def test_a_message_of_a_newer_form_waits(begun: App, queue: str) -> None:
    """A queue message of a newer form, or with work of an unknown kind, waits in its queue and is no crash."""
    newest = json.dumps({"v": 2, "job": {"of": ["another", "form"]}, "more": 1})
    texts = [newest] if queue == keys.CHANGES else [newest, _message(begun, kind=MARK)]
    for text in texts:
        await begun.queues.put(queue, text)
    await begun.later(hours=1)
    assert await begun.queues.count(queue) == len(texts)
    begun.clock.forward(hours=2)
    waiting = [json.loads(text) for text in await begun.queues.peek(queue, 32)]
    assert {found.pop("waits_since") is not None for found in waiting} == {True}
    assert sorted(map(str, waiting)) == sorted(str(json.loads(text)) for text in texts)
    assert await begun.queues.count(f"{queue}-poison") == 0


async def test_a_waiting_message_that_is_handed_out_twice_stays_few(begun: App) -> None:
    """Each time is longer than the one before: in a week a message is handed out some 25 times."""
    await begun.queues.put(keys.OUTBOX, '{"v":2,"job":{}}')
    handed_out = 0
    for _ in range(8 * 24 * 60):
        begun.clock.forward(minutes=1)
        handed_out += await begun.pump(keys.OUTBOX)
    assert 20 <= handed_out <= 30
    assert await begun.queues.count(keys.OUTBOX) == 0


async def test_what_waits_for_a_week_is_a_dead_letter(begun: App) -> None:
    """A message that no version has read for a week is kept as a dead letter, as it stood."""
    since = begun.clock.now().isoformat()
    text = json.dumps({"v": 2, "job": {}, "waits_since": since})
    begun.clock.forward(days=7)
    await workers()[keys.OUTBOX](msg=func.QueueMessage(id="1", body=text))
    assert await begun.queues.count(keys.OUTBOX) == 0
    (kept,) = [kept async for kept in begun.services.dead_letters.all()]
    assert kept.letter.cause == "unknown_form"
    assert await begun.services.dead_letters.payload_of(kept) == text


async def test_tokens_sealed_by_a_newer_version_wait(begun: App) -> None:
    """Tokens that a newer version has sealed in its own way keep work waiting; the connection is not called broken."""

    def seal_anew(row: Mapping[str, Any]) -> dict[str, Any]:
        return with_members(row, sealed=form_in(row).members["sealed"].replace("v1.", "v2."))

    def unseal_anew(row: Mapping[str, Any]) -> dict[str, Any]:
        return with_members(row, sealed=form_in(row).members["sealed"].replace("v2.", "v1."))

    for prefix in ("tokens", "access"):
        await rewrite(begun.tables, seal_anew, keys.CONNECTIONS, prefix)
    await begun.accepted("m-2")
    begun.clock.forward(minutes=2)
    await begun.later(minutes=50)
    assert await status(begun) == "connected"
    for prefix in ("tokens", "access"):
        await rewrite(begun.tables, unseal_anew, keys.CONNECTIONS, prefix)
    await begun.later(minutes=20)
    assert len(begun.mail.sent) == 2
    assert await _dead_letters(begun) == []
