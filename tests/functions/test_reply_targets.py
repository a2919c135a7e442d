"""What a reply of the CRM answers, and which thread a mail of the mailbox is for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.domain import ids
from shared.domain.errors import ItemGone, MessageRefused
from shared.domain.model import ConversationLink, MailboxRef, MessageIndex, OutboxItem, Thread
from shared.state.codec import Stored
from shared.state.ledger import new
from tests.functions.answers import problem
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
    """When an answer arrives before our sent copy is found, a CRM reply still answers the answer (R7)."""
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
    """A mail in a conversation shared by a stopped and a syncing thread goes to the one that syncs (R9)."""
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
    """A mail whose tags name a stopped and a syncing thread goes to the one that syncs, in whatever order (R9)."""
    ours = str(begun.mail.last_sent.internet_message_id)
    thread_id = begun.crm.last["thread_id"]
    stopped = replace(
        (await the_thread(begun, thread_id)).value, thread_id=f"{thread_id[:-3]}zzz", generation=0
    )
    old = MessageIndex("<old@x>", stopped.thread_id, "msg_old", at=begun.clock.now())
    await begun.services.ledger.write(mailbox_of(begun, thread_id), new(stopped), new(old))
    references = ("<old@x>", ours) if first == "syncing" else (ours, "<old@x>")
    await begun.arrives(begun.mail.receive(BEA_ADDRESS, tags={"references": references}))
    assert (begun.crm.types()[-1], begun.crm.last["thread_id"]) == ("message.received", thread_id)


async def test_a_mail_that_points_to_a_stopped_thread_alone_is_not_brought_in(begun: App) -> None:
    """A mail whose tags name a stopped thread alone is not brought in, whatever its conversation has (R9)."""
    thread_id = begun.crm.last["thread_id"]
    stopped = replace(
        (await the_thread(begun, thread_id)).value, thread_id=f"{thread_id[:-3]}zzz", generation=0
    )
    old = MessageIndex("<old@x>", stopped.thread_id, "msg_old", at=begun.clock.now())
    await begun.services.ledger.write(mailbox_of(begun, thread_id), new(stopped), new(old))
    tags = {"in_reply_to": "<old@x>", "conversation_id": begun.mail.last_sent.conversation_id}
    await begun.arrives(begun.mail.receive(BEA_ADDRESS, tags=tags))
    assert begun.crm.types()[-1] == "message.sent"


# ---- a reply before there is anything to answer


async def test_a_thread_may_be_answered_as_soon_as_its_id_is_known(ready: App) -> None:
    """A reply to a thread whose first mail has not left waits for it, then answers it at its first attempt."""
    thread_id = (await accepted(ready))["thread_id"]
    second = await accepted(ready, "m-2", thread_id=thread_id)
    assert second["thread_id"] == thread_id
    await ready.pump()
    assert (ready.mail.calls.count("create_draft"), ready.mail.calls.count("create_reply")) == (1, 0)
    await ready.later(minutes=4)
    assert (ready.mail.calls.count("create_draft"), ready.mail.calls.count("create_reply")) == (1, 1)
    assert ready.mail.parents == {"draft-2": "draft-1"}
    assert ready.crm.types()[1:] == ["message.sent", "message.sent"]
    assert {event["data"]["thread_id"] for event in ready.crm.told[1:]} == {thread_id}
    out = await ready.services.ledger.find(
        mailbox_of(ready, thread_id), OutboxItem, ids.crm_key(ready.tenant.tenant_id, "m-2")
    )
    assert out is not None
    assert out.value.build == 1


async def test_a_reply_waits_for_the_confirmation(ready: App) -> None:
    """A reply waits until the first mail's sent copy was seen, so that no second conversation begins."""
    thread_id = (await accepted(ready))["thread_id"]
    await ready.pump()
    await accepted(ready, "m-2", thread_id=thread_id)
    await ready.pump()
    assert ready.mail.calls.count("create_draft") == 1
    await ready.later(minutes=4)
    assert ready.mail.parents == {"draft-2": "draft-1"}


async def test_two_early_replies_leave_one_after_the_other(ready: App) -> None:
    """Two replies to a mail that has not left yet both leave as replies and do not wait for each other for ever."""
    thread_id = (await accepted(ready))["thread_id"]
    await accepted(ready, "m-2", thread_id=thread_id)
    ready.clock.forward(seconds=1)
    await accepted(ready, "m-3", thread_id=thread_id)
    await ready.later(minutes=6)
    assert ready.crm.types()[1:] == ["message.sent"] * 3
    assert ready.mail.calls.count("create_draft") == 1


