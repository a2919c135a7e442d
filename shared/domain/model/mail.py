"""Mail as a provider shows and takes it: what is read before and after admission, and what a draft is made of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from shared.domain.model.words import Whereabouts


@dataclass(frozen=True, slots=True)
class Address:
    """One person on a mail, as written."""

    address: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Outline:
    """All that is read of a mail before it is known to belong to a thread: ids and threading tags, never words.

    `internet_message_id` as it was stored, for filters; the others in normal form. `other_parents`: what else
    In-Reply-To names.
    """

    graph_message_id: str
    internet_message_id: str | None
    conversation_id: str | None
    is_draft: bool
    in_reply_to: str | None = None
    other_parents: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    key: str | None = None
    last_modified_at: datetime | None = None
    received_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class OutlinePage:
    """One page of a sweep."""

    outlines: tuple[Outline, ...]
    next_link: str | None


@dataclass(frozen=True, slots=True)
class People:
    """Who is on a mail, and its message class; read only when its conversation_id is known."""

    sender: Address | None
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    message_class: str | None = None

    def everyone(self) -> tuple[Address, ...]:
        """Sender and recipients."""
        return ((self.sender,) if self.sender else ()) + self.to + self.cc


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file as Graph lists it: metadata only. `kind` is `file`, `item`, `reference` or `unknown`."""

    remote_id: str
    name: str
    content_type: str | None
    size_bytes: int
    inline: bool
    kind: str
    content_id: str | None = None


@dataclass(frozen=True, slots=True)
class FetchedMessage:
    """A mail of a thread, read whole except the bytes of its files.

    `has_attachments` is Graph's word: false where all files are inline, so nothing rests on it. `has_more_files`: there
    are so many that not all were listed. `message_class` is Exchange's word for what it is. `in_sent_items`: it was
    looked where it lies, and that is Sent Items.
    """

    outline: Outline
    sender: Address | None
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    bcc: tuple[Address, ...]
    reply_to: tuple[Address, ...]
    subject: str
    html: str | None
    text: str | None
    sent_at: datetime | None
    received_at: datetime | None
    has_attachments: bool
    headers: tuple[tuple[str, str], ...] = ()
    odata_type: str | None = None
    message_class: str | None = None
    files: tuple[RemoteFile, ...] = ()
    has_more_files: bool = False
    folder_id: str | None = None
    in_sent_items: bool = False


@dataclass(frozen=True, slots=True)
class OutgoingFile:
    """A file to attach to a draft, with its bytes."""

    name: str
    content_type: str
    content: bytes
    inline: bool = False
    content_id: str | None = None


@dataclass(frozen=True, slots=True)
class DraftContent:
    """What a draft is made of. `key` marks it as ours (E-17); None where the mailbox takes no key."""

    key: str | None
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    bcc: tuple[Address, ...]
    subject: str
    html: str
    files: tuple[OutgoingFile, ...] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    """A draft as Graph made it. Of a reply, `html` is the quoted original, or `text` where the draft is plain text.

    `lacks_files`: its files are still to be put on it, each by a call of its own.
    `without_key`: the mailbox did not take our key, so the draft does not carry it. `in_reply_to`: the Message-ID of
    what it answers.
    """

    graph_message_id: str
    internet_message_id: str | None
    conversation_id: str | None
    html: str = ""
    subject: str | None = None
    lacks_files: bool = False
    without_key: bool = False
    sender: Address | None = None
    text: str | None = None
    in_reply_to: str | None = None


@dataclass(frozen=True, slots=True)
class Located:
    """A message found by id or by key."""

    outline: Outline
    whereabouts: Whereabouts


@dataclass(frozen=True, slots=True)
class Subscription:
    """Graph's registration as granted: what it returned, not what was asked."""

    subscription_id: str
    expires_at: datetime
    resource: str
    client_state: str | None = None
    notification_url: str | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """The signed-in mailbox."""

    address: str
    display_name: str
    aliases: tuple[str, ...] = ()

    @property
    def own_addresses(self) -> tuple[str, ...]:
        """Every address that it names."""
        return (self.address, *self.aliases)


@dataclass(frozen=True, slots=True)
class ChangeHint:
    """One item of a change or lifecycle notification after its clientState proved right (G-5)."""

    mailbox_key: str
    generation: int
    subscription_id: str
    graph_message_id: str | None = None
    change_type: str | None = None
    lifecycle_event: str | None = None
