"""What a mail costs in calls of the stores: they are most of the bill (design, budgets)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable

import pytest

from shared.domain.model import MessageIndex, Seen, Thread
from shared.state import keys
from shared.state.codec import decode
from shared.state.ledger import new
from shared.storage.testing.calls import Call, no_hook
from tests.functions.app import BEA_ADDRESS, App
from tests.functions.test_send_ends import mailbox_of


async def cost(app: App, work: Awaitable[object]) -> Counter[str]:
    """Calls by store, not counting the queues being asked for work."""
    calls: Counter[str] = Counter()

    def count(call: Call) -> None:
        calls[call.port] += call.operation != "receive"

    stores = (app.tables, app.blobs, app.queues)
    for store in stores:
        store.before = count
    await work
    for store in stores:
        store.before = no_hook
    return +calls


async def test_a_foreign_mail(begun: App) -> None:
    """A foreign mail costs four reads of tables and no write."""
    number = begun.mail.receive("else@x.example")
    assert await cost(begun, begun.arrives(number)) == {"table": 4, "queue": 2}


async def test_an_answer(begun: App) -> None:
    """An answer costs eight table calls from the notification to the delivered event."""
    assert await cost(begun, begun.answered()) == {"table": 8, "queue": 2}


async def leave(app: App, crm_message_id: str, **more: str) -> None:
    """A send from the CRM's request to Graph's yes."""
    await app.accepted(crm_message_id, **more)
    await app.pump(keys.OUTBOX)


async def test_a_send(begun: App) -> None:
    """A send costs 15 table, 2 blob and 3 queue calls until Graph has taken it."""
    assert await cost(begun, leave(begun, "m-2")) == {"table": 15, "blob": 2, "queue": 3}


async def test_a_reply(begun: App) -> None:
    """A reply in a known thread costs 18 table, 2 blob and 3 queue calls until Graph has taken it."""
    thread_id = begun.crm.last["thread_id"]
    assert await cost(begun, leave(begun, "m-2", thread_id=thread_id)) == {"table": 18, "blob": 2, "queue": 3}


async def test_each_file(begun: App) -> None:
    """Each file of a received mail costs one more blob call."""
    await begun.answered()
    plain = await cost(begun, begun.answered())
    assert await cost(begun, begun.answered(files=[("a.txt", b"hello")])) - plain == {"blob": 1}


@pytest.mark.parametrize("kind", [MessageIndex, Thread, Seen])
async def test_what_was_read_on_the_way_may_have_changed(begun: App, kind: type) -> None:
    """When a row changes before the import's transaction it is read anew.

    The mail is brought in once, or not when it was dealt with already.
    """
    ledger, mailbox = begun.services.ledger, mailbox_of(begun)
    number = begun.mail.receive(BEA_ADDRESS, in_reply_to=begun.mail.last_sent.internet_message_id)
    rows = await begun.tables.query(keys.MAILBOX, keys.mailbox_partition(mailbox), "thread:", "thread;")
    thread = decode(Thread, rows[0].values, rows[0].etag)
    name = begun.mail.mails[number].outline.internet_message_id or ""
    row = {
        MessageIndex: new(MessageIndex(name, "thr_x", "msg_x", at=begun.clock.now())),
        Thread: thread,
        Seen: new(Seen(number, "", "", None, begun.clock.now())),
    }[kind]

    async def change(call: Call) -> None:
        if call.operation == "transact" and call.place[0] == keys.MAILBOX:
            begun.tables.before = no_hook
            await ledger.write(mailbox, row)

    begun.tables.before = change
    await begun.arrives(number)
    assert begun.crm.types().count("message.received") == (0 if kind is Seen else 1)
