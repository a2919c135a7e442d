"""Changes of messages within a mailbox; every change is published to the subscriptions."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from sandbox.graphsim import conversations
from sandbox.graphsim import ids as id_forms
from sandbox.graphsim.store import Address, Attachment, Message
from sandbox.graphsim.world import Change

if TYPE_CHECKING:
    from sandbox.graphsim.store import Folder, Mailbox
    from sandbox.graphsim.world import ChangeKind, World


def mail_domain(mailbox: Mailbox) -> str:
    """The host part of Message-IDs made for this mailbox."""
    return "simulated.prod.outlook.example" if mailbox.user.personal else "simulated.eurprd.outlook.example"


def own_address(mailbox: Mailbox) -> Address:
    """The mailbox's user as a sender."""
    return Address(mailbox.user.display_name, mailbox.user.address)


def address_in_outlook(world: World, mailbox: Mailbox) -> Address | None:
    """From which address of theirs the user writes in Outlook (knob); None: from the mailbox's own."""
    user = mailbox.user
    match world.knobs.text("own_from"):
        case "alias" if user.aliases:
            return Address(user.display_name, user.aliases[0])
        case "plus":
            local, _, domain = user.address.partition("@")
            return Address(user.display_name, f"{local}+outlook@{domain}")
        case _:
            return None


def named_in_sent_copy(world: World, mailbox: Mailbox, sender: Address) -> Address:
    """How the copy in Sent Items names its sender (knob); who gets the mail sees the address."""
    if world.knobs.text("own_from") == "x500":
        return Address(sender.name, mailbox.user.legacy_name)
    return sender


def blank(
    world: World, mailbox: Mailbox, *, folder: str, subject: str = "", parent_index: bytes | None = None
) -> Message:
    """A message with new ids, in the conversation of its parent and subject; not yet in the mailbox."""
    now = world.now()
    index = (
        conversations.child_index(world, parent_index)
        if parent_index
        else conversations.new_index(world, now)
    )
    return Message(
        immutable_id=world.ids.item(id_forms.IMMUTABLE, mailbox.id_part),
        ordinary_id=world.ids.item(id_forms.ORDINARY, mailbox.id_part),
        folder_id=mailbox.well_known(folder).folder_id,
        created_at=now,
        modified_at=now,
        received_at=now,
        sent_at=now,
        change_key=world.ids.change_key(),
        internet_message_id=world.ids.internet_message_id(mail_domain(mailbox)),
        conversation_id=conversations.conversation_id(world, mailbox, index, subject),
        conversation_index=index,
        subject=subject,
    )


def new_draft(
    world: World, mailbox: Mailbox, *, subject: str = "", parent_index: bytes | None = None
) -> Message:
    """A blank message for Drafts; `place` puts it there once it is filled."""
    draft = blank(world, mailbox, folder="drafts", subject=subject, parent_index=parent_index)
    draft.is_draft = True
    draft.is_read = True
    if world.knobs.text("draft_sender") == "self":
        draft.from_ = draft.sender = own_address(mailbox)
    return draft


def place(world: World, mailbox: Mailbox, message: Message) -> None:
    """Put a new message into its folder."""
    mailbox.messages[message.immutable_id] = message
    mailbox.ordinary[message.ordinary_id] = message.immutable_id
    _publish(world, "created", mailbox, message)


def touch(world: World, mailbox: Mailbox, message: Message) -> None:
    """Give a changed message a new change key and lastModifiedDateTime, and publish the change."""
    message.change_key = world.ids.change_key()
    message.modified_at = world.now()
    _publish(world, "updated", mailbox, message)


def set_subject(world: World, mailbox: Mailbox, message: Message, subject: str) -> None:
    """Set the subject, and the conversation that goes with it."""
    message.subject = subject
    message.conversation_id = conversations.conversation_id(
        world, mailbox, message.conversation_index, subject
    )


def move(world: World, mailbox: Mailbox, message: Message, folder: Folder) -> None:
    """Move a message: the immutable id stays, the ordinary id is new; published as a deletion and a creation (knob)."""
    gone = _change("deleted", mailbox, message)
    _rehouse(world, mailbox, message, folder)
    _publish_move(world, gone, _change("created", mailbox, message))


def _rehouse(world: World, mailbox: Mailbox, message: Message, folder: Folder) -> None:
    del mailbox.ordinary[message.ordinary_id]
    message.ordinary_id = world.ids.item(id_forms.ORDINARY, mailbox.id_part)
    mailbox.ordinary[message.ordinary_id] = message.immutable_id
    message.folder_id = folder.folder_id
    message.change_key = world.ids.change_key()
    message.modified_at = world.now()


