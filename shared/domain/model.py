"""What the rules speak of: connections, mailboxes, threads, messages, sends and what is recorded of them.

All values are frozen. Times are aware UTC. Sizes are bytes. Addresses are as written by people; compare
them only after `ids.comparable_address`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum


class ConnectionStatus(StrEnum):
    """What a person sees of a connection."""

    NOT_CONNECTED = "not_connected"
    CONNECTED = "connected"
    DEGRADED = "degraded"
    RECONNECT_REQUIRED = "reconnect_required"
    DISCONNECTED = "disconnected"


class GateState(StrEnum):
    """Whether a mailbox lets anything in or out."""

    OPEN = "open"
    CLOSED = "closed"


class SubscriptionState(StrEnum):
    """Where the mailbox's subscription stands; `pending` is written before it is created (E-27)."""

    NONE = "none"
    PENDING = "pending"
    ACTIVE = "active"


class Direction(StrEnum):
    """Which way a message went, always seen from the CRM."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


class Origin(StrEnum):
    """Where a message was written."""

    CRM = "crm"
    MAILBOX = "mailbox"


class Phase(StrEnum):
    """How far a CRM send is (the table of `shared.domain.outbound`)."""

    NEW = "new"
    BUILDING = "building"
    SENDING = "sending"
    SUBMITTED = "submitted"
    NEEDS_ATTENTION = "needs_attention"
    SENT = "sent"
    FAILED = "failed"

    @property
    def final(self) -> bool:
        """Whether nothing more will happen to the send by itself."""
        return self in (Phase.SENT, Phase.FAILED)


class Evidence(StrEnum):
    """Why a message is held to be in a thread, strongest first."""

    KEY = "key"
    IN_REPLY_TO = "in_reply_to"
    REFERENCES = "references"
    CONVERSATION = "conversation"


class Reason(StrEnum):
    """Why something did not sync or was not sent; shown to people, documented in docs/problems.md."""

    ATTACHMENT_TOO_LARGE = "attachment_too_large"
    ATTACHMENT_TYPE = "attachment_type_not_supported"
    ATTACHMENT_MISMATCH = "attachment_content_mismatch"
    ATTACHMENT_EMPTY = "attachment_empty"
    ATTACHMENT_UNREADABLE = "attachment_unreadable"
    TOO_MANY_ATTACHMENTS = "too_many_attachments"
    ATTACHMENTS_TOO_LARGE_TOGETHER = "attachments_too_large_together"
    ATTACHMENT_NOT_FETCHED = "attachment_not_fetched"
    FOREIGN = "foreign_thread"
    DRAFT = "draft"
    ALREADY_SEEN = "already_seen"
    COPY = "copy"
    ECHO = "echo"
    VANISHED = "vanished"
    THREAD_STOPPED = "thread_stopped"
    STALE = "stale_notification"
    DISCONNECTED = "disconnected"
    MAILBOX_CHANGED = "mailbox_changed"
    INVALID_RECIPIENT = "invalid_recipient"
    SEND_DENIED = "send_denied"
    MESSAGE_TOO_LARGE = "message_too_large"
    MAILBOX_FULL = "mailbox_full"
    SENDING_BLOCKED = "sending_blocked"
    MAILBOX_UNUSABLE = "mailbox_unusable"
    REFUSED_BY_PROVIDER = "refused_by_provider"
    CANCELLED_IN_MAILBOX = "cancelled_in_mailbox"
    OUTCOME_UNKNOWN = "outcome_unknown"
    GAVE_UP = "gave_up"


@dataclass(frozen=True, slots=True)
class Address:
    """One person on a mail, as written."""

    address: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class MailboxRef:
    """Where a mailbox's state lives. `mailbox_id` is ours: opaque, and the same for the same (tid, oid) in a tenant."""

    tenant_id: str
    mailbox_id: str


