"""Mail transport: what happens after the 202 of send, and how mail reaches mailboxes and outsiders.

Source: Microsoft Graph, "Overview of the Microsoft Graph send mail process": the answer only means that transport has
the mail; the copy in Sent Items, the delivery and non-delivery reports all come later.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from sandbox.graphsim import bounces, conversations, mail, mime, unreadable
from sandbox.graphsim import ids as id_forms
from sandbox.graphsim.arrived_files import stored_files
from sandbox.graphsim.bodies import to_document
from sandbox.graphsim.errors import GraphError
from sandbox.graphsim.store import Mail

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sandbox.graphsim.store import Address, Mailbox, Message
    from sandbox.graphsim.world import World

MAX_RECIPIENTS = 500
MAX_MESSAGE_BYTES = 35 * 1024 * 1024
_ADDRESS = re.compile(r"^[^@\s<>]+@[^@\s<>]+\.[^@\s<>.]+$")


def check_sendable(message: Message) -> None:
    """Raise Graph's error when the mail cannot be sent at all; other failures end in a bounce."""
    people = (*message.to, *message.cc, *message.bcc)
    if not people or len(people) > MAX_RECIPIENTS or not all(_ADDRESS.match(a.address) for a in people):
        raise GraphError(400, "ErrorInvalidRecipients", "At least one recipient isn't valid.")
    if sum(len(a.content) for a in message.attachments) + len(message.body) > MAX_MESSAGE_BYTES:
        raise GraphError(413, "ErrorMessageSizeExceeded", "The message exceeds the maximum supported size.")


def submit(world: World, mailbox: Mailbox, draft: Message, *, save: bool = True) -> None:
    """Hand a draft to transport: it is delivered later and, with `save`, filed in Sent Items later."""
    check_sendable(draft)
    leaving_at = _book_departure(world, mailbox)
    if world.knobs.text("sent_message_id") == "changed":
        final_id = world.ids.internet_message_id(mail.mail_domain(mailbox))
    else:
        final_id = draft.internet_message_id
    outgoing = _outgoing(draft, mailbox, final_id, leaving_at)
    mailbox.awaiting_filing.add(draft.immutable_id)
    if world.knobs.text("sent_copy_gap") == "missing" or not save:
        mail.remove(world, mailbox, draft)
    transport(world, outgoing, leaving_at)
    if not save:
        mailbox.awaiting_filing.discard(draft.immutable_id)
        return
    filing_at = leaving_at + timedelta(seconds=world.knobs.number("sent_copy_delay_seconds"))
    world.schedule.add(filing_at, lambda: file_sent_copy(world, mailbox, draft, outgoing))


def _book_departure(world: World, mailbox: Mailbox) -> datetime:
    """Reserve the time when transport takes the next mail: now, or when the limit per minute allows it."""
    limit = int(world.knobs.number("transport_per_minute"))
    now = world.now()
    if limit and len(mailbox.departures) >= limit:
        now = max(now, mailbox.departures[-limit] + timedelta(seconds=60))
    mailbox.departures.append(now)
    while len(mailbox.departures) > max(limit, 1):
        mailbox.departures.popleft()
    return now


def _outgoing(draft: Message, mailbox: Mailbox, internet_message_id: str, at: datetime) -> Mail:
    return Mail(
        internet_message_id=internet_message_id,
        sender=draft.from_ or mail.own_address(mailbox),
        to=draft.to, cc=draft.cc, bcc=draft.bcc, reply_to=draft.reply_to,
        subject=draft.subject, body_type=draft.body_type, body=draft.body, sent_at=at,
        in_reply_to=draft.in_reply_to, references=draft.references,
        headers=tuple(draft.custom_headers), attachments=tuple(draft.attachments),
        thread_index=draft.conversation_index,
    )  # fmt: skip


def file_sent_copy(world: World, mailbox: Mailbox, draft: Message, outgoing: Mail) -> None:
    """Put the copy into Sent Items, under the old or a new immutable id (knob)."""
    mailbox.awaiting_filing.discard(draft.immutable_id)
    if mailbox.messages.get(draft.immutable_id) is draft:
        mail.remove(world, mailbox, draft)
    now = world.now()
    if world.knobs.text("sent_copy_id") == "changed":
        draft.immutable_id = world.ids.item(id_forms.IMMUTABLE, mailbox.id_part)
    draft.ordinary_id = world.ids.item(id_forms.ORDINARY, mailbox.id_part)
    draft.folder_id = mailbox.well_known("sentitems").folder_id
    draft.is_draft, draft.is_read = False, True
    draft.from_ = draft.sender = mail.named_in_sent_copy(world, mailbox, outgoing.sender)
    draft.internet_message_id = outgoing.internet_message_id
    draft.sent_at = draft.received_at = outgoing.sent_at
    draft.modified_at, draft.change_key = now, world.ids.change_key()
    if world.knobs.text("sent_copy_extended_properties") == "lost":
        draft.extended.clear()
    mail.place(world, mailbox, draft)


