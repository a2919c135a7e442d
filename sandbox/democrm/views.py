"""What templates show, computed: rows of lists, times in words, sizes, initials."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from sandbox.democrm.model import Contact, Conversation, Message
from sandbox.democrm.store import Store
from sandbox.democrm.words import CONNECTION_WORDS, STATUS_WORDS, problem_words

_CID = re.compile(r"""(?<=["'(])cid:([^"')\s]+)""", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ConversationRow:
    """One line of the list of conversations."""

    conversation: Conversation
    contact: Contact
    newest: Message | None
    count: int


@dataclass(frozen=True, slots=True)
class ContactRow:
    """One line of the list of contacts."""

    contact: Contact
    conversations: list[Conversation]


def conversation_rows(store: Store) -> list[ConversationRow]:
    """Newest first."""
    rows = []
    for one in store.conversations.values():
        messages = store.messages_of(one.id)
        newest = messages[-1] if messages else None
        rows.append(ConversationRow(one, store.contacts[one.contact_id], newest, len(messages)))
    return sorted(
        rows,
        key=lambda row: row.newest.happened_at if row.newest else row.conversation.created_at,
        reverse=True,
    )


def _last_at(row: ConversationRow) -> datetime:
    return row.newest.happened_at if row.newest else row.conversation.created_at


def contact_rows(store: Store) -> list[ContactRow]:
    """By name."""
    contacts = sorted(store.contacts.values(), key=lambda one: one.name.casefold())
    talks = list(store.conversations.values())
    return [ContactRow(one, [talk for talk in talks if talk.contact_id == one.id]) for one in contacts]


def body_with_pictures(message: Message) -> str | None:
    """The HTML with `cid:` pictures (RFC 2392) leading to our own copies of the files."""
    numbers = {
        one.content_id.strip("<>"): place for place, one in enumerate(message.attachments) if one.content_id
    }

    def replaced(found: re.Match[str]) -> str:
        place = numbers.get(unquote(found.group(1)))
        return found.group() if place is None else f"/messages/{message.id}/files/{place}?inline=1"

    return message.html and _CID.sub(replaced, message.html)


def size(size_bytes: int | None) -> str:
    """A size for people."""
    if size_bytes is None:
        return ""
    if size_bytes < 1024:
        return f"{size_bytes} B"
    if size_bytes < 1024 * 1024:
        return f"{round(size_bytes / 1024)} KB"
    return f"{size_bytes / 1024 / 1024:.1f} MB"


def when(moment: datetime, now: datetime) -> str:
    """Short: the hour today, the day this year, the date before."""
    if moment.date() == now.date():
        return f"{moment:%H:%M}"
    return f"{moment:%-d %b}" if moment.year == now.year else f"{moment:%-d %b %Y}"


def initials(name: str) -> str:
    """Two letters at most."""
    words = [word for word in name.split() if word[0].isalnum()]
    return "".join(word[0] for word in (words[:1] + words[-1:] if len(words) > 1 else words)).upper() or "?"


def tone(name: str) -> int:
    """One of six colours, always the same for one name."""
    return sum(name.casefold().encode()) % 6


def pretty(data: dict[str, Any]) -> str:
    """JSON to read."""
    return json.dumps(data, indent=2, ensure_ascii=False)


FILTERS: dict[str, Any] = {
    "size": size,
    "when": when,
    "initials": initials,
    "tone": tone,
    "pretty": pretty,
    "status_words": lambda status: STATUS_WORDS.get(status, status),
    "connection_words": lambda status: CONNECTION_WORDS.get(status, status),
    "omitted_words": problem_words,
}
