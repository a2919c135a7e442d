"""What a reply of the CRM answers, and which thread a mail of the mailbox is for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.domain import ids
from shared.domain.model import ConversationLink, MailboxRef, MessageIndex, Thread
from shared.state.codec import Stored
from shared.state.ledger import new
from tests.functions.app import BEA_ADDRESS, App, send_body


def mailbox_of(app: App, thread_id: str) -> MailboxRef:
    mailbox_id = ids.mailbox_of(thread_id, "thr")
    assert mailbox_id
    return MailboxRef(app.tenant.tenant_id, mailbox_id)


async def the_thread(app: App, thread_id: str) -> Stored[Thread]:
    stored = await app.services.ledger.find(mailbox_of(app, thread_id), Thread, thread_id)
    assert stored
    return stored


async def accepted(app: App, crm_message_id: str = "m-1", **changes: Any) -> dict[str, Any]:
    answer = await app.v1("POST", "messages", json=send_body(crm_message_id, **changes))
    assert answer.status == 202, answer.text
    return dict(answer.json())


# ---- the newest message


async def test_a_late_confirmation_does_not_take_the_answers_place(ready: App) -> None:
    """Bea answers within seconds, our copy is found a minute later: a reply still answers Bea (R7)."""
    thread_id = (await accepted(ready))["thread_id"]
    await ready.pump()
    ready.clock.forward(seconds=20)
    answer = ready.mail.receive(BEA_ADDRESS, in_reply_to=ready.mail.last_sent.internet_message_id)
    await ready.arrives(answer)
    ready.clock.forward(seconds=60)
    await ready.pump()
    assert ready.crm.types()[-1] == "message.sent"
    assert (await the_thread(ready, thread_id)).value.newest_graph_message_id == answer
    await ready.sent("m-2", thread_id=thread_id)
    assert list(ready.mail.parents.values()) == [answer]


# ---- the thread of a mail


async def test_a_mail_goes_to_the_thread_that_syncs(begun: App) -> None:
    """A stopped thread shares its conversation and knows as many people: the mail is not lost (R9)."""
    ours = begun.mail.last_sent
    thread_id = begun.crm.last["thread_id"]
    stored = await the_thread(begun, thread_id)
    stopped = replace(
        stored.value, thread_id=f"{thread_id[:-3]}zzz", generation=0, active_from=begun.clock.now()
    )
    link = next(iter(stored.value.conversation_ids))
    await begun.services.ledger.write(
        mailbox_of(begun, thread_id), new(stopped), new(ConversationLink(link, stopped.thread_id))
    )
    await begun.arrives(begun.mail.receive(BEA_ADDRESS, tags={"conversation_id": ours.conversation_id}))
    assert begun.crm.types()[-1] == "message.received"
    assert (begun.crm.last["thread_id"], begun.crm.last["evidence"]) == (thread_id, "conversation")


@pytest.mark.parametrize("first", ["stopped", "syncing"])
async def test_of_two_threads_that_a_mail_points_to_the_one_that_syncs_gets_it(
    begun: App, first: str
) -> None:
    """Whichever of the two its tags name first (R9)."""
    ours = str(begun.mail.last_sent.internet_message_id)
    thread_id = begun.crm.last["thread_id"]
    stopped = replace(
        (await the_thread(begun, thread_id)).value, thread_id=f"{thread_id[:-3]}zzz", generation=0
    )
    old = MessageIndex("<old@x>", stopped.thread_id, "msg_old", synced=True, at=begun.clock.now())
    await begun.services.ledger.write(mailbox_of(begun, thread_id), new(stopped), new(old))
    references = ("<old@x>", ours) if first == "syncing" else (ours, "<old@x>")
    await begun.arrives(begun.mail.receive(BEA_ADDRESS, tags={"references": references}))
    assert (begun.crm.types()[-1], begun.crm.last["thread_id"]) == ("message.received", thread_id)


async def test_a_mail_that_points_to_a_stopped_thread_alone_is_not_brought_in(begun: App) -> None:
    """Its tags are stronger than its conversation: no other thread gets it either (R9)."""
    thread_id = begun.crm.last["thread_id"]
    stopped = replace(
        (await the_thread(begun, thread_id)).value, thread_id=f"{thread_id[:-3]}zzz", generation=0
    )
    old = MessageIndex("<old@x>", stopped.thread_id, "msg_old", synced=True, at=begun.clock.now())
    await begun.services.ledger.write(mailbox_of(begun, thread_id), new(stopped), new(old))
    tags = {"in_reply_to": "<old@x>", "conversation_id": begun.mail.last_sent.conversation_id}
    await begun.arrives(begun.mail.receive(BEA_ADDRESS, tags=tags))
    assert begun.crm.types()[-1] == "message.sent"
