"""The CRM's data: dictionaries in memory, with each change written to SQLite."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from sandbox.democrm.model import Connection, Contact, Conversation, Event, Message, User

USERS = (
    User("u_ann", "Ann Archer", "ann@northwind.example"),
    User("u_bob", "Bob Baker", "bob@northwind.example"),
)
CONTACTS = (
    Contact("k_carla", "Carla Cliente", "carla@contoso-customer.example"),
    Contact("k_dev", "Dev Das", "dev@fabrikam-customer.example"),
    Contact("k_elin", "Elin Ek", "elin@tailspin-customer.example"),
    Contact("k_femi", "Femi Fadeyi", "femi@wingtip-customer.example"),
)
KINDS: dict[str, type[Any]] = {
    "users": User,
    "contacts": Contact,
    "conversations": Conversation,
    "messages": Message,
    "connections": Connection,
    "events": Event,
}


class Store:
    """The CRM's records. Read the dictionaries directly; write with `put`, which also changes `version`."""

    def __init__(self, path: Path | None = None) -> None:
        """`path` is the SQLite file; without it the data is in memory only."""
        self._db = sqlite3.connect(path or ":memory:", isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS books (kind TEXT, id TEXT, json BLOB, PRIMARY KEY (kind, id))"
        )
        self._start_id = secrets.token_hex(4)
        self._changes = 0
        self.users: dict[str, User] = {}
        self.contacts: dict[str, Contact] = {}
        self.conversations: dict[str, Conversation] = {}
        self.messages: dict[str, Message] = {}
        self.connections: dict[str, Connection] = {}
        self.events: dict[str, Event] = {}
        self._load()

    @property
    def version(self) -> str:
        """A text that changes with every change and every start, so that pages know when to refresh."""
        return f"{self._start_id}.{self._changes}"

    def close(self) -> None:
        """Close the SQLite file."""
        self._db.close()

    def put(self, kind: str, key: str, value: msgspec.Struct) -> None:
        """Store `value` under `key` of a kind of record."""
        getattr(self, kind)[key] = value
        self._db.execute("REPLACE INTO books VALUES (?, ?, ?)", (kind, key, msgspec.json.encode(value)))
        self._changes += 1

    def reset(self) -> None:
        """Delete everything and add the initial two users and four contacts."""
        self._db.execute("DELETE FROM books")
        for kind in KINDS:
            getattr(self, kind).clear()
        self._seed()

    def set_note(self, key: str, value: str) -> None:
        """Store a small text, such as the cursor of the event list."""
        self._db.execute("REPLACE INTO books VALUES ('notes', ?, ?)", (key, value))

    def note(self, key: str) -> str | None:
        """A small text that `set_note` stored, or None."""
        row = self._db.execute("SELECT json FROM books WHERE kind = 'notes' AND id = ?", (key,)).fetchone()
        return row[0] if row else None

    def contact_by_address(self, address: str) -> Contact | None:
        """The contact with this address, whatever its case."""
        folded = address.casefold()
        return next(
            (contact for contact in self.contacts.values() if contact.address.casefold() == folded), None
        )

    def name_of(self, address: str) -> str | None:
        """The name of the user or contact with this address, or of the user with this mailbox; None if unknown."""
        folded = address.casefold()
        owners = [
            connection.user_id
            for connection in self.connections.values()
            if connection.address and connection.address.casefold() == folded
        ]
        people: list[User | Contact] = [*self.users.values(), *self.contacts.values()]
        return next(
            (person.name for person in people if person.address.casefold() == folded or person.id in owners),
            None,
        )

    def conversation_by_thread(self, thread_id: str) -> Conversation | None:
        """The conversation with this thread of Postbraid's, or None."""
        return next((item for item in self.conversations.values() if thread_id in item.threads), None)

    def message_by_product_id(self, product_id: str) -> Message | None:
        """The message with this id of Postbraid's, or None."""
        return next((message for message in self.messages.values() if message.product_id == product_id), None)

    def messages_of(self, conversation_id: str) -> list[Message]:
        """The messages of a conversation, oldest first; equal times are ordered by the thread's numbering."""
        found = (message for message in self.messages.values() if message.conversation_id == conversation_id)
        return sorted(found, key=lambda message: (message.happened_at, message.sequence or 0))

    def _load(self) -> None:
        rows: Iterable[tuple[str, str, bytes]] = self._db.execute(
            "SELECT kind, id, json FROM books ORDER BY rowid"
        )
        for kind, key, raw in rows:
            if kind in KINDS:
                getattr(self, kind)[key] = msgspec.json.decode(raw, type=KINDS[kind])
        if not self.users:
            self._seed()

    def _seed(self) -> None:
        for user in USERS:
            self.put("users", user.id, user)
        for contact in CONTACTS:
            self.put("contacts", contact.id, contact)
