"""Queue messages: small, without secrets, never the truth (E-1). `{"v":1,"job":{…}}` avoids the host's names."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

import msgspec

from shared.domain.errors import MalformedBody
from shared.domain.model import ChangeHint, MailboxRef, Todo, Work
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
class WorkJob:
    """Due work of one mailbox: what a todo row says."""

    tenant_id: str
    mailbox_id: str
    work: Work
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
    Work.SEND: keys.OUTBOX,
    Work.DELIVER: keys.DELIVERIES,
    Work.SWEEP: keys.CARE,
    Work.RENEW: keys.CARE,
    Work.RETRY_IMPORT: keys.CARE,
    Work.WAKE: keys.CARE,
    Work.ERASE: keys.CARE,
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


async def ring(s: Services, mailbox: MailboxRef, todo: Todo, *, at_once: bool = False) -> None:
    """Ring for work that is due now or within five minutes; the due row covers the rest and any lost ring."""
    delay = 0.0 if at_once else max(0.0, (todo.due_at - s.clock.now()).total_seconds())
    if delay > SOON_SECONDS:
        return
    job = WorkJob(
        mailbox.tenant_id,
        mailbox.mailbox_id,
        todo.work,
        todo.ref,
        todo.due_at,
        todo.attempts,
        todo.since,
        todo.looks,
    )
    await s.queues.put(QUEUE_OF[todo.work], encode_job(job), delay_seconds=int(delay + 0.999))


def moved(
    work: Work, ref: str, old: datetime | None, due_at: datetime | None, attempts: int = 0
) -> list[Change]:
    """The changes that move a todo from one time to another, beside the row that names its time.

    A time of None: there was none, or will be none.
    """
    if old == due_at:
        return []
    erase: list[Change] = [Erase(Todo(old, work, ref))] if old is not None else []
    return erase + ([new(Todo(due_at, work, ref, attempts))] if due_at is not None else [])