@dataclass(frozen=True, slots=True)
class CrmUser:
    """A user of the CRM as its server names them; `addresses` are the ones the CRM knows of."""

    user_id: str
    display_name: str = ""
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Connection:
    """One CRM user's consent to sync one mailbox. (tid, oid) is its identity, the address only a label (O-6)."""

    connection_id: str
    user: CrmUser
    mailbox_id: str
    tid: str
    oid: str
    address: str
    display_name: str
    generation: int
    status: ConnectionStatus
    connected_at: datetime
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Gate:
    """The row that says whether a mailbox lets anything in or out, and for which generation.

    Every write that lets something pass merges this row under If-Match; so a closed gate stops even a worker
    that read it while it stood open. Subscription and sweep state live here because they change with it.
    """

    connection_id: str
    user_id: str
    address: str
    generation: int
    state: GateState
    aliases: tuple[str, ...] = ()
    paused_until: datetime | None = None
    subscription: SubscriptionState = SubscriptionState.NONE
    subscription_id: str | None = None
    subscription_expires_at: datetime | None = None
    subscription_filtered: bool = True
    renew_at: datetime | None = None
    sweep_cursor: datetime | None = None
    sweep_at: datetime | None = None
    last_thread_activity_at: datetime | None = None
    late_sweeps: int = 0
    degraded: bool = False
    grant_dead: bool = False

    @property
    def own_addresses(self) -> tuple[str, ...]:
        """Every address that means this mailbox's user."""
        return (self.address, *self.aliases)


@dataclass(frozen=True, slots=True)
class Thread:
    """A conversation begun by the CRM (R2). `newest_*` name its newest synced message, which a CRM reply answers (R7)."""

    thread_id: str
    connection_id: str
    generation: int
    active_from: datetime
    crm_thread_id: str | None = None
    participants: tuple[str, ...] = ()
    conversation_ids: tuple[str, ...] = ()
    crm_context: str = "{}"
    contact_ids: tuple[str, ...] = ()
    newest_graph_message_id: str | None = None
    newest_internet_message_id: str | None = None
    newest_at: datetime | None = None
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class ConversationLink:
    """Graph's conversation_id, in this mailbox, leads to this thread; two threads may share one."""

    conversation_id: str
    thread_id: str


