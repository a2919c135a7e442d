"""What a thread that was stopped for a while takes when the CRM resumes it (R9)."""

from __future__ import annotations

from dataclasses import replace

from shared.domain.model import Thread
from shared.state import keys
from shared.state.codec import decode
from tests.functions.app import App
from tests.functions.test_send_ends import mailbox_of


async def stop(app: App) -> str:
    """Make the thread one of an earlier connection; returns its id."""
    mailbox = mailbox_of(app)
    rows = await app.tables.query(keys.MAILBOX, keys.mailbox_partition(mailbox), "thread:", "thread;")
    stored = decode(Thread, rows[0].values, rows[0].etag)
    await app.services.ledger.write(mailbox, stored.changed(replace(stored.value, generation=0)))
    return stored.value.thread_id


async def test_mail_of_between_is_not_imported_by_a_later_sweep(begun: App) -> None:
    """Mail that came while the thread was stopped is not brought in by a sweep after it was resumed."""
    thread_id = await stop(begun)
    await begun.answered()
    begun.clock.forward(minutes=3)
    await begun.accepted("m-9", thread_id=thread_id, crm_thread_id=None)
    await begun.later(minutes=20)
    assert "sweep" in begun.mail.calls
    assert begun.crm.types() == ["connection.connected", "message.sent", "message.sent"]


async def test_what_comes_after_it_is_imported(begun: App) -> None:
    """Mail that comes after a thread was resumed is brought in, even in the same second."""
    thread_id = await stop(begun)
    begun.clock.forward(minutes=3)
    before = begun.mail.last_sent.internet_message_id
    await begun.accepted("m-9", thread_id=thread_id, crm_thread_id=None)
    await begun.pump()
    at = begun.clock.now().replace(microsecond=0)
    await begun.answered(tags={"received_at": at})
    await begun.answered(tags={"in_reply_to": before})
    assert begun.crm.types().count("message.received") == 2
