"""The conversation that a message belongs to in a mailbox.

Sources: Microsoft Graph, "message resource type"; MS-OXOMSG and "Tracking conversations" for the index: a block of 22
bytes (0x01, five bytes of FILETIME, a GUID) and five bytes more for each reply. A conversation is one GUID under one
normalized subject, so an edited subject begins a new one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sandbox.graphsim import ids as id_forms

if TYPE_CHECKING:
    from datetime import datetime

    from sandbox.graphsim.store import Mail, Mailbox
    from sandbox.graphsim.world import World

_PREFIX = re.compile(r"^\s*(re|fw|fwd|aw|wg|antw|sv|tr|rv)\s*(\[\d+\])?\s*:\s*", re.IGNORECASE)
_FILETIME_EPOCH_SECONDS = 11_644_473_600
_HEADER_BYTES = 22


def normalized_subject(subject: str) -> str:
    """The subject without reply and forward prefixes, for comparison."""
    text = subject
    while found := _PREFIX.match(text):
        text = text[found.end() :]
    return " ".join(text.split()).casefold()


def new_index(world: World, at: datetime) -> bytes:
    """The index of a message that begins a conversation."""
    ticks = int((at.timestamp() + _FILETIME_EPOCH_SECONDS) * 10_000_000)
    return b"\x01" + ticks.to_bytes(8, "big")[:5] + world.ids.bytes(16)


def child_index(world: World, parent: bytes) -> bytes:
    """The index of an answer to the message with index `parent`."""
    return parent + world.ids.bytes(5)


def conversation_id(world: World, mailbox: Mailbox, index: bytes, subject: str) -> str:
    """The id of the conversation in this mailbox, made when it is new; every mailbox has its own."""
    key = (index[6:_HEADER_BYTES], normalized_subject(subject))
    found = mailbox.conversations.get(key)
    if found is None:
        found = world.ids.item(id_forms.CONVERSATION, mailbox.id_part)
        mailbox.conversations[key] = found
    return found


def index_of_arrival(world: World, mailbox: Mailbox, mail: Mail) -> bytes:
    """The index of an arriving mail: by Thread-Index, by References and subject (knob), else a new conversation."""
    if mail.thread_index and len(mail.thread_index) >= _HEADER_BYTES:
        return mail.thread_index
    if world.knobs.text("external_reply_conversation") == "matched":
        named = {mail.in_reply_to, *mail.references}
        topic = normalized_subject(mail.subject)
        for known in mailbox.messages.values():
            if known.internet_message_id in named and normalized_subject(known.subject) == topic:
                return child_index(world, known.conversation_index)
    return new_index(world, mail.sent_at)
