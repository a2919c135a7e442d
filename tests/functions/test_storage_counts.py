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
    """Calls by store, but for asking the queues whether there is work."""
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
    """The mailbox, the seen row, its Message-ID, its conversation: read, and nothing written."""
    number = begun.mail.receive("else@x.example")
    assert await cost(begun, begun.arrives(number)) == {"table": 4, "queue": 2}


async def test_an_answer(begun: App) -> None:
    """From the notification to the CRM's yes: nothing is read twice, and what was written is delivered as it is."""
    assert await cost(begun, begun.answered()) == {"table": 8, "queue": 2}


async def leave(app: App, crm_message_id: str, **more: str) -> None:
    """From the CRM's request to Graph's yes."""
    await app.accepted(crm_message_id, **more)
    await app.pump(keys.OUTBOX)


async def test_a_send(begun: App) -> None:
    """Accepted and sent."""
    assert await cost(begun, leave(begun, "m-2")) == {"table": 15, "blob": 2, "queue": 3}


async def test_a_reply(begun: App) -> None:
    """Accepted and sent, in a thread that is there."""
    thread_id = begun.crm.last["thread_id"]
    assert await cost(begun, leave(begun, "m-2", thread_id=thread_id)) == {"table": 18, "blob": 2, "queue": 3}


async def test_each_file(begun: App) -> None:
    """One blob more."""
    await begun.answered()
    plain = await cost(begun, begun.answered())
    assert await cost(begun, begun.answered(files=[("a.txt", b"hello")])) - plain == {"blob": 1}


@pytest.mark.parametrize("kind", [MessageIndex, Thread, Seen])
async def test_what_was_read_on_the_way_may_have_changed(begun: App, kind: type) -> None:
    """A row that changes at the last moment is read anew: the mail is brought in once, unless it was dealt with."""
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