async def test_a_reply_to_a_mail_that_failed_opens_the_thread(ready: App) -> None:
    """A reply to a first mail that failed leaves as a mail of its own in the same thread, and so do answers to it."""
    ready.mail.next["send"] = [MessageRefused("invalid_recipient")]
    thread_id = (await accepted(ready))["thread_id"]
    await accepted(ready, "m-2", thread_id=thread_id)
    await ready.later(minutes=4)
    assert ready.crm.types()[1:] == ["message.failed", "message.sent"]
    assert (ready.mail.calls.count("create_draft"), ready.mail.calls.count("create_reply")) == (2, 0)
    told = await ready.answered()
    assert (ready.crm.types()[-1], told["thread_id"]) == ("message.received", thread_id)


async def test_an_id_of_no_thread_is_not_found(begun: App) -> None:
    """A send into an unknown thread id, or into a message's id made to look like one, is answered with 404."""
    thread_id = begun.crm.last["thread_id"]
    reply = await accepted(begun, "m-2", thread_id=thread_id)
    for wrong in (f"{thread_id[:-3]}zzz", reply["id"].replace("msg_", "thr_")):
        answer = await begun.v1("POST", "messages", json=send_body("m-3", thread_id=wrong))
        problem(answer, 404, "not-found")


# ---- what is answered has moved, or is gone


async def test_a_moved_original_is_found_by_its_message_id(begun: App) -> None:
    """A reply to a mail that was moved finds it by its Message-ID and stays in its conversation (E-12)."""
    told = await begun.answered(tags={"conversation_id": "conv-draft-1"})
    (old,) = begun.mail.mails
    mail = begun.mail.mails.pop(old)
    begun.mail.mails["moved"] = replace(mail, outline=replace(mail.outline, graph_message_id="moved"))
    begun.mail.next["create_reply"] = [ItemGone()]
    await begun.sent("m-2", thread_id=told["thread_id"])
    assert list(begun.mail.parents.values()) == ["moved"]
    assert begun.mail.calls.count("create_draft") == 1


async def test_another_mail_with_the_same_message_id_is_never_answered(begun: App) -> None:
    """A mail of another conversation with the same Message-ID is never answered. A reply would quote it (R4)."""
    told = await begun.answered(tags={"conversation_id": "conv-draft-1"})
    (old,) = begun.mail.mails
    foreign = replace(begun.mail.mails[old].outline, graph_message_id="foreign", conversation_id="conv-x")
    begun.mail.mails = {"foreign": replace(begun.mail.mails[old], outline=foreign)}
    begun.mail.next["create_reply"] = [ItemGone()]
    await begun.sent("m-2", thread_id=told["thread_id"])
    assert begun.mail.parents == {}
    assert begun.crm.types()[-1] == "message.sent"


async def test_a_reply_to_what_is_gone_is_a_mail_of_its_own(begun: App) -> None:
    """A reply to a mail that is gone leaves as a mail of its own in the same thread of the CRM."""
    told = await begun.answered()
    begun.mail.mails.clear()
    begun.mail.next["create_reply"] = [ItemGone()]
    await begun.sent("m-2", thread_id=told["thread_id"])
    assert (begun.crm.types()[-1], begun.crm.last["thread_id"]) == ("message.sent", told["thread_id"])
    assert begun.mail.calls.count("create_draft") == 2


# ---- all files are there


@pytest.mark.parametrize("reply", [False, True], ids=["a new mail", "a reply"])
async def test_a_draft_that_lacks_a_file_is_never_sent(begun: App, reply: bool) -> None:
    """A draft that lacks a separately attached file is deleted, never sent; another with all files is made (E-10)."""
    begun.mail.attaches_apart, begun.mail.drops = True, 1
    files = [{"name": "offer.pdf", "content_base64": "JVBERi0xLjc="}]
    changes = {"thread_id": begun.crm.last["thread_id"]} if reply else {}
    await accepted(begun, "m-2", attachments=files, **changes)
    await begun.pump()
    assert (len(begun.mail.sent), len(begun.mail.drafts), len(begun.mail.deleted)) == (1, 0, 1)
    await begun.later(minutes=5)
    assert begun.crm.types()[-1] == "message.sent"
    assert [file.name for file, _ in begun.mail.files_of[list(begun.mail.sent)[-1]]] == ["offer.pdf"]


async def test_files_inside_the_draft_cost_no_look(ready: App) -> None:
    """Files that ride inside the draft's request cost no further call."""
    await accepted(ready, attachments=[{"name": "offer.pdf", "content_base64": "JVBERi0xLjc="}])
    await ready.pump()
    assert ready.mail.calls == ["profile", "probe", "subscribe", "create_draft", "send"]


async def test_a_reply_says_what_it_answers(begun: App) -> None:
    """`message.sent` of a CRM reply names the mail that it answers, also where its copy lies there without its tags."""
    assert begun.crm.last["in_reply_to"] is None
    told = await begun.answered()
    await begun.sent("m-2", thread_id=told["thread_id"])
    assert begun.crm.last["crm_message_id"] == "m-2"
    assert begun.crm.last["in_reply_to"] == told["internet_message_id"]
