"""Queue messages: small, without secrets, never the truth (E-1). `{"v":1,"job":{…}}` avoids the host's names."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

import msgspec

from shared.domain.errors import MalformedBody
from shared.domain.model import ChangeHint, MailboxRef, Task, TaskKind
from shared.services import Services
from shared.state import keys
from shared.state.ledger import Change, Erase, new

VERSION: Final = 1
SOON_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class Changes:
    """Hints from one POST of Graph."""

    hints: tuple[ChangeHint, ...]


@dataclass(frozen=True, slots=True)
class TaskMessage:
    """Due work of one mailbox: what a task row says."""

    tenant_id: str
    mailbox_id: str
    kind: TaskKind
    ref: str
    due_at: datetime | None = None
    attempts: int = 0
    since: datetime | None = None
    looks: int = 0

    @property
    def mailbox(self) -> MailboxRef:
        """Whose work it is."""
        return MailboxRef(self.tenant_id, self.mailbox_id)


J = TypeVar("J")

QUEUE_OF: Final = {
    TaskKind.SEND: keys.OUTBOX,
    TaskKind.DELIVER: keys.DELIVERIES,
    TaskKind.SWEEP: keys.MAINTENANCE,
    TaskKind.RENEW: keys.MAINTENANCE,
    TaskKind.RETRY_IMPORT: keys.MAINTENANCE,
    TaskKind.WAKE: keys.MAINTENANCE,
    TaskKind.ERASE: keys.MAINTENANCE,
}


def encode_job(job: object) -> str:
    """The queue text of a job."""
    return msgspec.json.encode({"v": VERSION, "job": job}).decode()


def decode_job(kind: type[J], text: bytes | str) -> J:
    """The job in a queue text. Raises MalformedBody."""
    try:
        envelope = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
        return msgspec.json.decode(envelope["job"], type=kind)
    except (msgspec.DecodeError, KeyError) as err:
        raise MalformedBody from err


def split_changes(hints: tuple[ChangeHint, ...], limit_characters: int = 45_000) -> list[str]:
    """One message for a POST where it fits; base64 and the 64 KiB of a queue message set the limit (G-7)."""
    text = encode_job(Changes(hints))
    if len(text) <= limit_characters or len(hints) == 1:
        return [text]
    half = len(hints) // 2
    return split_changes(hints[:half], limit_characters) + split_changes(hints[half:], limit_characters)


async def enqueue(s: Services, mailbox: MailboxRef, task: Task, *, at_once: bool = False) -> None:
    """Ring for work that is due now or within five minutes; the due row covers the rest and any lost ring."""
    delay = 0.0 if at_once else max(0.0, (task.due_at - s.clock.now()).total_seconds())
    if delay > SOON_SECONDS:
        return
    job = TaskMessage(
        mailbox.tenant_id,
        mailbox.mailbox_id,
        task.kind,
        task.ref,
        task.due_at,
        task.attempts,
        task.since,
        task.looks,
    )
    await s.queues.put(QUEUE_OF[task.kind], encode_job(job), delay_seconds=int(delay + 0.999))


def moved(
    kind: TaskKind, ref: str, old: datetime | None, due_at: datetime | None, attempts: int = 0
) -> list[Change]:
    """The changes that move a task from one time to another, beside the row that names its time.

    A time of None: there was none, or will be none.
    """
    if old == due_at:
        return []
    erase: list[Change] = [Erase(Task(old, kind, ref))] if old is not None else []
    return erase + ([new(Task(due_at, kind, ref, attempts))] if due_at is not None else [])
