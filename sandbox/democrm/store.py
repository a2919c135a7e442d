"""Everything the CRM knows: plain dictionaries in memory, each change written through to SQLite."""

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
    """The books of the CRM. Reading is free; a change is `put`, which also moves `version` on."""

    def __init__(self, path: Path | None = None) -> None:
        """`path` is the SQLite file; without one everything lives in memory only."""
        self._db = sqlite3.connect(path or ":memory:", isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS books (kind TEXT, id TEXT, json BLOB, PRIMARY KEY (kind, id))"
        )
        self._life = secrets.token_hex(4)
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
        """Another text after every change and every start, so that pages know when to look again."""
        return f"{self._life}.{self._changes}"

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def put(self, kind: str, key: str, value: msgspec.Struct) -> None:
        """Keep `value` under `key` of one book."""
        getattr(self, kind)[key] = value
        self._db.execute("REPLACE INTO books VALUES (?, ?, ?)", (kind, key, msgspec.json.encode(value)))
        self._changes += 1

    def reset(self) -> None:
        """Back to the seed: two users, four contacts, nothing written yet."""
        self._db.execute("DELETE FROM books")
        for kind in KINDS:
            getattr(self, kind).clear()
        self._seed()

    def note(self, key: str, value: str | None = None) -> str | None:
        """Read, or with `value` write, one small text (such as the cursor of the event list)."""
        if value is not None:
            self._db.execute("REPLACE INTO books VALUES ('notes', ?, ?)", (key, value))
            return value
        row = self._db.execute("SELECT json FROM books WHERE kind = 'notes' AND id = ?", (key,)).fetchone()
        return row[0] if row else None

    def contact_by_address(self, address: str) -> Contact | None:
        """The contact with this address, whatever its case."""
        folded = address.casefold()
        return next((one for one in self.contacts.values() if one.address.casefold() == folded), None)

    def name_of(self, address: str) -> str | None:
        """What a user or contact with this address, or a user with this mailbox, is called."""
        folded = address.casefold()
        owners = [
            one.user_id
            for one in self.connections.values()
            if one.address and one.address.casefold() == folded
        ]
        people: list[User | Contact] = [*self.users.values(), *self.contacts.values()]
        return next(
            (one.name for one in people if one.address.casefold() == folded or one.id in owners), None
        )

    def conversation_by_thread(self, thread_id: str) -> Conversation | None:
        """The conversation that one of Postbraid's threads belongs to."""
        return next((one for one in self.conversations.values() if thread_id in one.threads), None)

    def message_by_product_id(self, product_id: str) -> Message | None:
        """The message that Postbraid knows under `product_id`."""
        return next((one for one in self.messages.values() if one.product_id == product_id), None)

    def messages_of(self, conversation_id: str) -> list[Message]:
        """Oldest first; the thread's own numbering settles equal times."""
        mine = (one for one in self.messages.values() if one.conversation_id == conversation_id)
        return sorted(mine, key=lambda one: (one.happened_at, one.sequence or 0))

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
