"""Table names, partition keys and row keys: built and parsed here and nowhere else; pure.

Ids from outside are hashed (case-sensitively) before they reach a key, because Table keys forbid some characters
and because keys show up in logs of the platform. Tenant and mailbox ids are ours and stand as they are.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from shared.domain import stamps
from shared.domain.message_ids import normal_message_id
from shared.domain.model import (
    Activity,
    ConversationLink,
    Event,
    MailboxRef,
    MessageIndex,
    MessageRecord,
    OutboxItem,
    Seen,
    Task,
    TaskKind,
    Thread,
    ThreadMessage,
)
from shared.hashing import digest

CONNECTIONS: Final = "Connections"
MAILBOX: Final = "Mailbox"
CLAIMS: Final = "Claims"
DUE: Final = "Due"
SESSIONS: Final = "Sessions"
TENANTS: Final = "Tenants"
DEAD_LETTERS: Final = "DeadLetters"
SUBSCRIPTIONS: Final = "Subscriptions"
TABLES: Final = (CONNECTIONS, MAILBOX, CLAIMS, DUE, SESSIONS, TENANTS, DEAD_LETTERS, SUBSCRIPTIONS)

STAGING: Final = "staging"
CONTAINERS: Final = (STAGING,)

CHANGES: Final = "changes"
OUTBOX: Final = "outbox"
DELIVERIES: Final = "deliveries"
MAINTENANCE: Final = "maintenance"
QUEUES: Final = (CHANGES, OUTBOX, DELIVERIES, MAINTENANCE)

MAILBOX_ROW: Final = "mailbox"
FENCE_PREFIX: Final = "fence:"
ACTIVITY_PREFIX: Final = "act:"
TASK_PREFIX: Final = "task:"
BUCKET: Final = timedelta(minutes=5)
DUE_SHARDS: Final = 1
_ENDS: Final = "ends|"

stamp: Final = stamps.stamp
time_of_stamp: Final = stamps.time_of_stamp

Record = (
    Thread
    | ThreadMessage
    | ConversationLink
    | MessageIndex
    | Seen
    | OutboxItem
    | Event
    | Activity
    | Task
    | MessageRecord
)


def mailbox_partition(mailbox: MailboxRef) -> str:
    """The partition that one transaction can change together (E-5)."""
    return f"{mailbox.tenant_id}|{mailbox.mailbox_id}"


def mailbox_in(partition: str) -> MailboxRef | None:
    """The inverse of mailbox_partition, for text that may be anything: None where it names no mailbox."""
    tenant_id, found, mailbox_id = partition.partition("|")
    is_one = found and tenant_id and mailbox_id and "|" not in mailbox_id
    return MailboxRef(tenant_id, mailbox_id) if is_one else None


def mailbox_key(mailbox: MailboxRef) -> str:
    """The name of a mailbox inside a clientState: opaque to Graph."""
    return f"{mailbox.tenant_id.removeprefix('ten_')}-{mailbox.mailbox_id.removeprefix('mbx_')}"


def mailbox_of_key(key: str) -> MailboxRef | None:
    """The inverse of mailbox_key; None for anything else."""
    tenant, _, mailbox = key.partition("-")
    return MailboxRef(f"ten_{tenant}", f"mbx_{mailbox}") if tenant and mailbox else None


def fence_row(number: int) -> str:
    """Row of one of a mailbox's fence rows; together with the mailbox row they are one range of keys."""
    return f"{FENCE_PREFIX}{number:02d}"


def user_partition(tenant_id: str, user_id: str) -> str:
    """All connections of one CRM user."""
    return f"{tenant_id}|{digest('user', user_id)}"


def conversation_prefix(conversation_id: str) -> str:
    """Two threads may share a conversation_id, so this is read as a range."""
    return f"conv:{digest('conversation', conversation_id)}|"


def task_row(due_at: datetime, kind: TaskKind, ref: str) -> str:
    """Due work sorts by time; the same work at the same time is one row."""
    return f"{TASK_PREFIX}{stamp(due_at)}|{kind.value}|{digest('task', ref)}"


def thread_row(thread_id: str) -> str:
    """Row of a thread."""
    return f"thread:{thread_id}"


def thread_message_row(thread_id: str, at: datetime, message_id: str) -> str:
    """Row of a message of a thread: they sort by time."""
    return f"{thread_messages_prefix(thread_id)}{stamp(at)}|{message_id}"


def thread_messages_prefix(thread_id: str) -> str:
    """The rows of all messages of a thread are a range."""
    return f"thread_message:{thread_id}|"


def row_by_identity(kind: type, identity: str) -> str:
    """The row of a record known by its natural id."""
    match kind.__name__:
        case "Thread":
            return thread_row(identity)
        case "MessageIndex":
            return f"msgid:{digest('msgid', normal_message_id(identity))}"
        case "Seen":
            return f"seen:{digest('seen', identity)}"
        case "OutboxItem":
            return f"out:{identity}"
        case "Event":
            return f"event:{identity}"
        case "MessageRecord":
            return f"msg:{identity}"
        case name:
            msg = f"{name} is not looked up by one id"
            raise TypeError(msg)


def row_of(record: Record) -> str:  # noqa: C901, PLR0911 - a table, one line for each kind
    """The row a record lies in."""
    match record:
        case Thread():
            return thread_row(record.thread_id)
        case ThreadMessage():
            return thread_message_row(record.thread_id, record.at, record.message_id)
        case ConversationLink():
            return conversation_prefix(record.conversation_id) + record.thread_id
        case MessageIndex():
            return row_by_identity(MessageIndex, record.internet_message_id)
        case Seen():
            return row_by_identity(Seen, record.graph_message_id)
        case OutboxItem():
            return row_by_identity(OutboxItem, record.key)
        case Event():
            return row_by_identity(Event, record.ref)
        case MessageRecord():
            return row_by_identity(MessageRecord, record.message_id)
        case Activity():
            return f"{ACTIVITY_PREFIX}{stamp(record.at)}|{record.activity_id}"
        case Task():
            return task_row(record.due_at, record.kind, record.ref)


def bucket_of(at: datetime) -> int:
    """The number of the 5-minute bucket a time falls in."""
    return int(at.timestamp() // BUCKET.total_seconds())


def start_of(bucket: int) -> datetime:
    """When a bucket begins."""
    return datetime.fromtimestamp(bucket * BUCKET.total_seconds(), UTC)


def due_partition(timer: str, bucket: int, shard: int) -> str:
    """Where the mailboxes with work due in a bucket are noted."""
    return f"{timer}|{bucket:012d}|{shard:02d}"


def due_place_in(partition: str) -> tuple[int, int] | None:
    """Bucket and shard of a partition that due_partition made; None for anything else."""
    _, _, rest = partition.partition("|")
    bucket, _, shard = rest.partition("|")
    return (int(bucket), int(shard)) if bucket.isdecimal() and shard.isdecimal() else None


def ends_partition(end: datetime) -> str:
    """Where it is noted which dead letters end on that day."""
    return f"{_ENDS}{end.astimezone(UTC):%Y%m%d}"


def is_ends_partition(partition: str) -> bool:
    """Whether a partition holds such notes."""
    return partition.startswith(_ENDS)


def ends_before(now: datetime) -> tuple[str, str]:
    """The range of those partitions whose day is over."""
    return _ENDS, ends_partition(now)


def shard_of(mailbox: MailboxRef) -> int:
    """Which shard notes a mailbox."""
    return int(digest("shard", mailbox.mailbox_id), 36) % DUE_SHARDS


def after_prefix(prefix: str) -> str:
    """The end of the range of all keys with this prefix."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)
