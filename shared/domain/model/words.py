"""The words of the model: states a person sees, stages the machine is in, reasons, evidence, kinds of work."""

from __future__ import annotations

from enum import StrEnum


class ConnectionStatus(StrEnum):
    """What a person sees of a connection."""

    NOT_CONNECTED = "not_connected"
    CONNECTED = "connected"
    DEGRADED = "degraded"
    RECONNECT_REQUIRED = "reconnect_required"
    REPLACED = "replaced"
    DISCONNECTED = "disconnected"


class Trouble(StrEnum):
    """Why a connection is degraded or must be signed in to again; docs/problems.md explains each."""

    CONSENT_REFUSED = "consent_refused"
    RIGHT_DENIED = "right_denied"
    LATE_NOTIFICATIONS = "late_notifications"
    MAILBOX_UNAVAILABLE = "mailbox_unavailable"
    NO_ANSWER = "microsoft_does_not_answer"
    SWEEP_OVERDUE = "sweep_overdue"
    SUBSCRIPTION_LOST = "subscription_lost"


class SignInOutcome(StrEnum):
    """How far a sign-in has come, or how it ended; a sign-in never alters the connection before it is confirmed."""

    UNDER_WAY = "under_way"
    ASKED = "waiting_for_confirmation"
    CONFIRMED = "confirmed"
    CANCELLED = "cancelled"
    ABANDONED = "abandoned"
    ADMIN_CONSENT_REQUIRED = "admin_consent_required"
    ORGANISATION_NOT_ALLOWED = "organisation_not_allowed"
    SCOPES_MISSING = "scopes_missing"
    MAILBOX_TAKEN = "mailbox_taken"
    NO_MAILBOX = "no_mailbox"
    FAILED = "failed"


class FenceState(StrEnum):
    """Whether a mailbox lets anything in or out."""

    OPEN = "open"
    CLOSED = "closed"


class SubscriptionState(StrEnum):
    """Where the mailbox's subscription stands; `pending` is written before it is created (E-27)."""

    NONE = "none"
    PENDING = "pending"
    ACTIVE = "active"


class Right(StrEnum):
    """What a consent allows: Graph may deny one and grant the others."""

    READ = "read"
    WRITE = "write"
    SUBSCRIBE = "subscribe"


class Direction(StrEnum):
    """Which way a message went, always seen from the CRM."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


class Origin(StrEnum):
    """Where a message was written."""

    CRM = "crm"
    MAILBOX = "mailbox"


class ThreadStatus(StrEnum):
    """How a thread stands, as people see it.

    `inactive`: its connection has ended; a CRM send into it makes it sync again (R9). `not_begun`: its first mail
    never left.
    """

    OPENING = "opening"
    SYNCING = "syncing"
    STOPPED = "stopped"
    INACTIVE = "inactive"
    NOT_BEGUN = "not_begun"


class StoppedBy(StrEnum):
    """Who stopped a thread; what the user stopped only the user resumes (R12)."""

    USER = "user"
    CRM = "crm"


class MessageStatus(StrEnum):
    """How a message stands, as the CRM reads it."""

    ACCEPTED = "accepted"
    WAITING = "waiting"
    SENDING = "sending"
    NEEDS_ATTENTION = "needs_attention"
    SENT = "sent"
    FAILED = "failed"
    RECEIVED = "received"
    NOT_SYNCED = "not_synced"


class WaitsFor(StrEnum):
    """What a send that has not left waits for."""

    SIGN_IN = "sign_in"
    MICROSOFT_PAUSE = "microsoft_pause"
    MAILBOX_UNAVAILABLE = "mailbox_unavailable"
    FIRST_MAIL_OF_THREAD = "first_mail_of_thread"


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


class MessageKind(StrEnum):
    """What sort of mail a message is; `protected`: encrypted, so that its content is not told."""

    MAIL = "mail"
    BOUNCE = "bounce"
    AUTOMATIC_REPLY = "automatic_reply"
    MEETING_REQUEST = "meeting_request"
    MEETING_RESPONSE = "meeting_response"
    READ_RECEIPT = "read_receipt"
    RECALL = "recall"
    PROTECTED = "protected"


class BounceAction(StrEnum):
    """What a mail system did about a recipient (RFC 3464, 2.3.3): it gave up, or goes on trying."""

    FAILED = "failed"
    DELAYED = "delayed"


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
    THREAD_TAKES_NO_MAIL = "thread_takes_no_mail"
    STALE = "stale_notification"
    GRANT_DEAD = "grant_dead"
    MESSAGE_UNREADABLE = "message_unreadable"
    DISCONNECTED = "disconnected"
    MAILBOX_CHANGED = "mailbox_changed"
    INVALID_RECIPIENT = "invalid_recipient"
    SEND_DENIED = "send_denied"
    MESSAGE_TOO_LARGE = "message_too_large"
    MAILBOX_FULL = "mailbox_full"
    SENDING_BLOCKED = "sending_blocked"
    MAILBOX_UNUSABLE = "mailbox_unusable"
    REFUSED_BY_PROVIDER = "refused_by_provider"
    LEFT_IN_DRAFTS = "left_in_drafts"
    CANCELLED_IN_MAILBOX = "cancelled_in_mailbox"
    WAITED_TOO_LONG = "waited_too_long"
    OUTCOME_UNKNOWN = "outcome_unknown"
    NAMED_PROPERTIES_SPENT = "named_properties_spent"
    DRAFT_INCOMPLETE = "draft_incomplete"
    GAVE_UP = "gave_up"


class TaskKind(StrEnum):
    """What a `task` row asks for."""

    SEND = "send"
    DELIVER = "deliver"
    SWEEP = "sweep"
    RENEW = "renew"
    RETRY_IMPORT = "retry_import"
    LOOK_AGAIN = "look_again"
    ENQUEUE_WAITING = "enqueue_waiting"
    ERASE = "erase"
    CLOSE = "close"
    AUDIT = "audit"


class Whereabouts(StrEnum):
    """Where a message with a known id or key stands."""

    DRAFT = "draft"
    DELETED_DRAFT = "deleted_draft"
    OUTBOX = "outbox"
    SENT = "sent"