def _publish_move(world: World, gone: Change, come: Change) -> None:
    both = [gone, come]
    order = world.knobs.text("move_notifications")
    if order == "created_first" or (order == "shuffled" and world.random.random() < 0.5):
        both.reverse()
    for change in both:
        world.publish(change)


def move_by_person(
    world: World, mailbox: Mailbox, message: Message, folder: Folder, *, silently: bool = False
) -> None:
    """Move a message as a desktop client does, which may copy and delete it (knob): it has new ids then.

    `silently`: nobody is notified. What is still to happen to it happens to the copy.
    """
    gone = _change("deleted", mailbox, copy.copy(message))
    if world.knobs.text("desktop_move_id") == "changed":
        del mailbox.messages[message.immutable_id]
        message.immutable_id = world.ids.item(id_forms.IMMUTABLE, mailbox.id_part)
        message.attachments = [with_new_id(world, mailbox, each) for each in message.attachments]
        mailbox.messages[message.immutable_id] = message
    _rehouse(world, mailbox, message, folder)
    if silently:
        world.store.version += 1
    else:
        _publish_move(world, gone, _change("created", mailbox, message))


def move_many(world: World, mailbox: Mailbox, source: Folder, folder: Folder) -> int:
    """Move all mails of a folder at one instant, as a desktop client or a retention rule does; how many they were.

    Of more than the knob says nobody is notified; one `missed` may follow (knob).
    """
    messages = mailbox.in_folder(source.folder_id)
    silently = len(messages) > world.knobs.number("silent_move_items")
    for message in messages:
        move_by_person(world, mailbox, message, folder, silently=silently)
    if silently and messages and world.knobs.text("mass_move_event") == "missed":
        for subscription in world.subscriptions.items.values():
            if subscription.user is mailbox.user:
                world.notifier.notify_lifecycle(subscription, "missed")
    return len(messages)


def remove(world: World, mailbox: Mailbox, message: Message) -> None:
    """Delete a message permanently."""
    del mailbox.messages[message.immutable_id]
    del mailbox.ordinary[message.ordinary_id]
    _publish(world, "deleted", mailbox, message)


def delete(world: World, mailbox: Mailbox, message: Message) -> None:
    """Move a message to Deleted Items, or delete it permanently when it is there; so does DELETE."""
    trash = mailbox.well_known("deleteditems")
    if message.folder_id == trash.folder_id:
        remove(world, mailbox, message)
    else:
        move(world, mailbox, message, trash)


def duplicate(world: World, mailbox: Mailbox, message: Message, folder: Folder) -> Message:
    """Put a copy with new ids into another folder."""
    copied = copy.deepcopy(message)
    copied.immutable_id = world.ids.item(id_forms.IMMUTABLE, mailbox.id_part)
    copied.ordinary_id = world.ids.item(id_forms.ORDINARY, mailbox.id_part)
    copied.folder_id = folder.folder_id
    copied.created_at = copied.modified_at = world.now()
    copied.change_key = world.ids.change_key()
    copied.attachments = [with_new_id(world, mailbox, a) for a in message.attachments]
    place(world, mailbox, copied)
    return copied


def with_new_id(world: World, mailbox: Mailbox, attachment: Attachment) -> Attachment:
    """A copy of an attachment with a new id, for another message."""
    copied = copy.copy(attachment)
    copied.attachment_id = world.ids.item(id_forms.ATTACHMENT, mailbox.id_part)
    return copied


def new_attachment(
    world: World,
    mailbox: Mailbox,
    *,
    name: str,
    content: bytes,
    content_type: str | None,
    inline: bool = False,
    content_id: str | None = None,
) -> Attachment:
    """A file attachment with a new id of this mailbox."""
    return Attachment(
        attachment_id=world.ids.item(id_forms.ATTACHMENT, mailbox.id_part),
        kind="file", name=name, content_type=content_type, content=content,
        modified_at=world.now(), inline=inline, content_id=content_id,
    )  # fmt: skip


def _change(kind: ChangeKind, mailbox: Mailbox, message: Message) -> Change:
    return Change(kind, mailbox, message, message.folder_id, message.ordinary_id, message.change_key)


def _publish(world: World, kind: ChangeKind, mailbox: Mailbox, message: Message) -> None:
    world.publish(_change(kind, mailbox, message))