@dataclass(frozen=True, slots=True)
class MessageIndex:
    """A Message-ID that belongs to a thread; also for messages that did not sync (R7). `at` tells a copy from a reuse (E-15)."""

    internet_message_id: str
    thread_id: str
    message_id: str
    synced: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class Seen:
    """A mail of a thread that was decided on; inserted only together with its event (E-16)."""

    graph_message_id: str
    message_id: str
    thread_id: str
    reason: Reason | None
    at: datetime


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A file whose bytes lie in staging. `blob` is a random name; `problem` says why it is left out."""

    attachment_id: str
    name: str
    content_type: str
    size_bytes: int
    blob: str | None = None
    inline: bool = False
    content_id: str | None = None
    omitted: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class OutboxItem:
    """A send the CRM was told is accepted. `key` is K of E-10: lower-case hex SHA-256 of (tenant, crm_message_id)."""

    key: str
    crm_message_id: str
    message_id: str
    thread_id: str
    reply: bool
    crm_thread_id: str | None
    generation: int
    user_id: str
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    bcc: tuple[Address, ...]
    subject: str
    body_blob: str
    files: tuple[StagedFile, ...]
    crm_context: str
    contact_ids: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    phase: Phase = Phase.NEW
    build: int = 0
    attempts: int = 0
    due_at: datetime | None = None
    lease_until: datetime | None = None
    draft_graph_message_id: str | None = None
    draft_internet_message_id: str | None = None
    in_reply_to: str | None = None
    send_started_at: datetime | None = None
    send_tried_at: datetime | None = None
    sent_at: datetime | None = None
    reason: Reason | None = None
    detail: str | None = None
    event_ref: str | None = None
    unconfirmed_told: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """Something the CRM is told, rendered once (C-7). The body is here, or in staging under `body_blob` when large."""

    event_id: str
    type: str
    at: datetime
    message_id: str | None
    body: str | None
    body_blob: str | None
    due_at: datetime | None
    attempts: int = 0
    delivered_at: datetime | None = None
    parked: bool = False
    equal_refusals: int = 0
    last_status: int | None = None

    @property
    def ref(self) -> str:
        """What finds the event again: its time, which sorts, and its id."""
        return f"{self.at.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}|{self.event_id}"


@dataclass(frozen=True, slots=True)
class MessageRecord:
    """A message by its id: one of the mailbox with what was told of it, or with `key` the way to a CRM send."""

    message_id: str
    thread_id: str
    direction: Direction
    origin: Origin
    status: str
    event_ref: str | None
    created_at: datetime
    reason: Reason | None = None
    detail: str | None = None
    files: tuple[StagedFile, ...] = ()
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Activity:
    """One line of the activity list: what happened to which message, and why."""

    activity_id: str
    at: datetime
    kind: str
    thread_id: str | None = None
    message_id: str | None = None
    reason: Reason | None = None
    detail: str = ""


class Work(StrEnum):
    """What a `todo` row asks for."""

    SEND = "send"
    DELIVER = "deliver"
    SWEEP = "sweep"
    RENEW = "renew"
    RETRY_IMPORT = "retry_import"


@dataclass(frozen=True, slots=True)
class Todo:
    """Work that is due at a time. The row is the truth, a queue message only its doorbell (E-1)."""

    due_at: datetime
    work: Work
    ref: str
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Outline:
    """All that is read of a mail before it is known to belong to a thread: ids and threading tags, never words."""

    graph_message_id: str
    internet_message_id: str | None
    conversation_id: str | None
    is_draft: bool
    in_reply_to: str | None = None
    references: tuple[str, ...] = ()
    key: str | None = None
    last_modified_at: datetime | None = None
    received_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class People:
    """Who is on a mail; read only when its conversation_id is known."""

    sender: Address | None
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()

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
    """A mail of a thread, read whole except its files."""

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
    """What a draft is made of. `key` marks it as ours (E-17)."""

    key: str
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    bcc: tuple[Address, ...]
    subject: str
    html: str
    files: tuple[OutgoingFile, ...] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    """A draft as Graph made it. `html` is filled for a reply: the quoted original."""

    graph_message_id: str
    internet_message_id: str | None
    conversation_id: str | None
    html: str = ""


class Whereabouts(StrEnum):
    """Where a message with a known id or key stands."""

    DRAFT = "draft"
    DELETED_DRAFT = "deleted_draft"
    OUTBOX = "outbox"
    SENT = "sent"


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
class OutlinePage:
    """One page of a sweep."""

    outlines: tuple[Outline, ...]
    next_link: str | None


@dataclass(frozen=True, slots=True)
class Profile:
    """The signed-in mailbox."""

    address: str
    display_name: str
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ChangeHint:
    """One item of a change or lifecycle notification after its clientState proved right (G-5)."""

    mailbox_key: str
    generation: int
    subscription_id: str
    graph_message_id: str | None = None
    change_type: str | None = None
    lifecycle_event: str | None = None


@dataclass(frozen=True, slots=True)
class Tenant:
    """One CRM account: its name, its webhook endpoint and the origins that may frame our page."""

    tenant_id: str
    name: str
    webhook_url: str
    frame_origins: tuple[str, ...] = ()
    allowed_tids: tuple[str, ...] = ()
    disabled: bool = False


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A tenant's key as stored: a keyed hash, never the key (A-1)."""

    key_id: str
    tenant_id: str
    secret_hash: str
    scopes: tuple[str, ...]
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class WebhookSecret:
    """The endpoint's signing secrets, sealed; two during rotation (C-7)."""

    sealed: str
    previous_sealed: str | None = None


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A file the CRM uploaded ahead of a send."""

    file_id: str
    file: StagedFile
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class SendRequest:
    """A send as the CRM asked for it, already read from JSON but not yet judged."""

    crm_message_id: str
    user_id: str
    to: tuple[Address, ...]
    subject: str
    html: str | None = None
    text: str | None = None
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()
    thread_id: str | None = None
    crm_thread_id: str | None = None
    file_ids: tuple[str, ...] = ()
    inline_files: tuple[tuple[str, str, bytes], ...] = ()
    linked_files: tuple[tuple[str, str], ...] = ()
    crm_context: str = "{}"
    contact_ids: tuple[str, ...] = ()
    body_hash: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a completed sign-in gives. `cache` is MSAL's serialised cache and holds the refresh token."""

    tid: str
    oid: str
    username: str
    cache: str = field(repr=False)
    access_token: str = field(repr=False)
    expires_at: datetime
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refreshed:
    """A fresh access token, with the cache as it stands after."""

    cache: str = field(repr=False)
    access_token: str = field(repr=False)
    expires_at: datetime
