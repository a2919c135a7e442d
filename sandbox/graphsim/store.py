"""The data of the simulated Microsoft 365: users, mailboxes, folders, messages, and outsiders."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from sandbox.graphsim import ids as id_forms

if TYPE_CHECKING:
    from datetime import datetime

    from sandbox.graphsim.bodies import BodyType
    from sandbox.graphsim.ids import IdMaker
    from sandbox.graphsim.unreadable import Unreadable

# Well-known names are independent of the mailbox's language (Microsoft Graph, "mailFolder resource type").
WELL_KNOWN = {
    "inbox": "Inbox",
    "drafts": "Drafts",
    "sentitems": "Sent Items",
    "deleteditems": "Deleted Items",
    "outbox": "Outbox",
    "junkemail": "Junk Email",
    "archive": "Archive",
    "conversationhistory": "Conversation History",
}


PLAIN_CLASS = "IPM.Note"


@dataclass(frozen=True, slots=True)
class Address:
    """A name and address as written in a mail."""

    name: str
    address: str

    @property
    def key(self) -> str:
        """The address in the form to compare by."""
        return self.address.strip().lower()


@dataclass(slots=True)
class User:
    """An account with a mailbox; `user_id` is its object id in Entra."""

    user_id: str
    address: str
    display_name: str
    tenant_id: str
    personal: bool = False
    mail: str | None = None
    aliases: tuple[str, ...] = ()
    mailbox_enabled: bool = True

    @property
    def legacy_name(self) -> str:
        """The legacy X.500 name (legacyExchangeDN), by which Exchange may name a user within the organisation."""
        number = self.user_id.replace("-", "")
        name = f"{number}-{self.address.partition('@')[0]}"
        group = "EXCHANGE ADMINISTRATIVE GROUP (FYDIBOHF23SPDLT)"
        return f"/O=EXCHANGELABS/OU={group}/CN=RECIPIENTS/CN={name}".upper()

    @property
    def keys(self) -> frozenset[str]:
        """All that names this user, in the form to compare by."""
        return frozenset({self.address.lower(), *self.aliases, self.legacy_name.lower()})


@dataclass(slots=True)
class Attachment:
    """A file, a nested item or a cloud link within a message."""

    attachment_id: str
    kind: Literal["file", "item", "reference"]
    name: str | None
    content_type: str | None
    content: bytes
    modified_at: datetime
    inline: bool = False
    content_id: str | None = None


@dataclass(slots=True)
class Message:
    """A message in a mailbox. `immutable_id` stays, `ordinary_id` changes with each move.

    `received`: transport brought it. `message_class` is PidTagMessageClass; `meeting` the meetingMessageType of an
    event message.
    """

    immutable_id: str
    ordinary_id: str
    folder_id: str
    created_at: datetime
    modified_at: datetime
    received_at: datetime
    sent_at: datetime
    change_key: str
    internet_message_id: str
    conversation_id: str
    conversation_index: bytes
    subject: str = ""
    body_type: BodyType = "html"
    body: str = ""
    sender: Address | None = None
    from_: Address | None = None
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()
    reply_to: tuple[Address, ...] = ()
    is_draft: bool = False
    received: bool = False
    is_read: bool = False
    importance: str = "normal"
    categories: tuple[str, ...] = ()
    flag: str = "notFlagged"
    flag_times: dict[str, dict[str, str]] = field(default_factory=dict)
    inference: str = "focused"
    receipts: dict[str, bool] = field(default_factory=dict)
    in_reply_to: str | None = None
    references: tuple[str, ...] = ()
    headers: list[tuple[str, str]] = field(default_factory=list)
    custom_headers: list[tuple[str, str]] = field(default_factory=list)
    reply_tags: frozenset[str] = frozenset()
    tag_form: str = "exact"
    extended: dict[str, str] = field(default_factory=dict)
    extended_lists: dict[str, list[str]] = field(default_factory=dict)
    attachments: list[Attachment] = field(default_factory=list)
    message_class: str = PLAIN_CLASS
    meeting: str | None = None
    unreadable: Unreadable | None = None
    withheld: list[Attachment] = field(default_factory=list)

    @property
    def has_attachments(self) -> bool:
        """Whether it has an attachment that is not inline (Microsoft Graph, "message resource type")."""
        return any(not a.inline for a in self.attachments)


@dataclass(slots=True)
class Folder:
    """A mail folder; its id never changes."""

    folder_id: str
    display_name: str
    parent_id: str
    well_known: str | None = None


@dataclass(slots=True)
class Mailbox:
    """A user's folders and messages. `awaiting_filing`: immutable ids that are sent and not yet in Sent Items."""

    user: User
    id_part: str
    root_id: str
    folders: dict[str, Folder] = field(default_factory=dict)
    messages: dict[str, Message] = field(default_factory=dict)
    ordinary: dict[str, str] = field(default_factory=dict)
    conversations: dict[tuple[bytes, str], str] = field(default_factory=dict)
    departures: deque[datetime] = field(default_factory=deque)
    awaiting_filing: set[str] = field(default_factory=set)

    def folder(self, reference: str) -> Folder | None:
        """A folder by id or well-known name."""
        if reference in self.folders:
            return self.folders[reference]
        name = reference.lower()
        return next((f for f in self.folders.values() if f.well_known == name), None)

    def well_known(self, name: str) -> Folder:
        """A folder by well-known name; every mailbox has them all."""
        return next(f for f in self.folders.values() if f.well_known == name)

    def message(self, reference: str) -> Message | None:
        """A message by either of its ids."""
        return self.messages.get(self.ordinary.get(reference, reference))

    def in_folder(self, folder_id: str) -> list[Message]:
        """The messages directly in one folder."""
        return [m for m in self.messages.values() if m.folder_id == folder_id]


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail in transport, with the fields of RFC 5322. Only Exchange writes a `thread_index`.

    `topic`: the subject by which Exchange finds its conversation, where that is another; `meeting`: meetingMessageType;
    `unreadable`: what of it Graph does not give once it has arrived.
    """

    internet_message_id: str
    sender: Address
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    bcc: tuple[Address, ...]
    subject: str
    body_type: BodyType
    body: str
    sent_at: datetime
    reply_to: tuple[Address, ...] = ()
    in_reply_to: str | None = None
    references: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    attachments: tuple[Attachment, ...] = ()
    thread_index: bytes | None = None
    content_type: str | None = None
    message_class: str = PLAIN_CLASS
    meeting: str | None = None
    topic: str | None = None
    unreadable: Unreadable | None = None

    @property
    def recipients(self) -> tuple[Address, ...]:
        """All recipients, each address once."""
        return tuple({a.key: a for a in (*self.to, *self.cc, *self.bcc)}.values())


@dataclass(slots=True)
class Outsider:
    """A person whose mailbox is not simulated; the simulator knows the mails that they received and wrote."""

    address: Address
    received: list[tuple[datetime, Mail]] = field(default_factory=list)
    written: list[Mail] = field(default_factory=list)


@dataclass(slots=True)
class Store:
    """Users, mailboxes and outsiders by address; `version` grows with each change."""

    users: dict[str, User] = field(default_factory=dict)
    mailboxes: dict[str, Mailbox] = field(default_factory=dict)
    outsiders: dict[str, Outsider] = field(default_factory=dict)
    version: int = 0

    def user(self, address: str) -> User | None:
        """A user by address or alias, with or without a tag behind a plus, or None."""
        key = address.strip().lower()
        local, _, domain = key.partition("@")
        untagged = f"{local.partition('+')[0]}@{domain}"
        found = self.users.get(key) or self.users.get(untagged)
        return found or next((u for u in self.users.values() if {key, untagged} & {*u.aliases}), None)

    def mailbox(self, address: str) -> Mailbox | None:
        """The mailbox of an address or alias, or None."""
        user = self.user(address)
        return self.mailboxes.get(user.address.lower()) if user else None

    def add_user(self, user: User, ids: IdMaker) -> Mailbox:
        """Add a user with an empty mailbox."""
        part = ids.mailbox_part()
        root_id = ids.item(id_forms.FOLDER, part)
        mailbox = Mailbox(user, part, root_id)
        mailbox.folders[root_id] = Folder(root_id, "Top of Information Store", root_id, "msgfolderroot")
        for name, title in WELL_KNOWN.items():
            folder_id = ids.item(id_forms.FOLDER, part)
            mailbox.folders[folder_id] = Folder(folder_id, title, root_id, name)
        self.users[user.address.lower()] = user
        self.mailboxes[user.address.lower()] = mailbox
        return mailbox

    def ensure_outsider(self, address: Address) -> Outsider:
        """The outsider with an address; add them when new, and take over a name that was missing."""
        known = self.outsiders.get(address.key)
        if known is None:
            known = self.outsiders[address.key] = Outsider(address)
        elif address.name and known.address.name in {"", known.address.address}:
            known.address = address
        return known