def transport(world: World, outgoing: Mail, leaving_at: datetime) -> None:
    """Schedule the delivery to every recipient, after the delay that the knob sets."""
    at = leaving_at + timedelta(seconds=world.knobs.number("delivery_delay_seconds"))
    seen_by_others = outgoing
    if world.knobs.text("relay_message_id") == "rewritten":
        seen_by_others = replace(outgoing, internet_message_id=world.ids.internet_message_id("relay.example"))
    undeliverable = [r for r in outgoing.recipients if _is_at(r, bounces.BOUNCING_DOMAIN)]
    slow = [r for r in outgoing.recipients if _is_at(r, bounces.SLOW_DOMAIN)]
    if undeliverable:
        world.schedule.add(at, lambda: _report(world, seen_by_others, undeliverable, "failed"))
    if slow:
        world.schedule.add(at, lambda: _report(world, seen_by_others, slow, "delayed"))
    for recipient in outgoing.recipients:
        if recipient not in undeliverable:
            when = at + bounces.SLOW_BY if recipient in slow else at
            world.schedule.add(when, lambda to=recipient: _deliver(world, seen_by_others, to))  # type: ignore[misc] # a default binds the loop's value


def _is_at(address: Address, domain: str) -> bool:
    return address.key.endswith("@" + domain)


def _deliver(world: World, arriving: Mail, recipient: Address) -> None:
    mailbox = world.store.mailbox(recipient.address)
    if mailbox:
        receive(world, mailbox, arriving)
    else:
        world.store.ensure_outsider(recipient).received.append((world.now(), arriving))
        world.store.version += 1


def receive(world: World, mailbox: Mailbox, arriving: Mail) -> Message:
    """Put a mail into the recipient's inbox, with new ids, its own conversation, the same Message-ID, without Bcc."""
    index = conversations.index_of_arrival(world, mailbox, arriving)
    message = mail.blank(world, mailbox, folder="inbox")
    message.conversation_index, message.received = index, True
    mail.set_subject(world, mailbox, message, arriving.topic or arriving.subject)
    message.subject = arriving.subject
    message.message_class, message.meeting = arriving.message_class, arriving.meeting
    message.internet_message_id = arriving.internet_message_id
    message.sent_at = arriving.sent_at
    message.body_type = arriving.body_type
    message.body = _as_stored(arriving)
    message.from_ = message.sender = arriving.sender
    message.to, message.cc, message.reply_to = arriving.to, arriving.cc, arriving.reply_to
    message.in_reply_to, message.references = arriving.in_reply_to, arriving.references
    message.reply_tags, message.tag_form = _received_tags(world), world.knobs.text("reply_tag_form")
    message.headers = mime.received_headers(arriving, mailbox.user.address, world.now())
    message.attachments = [mail.with_new_id(world, mailbox, a) for a in stored_files(world, arriving)]
    message.unreadable = arriving.unreadable
    unreadable.begin(world, mailbox, message)
    mail.place(world, mailbox, message)
    if world.knobs.text("received_updated") == "yes":
        world.schedule.add(
            world.now() + timedelta(seconds=1), lambda: _touch_received(world, mailbox, message)
        )
    return message


def _as_stored(arriving: Mail) -> str:
    if arriving.body_type == "text":
        return arriving.body
    return to_document(arriving.body)


def _received_tags(world: World) -> frozenset[str]:
    choice = world.knobs.text("received_reply_tags")
    if choice == "either":
        choice = world.random.choice(("both", "in_reply_to", "references"))
    return frozenset({"both": {"in_reply_to", "references"}, "none": set()}.get(choice, {choice}))


def _touch_received(world: World, mailbox: Mailbox, message: Message) -> None:
    """Change received mail once more, as Exchange does (classification, preview)."""
    if mailbox.messages.get(message.immutable_id) is message:
        mail.touch(world, mailbox, message)


def _report(world: World, failed: Mail, recipients: Sequence[Address], action: bounces.Action) -> None:
    """Put a report into the sender's inbox, if the sender has a mailbox here."""
    mailbox = world.store.mailbox(failed.sender.address)
    if mailbox:
        receive(world, mailbox, bounces.report(world, failed, recipients, action))
