"""Queue messages: small, without secrets, never the truth (E-1). `{"v":1,"job":{…}}` avoids the host's names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec

from shared.domain.errors import MalformedBody, UnknownForm
from shared.domain.model import ChangeHint, Task, TaskKind
from shared.mailbox_context import MailboxContext
from shared.state import keys

VERSION: Final = 1
SOON_SECONDS: Final = 300.0
MOST_MESSAGES_AT_ONCE: Final = (
    3  # of one mailbox in one process: both of its calls to Graph are always under way
)
COMES_AGAIN_SECONDS: Final = 6
# Of these a mailbox may have thousands after a burst or an outage, and each calls Graph.
MANY_OF_A_MAILBOX: Final = frozenset({TaskKind.RETRY_IMPORT, TaskKind.LOOK_AGAIN})


@dataclass(frozen=True, slots=True)
class Changes:
    """Hints from one POST of Graph."""

    hints: tuple[ChangeHint, ...]


@dataclass(frozen=True, slots=True)
class TaskMessage:
    """A task of one mailbox is due."""

    tenant_id: str
    mailbox_id: str
    task: Task


J = TypeVar("J")

QUEUE_OF: Final = {
    TaskKind.SEND: keys.OUTBOX,
    TaskKind.DELIVER: keys.DELIVERIES,
    TaskKind.SWEEP: keys.MAINTENANCE,
    TaskKind.RENEW: keys.MAINTENANCE,
    TaskKind.RETRY_IMPORT: keys.MAINTENANCE,
    TaskKind.LOOK_AGAIN: keys.MAINTENANCE,
    TaskKind.ENQUEUE_WAITING: keys.MAINTENANCE,
    TaskKind.ERASE: keys.MAINTENANCE,
    TaskKind.CLOSE: keys.MAINTENANCE,
    TaskKind.AUDIT: keys.MAINTENANCE,
}


def encode_job(job: object) -> str:
    """The queue text of a job."""
    return msgspec.json.encode({"v": VERSION, "job": job}).decode()


def decode_job(kind: type[J], text: bytes | str) -> J:
    """The job in a queue text; members that this version does not know are passed over.

    Raises MalformedBody for what no version wrote, UnknownForm for what only a newer version reads.
    """
    envelope = read_envelope(text)
    try:
        if envelope["v"] <= VERSION:
            return msgspec.convert(envelope["job"], kind)
    except msgspec.ValidationError as err:
        if not _has_unknown_kind(envelope["job"]):
            raise MalformedBody from err
    raise UnknownForm


def read_envelope(text: bytes | str) -> dict[str, Any]:
    """What every version writes: a number `v` and an object `job`, perhaps with more beside. Raises MalformedBody."""
    try:
        envelope = msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError as err:
        raise MalformedBody from err
    if type(envelope.get("v")) is not int or not isinstance(envelope.get("job"), dict):
        raise MalformedBody
    return envelope


def _has_unknown_kind(job: Mapping[str, Any]) -> bool:
    task = job.get("task")
    kind = task.get("kind") if isinstance(task, dict) else None
    return isinstance(kind, str) and kind not in {known.value for known in TaskKind}


def split_changes(hints: tuple[ChangeHint, ...], limit_characters: int = 45_000) -> list[str]:
    """One message for a POST where it fits; base64 and the 64 KiB of a queue message set the limit (G-7)."""
    text = encode_job(Changes(hints))
    if len(text) <= limit_characters or len(hints) == 1:
        return [text]
    half = len(hints) // 2
    return split_changes(hints[:half], limit_characters) + split_changes(hints[half:], limit_characters)


async def enqueue(ctx: MailboxContext, task: Task, *, at_once: bool = False) -> None:
    """Announce work that is due now or within five minutes; its due row covers the rest, and any lost message."""
    delay = 0.0 if at_once else max(0.0, (task.due_at - ctx.now()).total_seconds())
    if delay > SOON_SECONDS:
        return
    message = TaskMessage(ctx.ref.tenant_id, ctx.ref.mailbox_id, task)
    queue = QUEUE_OF[task.kind]
    await ctx.services.queues.put(queue, encode_job(message), delay_seconds=int(delay + 0.999))


async def enqueue_all(ctx: MailboxContext, tasks: Iterable[Task]) -> None:
    """Announce each of these tasks."""
    for task in tasks:
        await enqueue(ctx, task)
