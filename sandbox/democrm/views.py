"""Values for the templates: rows of lists, times in words, sizes, initials."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from html import unescape
from typing import Any
from urllib.parse import unquote

from sandbox.democrm.model import Contact, Conversation, Message
from sandbox.democrm.store import Store
from sandbox.democrm.words import (
    CONNECTION_WORDS,
    STATUS_WORDS,
    bounce_words,
    closed_words,
    connection_reason_words,
    kind_words,
    problem_words,
    refused_words,
    waiting_words,
)

_TAG = re.compile(r"<[^>]*>")
_BREAK = re.compile(r"<br\s*/?>|</(?:p|div|li)>", re.IGNORECASE)
_CID = re.compile(r"""(?<=["'(])cid:([^"')\s]+)""", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ConversationRow:
    """A row of the list of conversations."""

    conversation: Conversation
    contact: Contact
    newest: Message | None
    count: int


@dataclass(frozen=True, slots=True)
class ContactRow:
    """A row of the list of contacts."""

    contact: Contact
    conversations: list[Conversation]


def conversation_rows(store: Store) -> list[ConversationRow]:
    """The rows of the list of conversations, newest first."""
    rows = []
    for conversation in store.conversations.values():
        messages = store.messages_of(conversation.id)
        newest = messages[-1] if messages else None
        contact = store.contacts[conversation.contact_id]
        rows.append(ConversationRow(conversation, contact, newest, len(messages)))
    return sorted(rows, key=_last_at, reverse=True)


def _last_at(row: ConversationRow) -> datetime:
    return row.newest.happened_at if row.newest else row.conversation.created_at


def contact_rows(store: Store) -> list[ContactRow]:
    """The rows of the list of contacts, by name."""
    contacts = sorted(store.contacts.values(), key=lambda contact: contact.name.casefold())
    conversations = list(store.conversations.values())
    return [
        ContactRow(contact, [item for item in conversations if item.contact_id == contact.id])
        for contact in contacts
    ]


def body_with_pictures(message: Message) -> str | None:
    """The HTML with `cid:` pictures (RFC 2392) replaced by links to the CRM's own download path."""
    numbers = {
        file.content_id.strip("<>"): place
        for place, file in enumerate(message.attachments)
        if file.content_id
    }

    def replaced(found: re.Match[str]) -> str:
        place = numbers.get(unquote(found.group(1)))
        return found.group() if place is None else f"/messages/{message.id}/files/{place}?inline=1"

    return message.html and _CID.sub(replaced, message.html)


def draft_of(message: Message) -> dict[str, str]:
    """The fields of the form that writes a failed message anew; its files have to be attached again."""
    return {
        "again": message.id,
        "to": ", ".join(person.address for person in message.to),
        "subject": message.subject,
        "text": message.text or unescape(_TAG.sub("", _BREAK.sub("\n", message.html or ""))).strip(),
        "files": ", ".join(file.name for file in message.attachments),
        "why": refused_words(message.reason.code, message.reason.detail) if message.reason else "",
    }


def size(size_bytes: int | None) -> str:
    """A size in words: B, KB or MB."""
    if size_bytes is None:
        return ""
    if size_bytes < 1024:
        return f"{size_bytes} B"
    if size_bytes < 1024 * 1024:
        return f"{round(size_bytes / 1024)} KB"
    return f"{size_bytes / 1024 / 1024:.1f} MB"


def when(moment: datetime, now: datetime) -> str:
    """A time in short: the hour today, the day this year, the date before that."""
    if moment.date() == now.date():
        return f"{moment:%H:%M}"
    return f"{moment:%-d %b}" if moment.year == now.year else f"{moment:%-d %b %Y}"


def initials(name: str) -> str:
    """The initials of a name, at most two letters."""
    words = [word for word in name.split() if word[0].isalnum()]
    return "".join(word[0] for word in (words[:1] + words[-1:] if len(words) > 1 else words)).upper() or "?"


def tone(name: str) -> int:
    """The number of one of six colours, always the same for a name."""
    return sum(name.casefold().encode()) % 6


def pretty(data: dict[str, Any]) -> str:
    """Indented JSON."""
    return json.dumps(data, indent=2, ensure_ascii=False)


FILTERS: dict[str, Any] = {
    "size": size,
    "when": when,
    "initials": initials,
    "tone": tone,
    "pretty": pretty,
    "kind_words": kind_words,
    "bounce_words": bounce_words,
    "status_words": lambda status: STATUS_WORDS.get(status, status),
    "connection_words": lambda status: CONNECTION_WORDS.get(status, status),
    "omitted_words": problem_words,
    "waiting_words": waiting_words,
    "closed_words": closed_words,
    "connection_reason_words": connection_reason_words,
    "reason_words": lambda reason: refused_words(reason.code, reason.detail),
}
