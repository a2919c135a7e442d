"""What is recorded of threads and messages: the rows that make later mail find its thread and people find reasons."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from shared.domain.model.sends import StagedFile
from shared.domain.model.words import (
    BounceAction,
    Direction,
    Evidence,
    MessageKind,
    MessageStatus,
    Origin,
    Reason,
    StoppedBy,
    TaskKind,
)
from shared.domain.stamps import stamp


@dataclass(frozen=True, slots=True)
class Thread:
    """A conversation begun by the CRM (R2). `newest_*` name its newest synced message: a CRM reply answers it (R7).

    `active_from`: since when it syncs; `resumed`: before that it was stopped for a while (R9, R12). `subject` is that
    of the CRM's first mail. `stopped_at`: since when it takes nothing, by whose wish (R12). It synced before too,
    from `active_before` to `last_stopped_at`, under the same connection; `took_until`: that time by Graph's clock, as
    `active_from` and `active_before` are.
    """

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
    resumed: bool = False
    subject: str = ""
    stopped_at: datetime | None = None
    stopped_by: StoppedBy | None = None
    last_stopped_at: datetime | None = None
    active_before: datetime | None = None
    took_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class ConversationLink:
    """Graph's conversation_id, in this mailbox, leads to this thread; two threads may share one."""

    conversation_id: str
    thread_id: str


@dataclass(frozen=True, slots=True)
class ThreadMessage:
    """This message is of this thread, accepted or found at that time: what lists a thread's messages."""

    thread_id: str
    message_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Author:
    """Who wrote a mail, and when; the mailbox's user has no name here (see `shared.domain.copies`).

    `message_id`: our id of that message; "" in rows of earlier versions.
    """

    author: str
    at: datetime
    message_id: str = ""


@dataclass(frozen=True, slots=True)
class MessageIndex:
    """A Message-ID of a thread, also of messages that did not sync (R7). `author` and `at` tell copies (E-15).

    `admits_alone`: what names this Message-ID is of the thread without further evidence, for a mail of ours or the
    user's own bears it; who sends us mail chooses its Message-ID. `others`: further mails with the same Message-ID.
    """

    internet_message_id: str
    thread_id: str
    message_id: str
    at: datetime
    author: str = ""
    admits_alone: bool = True
    others: tuple[Author, ...] = ()


@dataclass(frozen=True, slots=True)
class Held:
    """When a mail that could not be decided on is looked at again (R14): until then neither hints nor sweeps look.

    `looks` are those that ended without a decision, `missing` those running that did not find it. `generation` is that
    of the mailbox it was met in. Without a Message-ID it is never looked for under another id. `planned_at`: when the
    next look is due by itself, where somebody asked for one before; a look that was asked for is not counted. `deaths`:
    so many workers have died over it in a row. `evidence`: what led it to its thread.
    """

    look_at: datetime
    since: datetime
    generation: int
    looks: int = 1
    missing: int = 0
    internet_message_id: str | None = None
    deaths: int = 0
    planned_at: datetime | None = None
    evidence: Evidence | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """A mail that was decided on, inserted only together with its event (E-16); or with `held`, one that was not yet.

    `message_id` and `thread_id` are "" for a held mail of which nobody knows whose it is.
    """

    graph_message_id: str
    message_id: str
    thread_id: str
    reason: Reason | None
    at: datetime
    held: Held | None = None


@dataclass(frozen=True, slots=True)
class Bounce:
    """What a report said of one recipient of a mail; None is what it did not say for certain.

    `status` is RFC 3463's code, `diagnostic_code` the other side's own words. `reported_by`: the message_id of the
    report, found at `at`.
    """

    recipient: str | None = None
    status: str | None = None
    diagnostic_code: str | None = None
    action: BounceAction | None = None
    reported_by: str | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class MessageRecord:
    """A message by its id: one of the mailbox with what was told of it, or with `key` the way to a CRM send.

    `bounces`: what was reported of its recipients, one entry for each.
    `tellings`: how often the CRM was told of it; `updated_at`: when it was told again. `held_as`: the
    graph_message_id under which it is held, while it is looked at again. `internet_message_id`: of a mail that was
    found in the mailbox.
    """

    message_id: str
    thread_id: str
    direction: Direction
    origin: Origin
    status: MessageStatus
    event_ref: str | None
    created_at: datetime
    reason: Reason | None = None
    detail: str | None = None
    files: tuple[StagedFile, ...] = ()
    key: str | None = None
    kind: MessageKind = MessageKind.MAIL
    bounces: tuple[Bounce, ...] = ()
    tellings: int = 1
    updated_at: datetime | None = None
    held_as: str | None = None
    internet_message_id: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """Something the CRM is told, rendered once (C-7). The body is here, or in staging under `body_blob` when large.

    `undelivered`: no more attempts are made; `held`: only because the tenant's endpoint is off. `erased`: words and
    files of its mail are no longer kept.
    `failures`: how often an attempt failed in a way of ours, before the CRM was asked.
    """

    event_id: str
    type: str
    at: datetime
    message_id: str | None
    body: str | None
    body_blob: str | None
    due_at: datetime | None
    attempts: int = 0
    delivered_at: datetime | None = None
    undelivered: bool = False
    equal_refusals: int = 0
    last_status: int | None = None
    held: bool = False
    erased: bool = False
    failures: int = 0

    @property
    def ref(self) -> str:
        """What finds the event again: its time, which sorts, and its id."""
        return f"{stamp(self.at)}|{self.event_id}"


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


@dataclass(frozen=True, slots=True)
class Task:
    """Work that is due at a time. The row is the truth, a queue message only announces it (E-1).

    `attempts` are failures, `looks` those that found nothing yet: neither uses up the other's tries.
    """

    due_at: datetime
    kind: TaskKind
    ref: str
    attempts: int = 0
    since: datetime | None = None
    looks: int = 0
