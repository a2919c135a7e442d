"""For operators' commands: what is still to be done of a dead letter, judged by the rows of its work."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from shared.domain.errors import KeyUnavailable, MalformedBody, NotFound, SealBroken, UnknownForm
from shared.domain.model import (
    Event,
    FenceState,
    Mailbox,
    MailboxRef,
    OutboxItem,
    Phase,
    Seen,
    Task,
    TaskKind,
)
from shared.services import Services
from shared.state.dead_letters import KeptLetter
from shared.state.keys import mailbox_of_key
from shared.sync.events.endpoint import ENDPOINT
from shared.sync.inbound.list_changes import LISTED_ROW
from shared.sync.mailbox.grant import EVER
from shared.sync.operators.dead_letters import describe_letter, find_concerned
from shared.sync.queueing.jobs import Changes, TaskMessage, decode_job


class State(StrEnum):
    """How a dead letter stands: `open` is what a replay would make due, of `ended` nothing can be done any more."""

    OPEN = "open"
    DONE = "done"
    ENDED = "ended"
    REPLAYED = "replayed"


async def list_letter(s: Services, kept: KeptLetter) -> dict[str, Any]:
    """What the list shows of it: how it stands, and which message or event it is about."""
    concerned = await find_concerned(s, kept) or {}
    named = {name: concerned.get(name) for name in ("message_id", "event_id")}
    return {**describe_letter(kept), **named, "state": (await judge_letter(s, kept)).value}


async def judge_letter(s: Services, kept: KeptLetter) -> State:
    """How it stands now. What nobody can tell is open."""
    if kept.letter.is_replayed:
        return State.REPLAYED
    try:
        return await _judge(s, kept)
    except (MalformedBody, SealBroken, ValueError):
        return State.ENDED
    except (UnknownForm, KeyUnavailable):
        return State.OPEN


async def _judge(s: Services, kept: KeptLetter) -> State:
    letter = kept.letter
    if letter.work == ENDPOINT:
        return await _judge_endpoint(s, letter.tenant_id)
    if letter.work == LISTED_ROW:
        mailbox = await _mailbox(s, MailboxRef(letter.tenant_id, letter.mailbox_id))
        return State.OPEN if mailbox is not None else State.ENDED
    payload = await s.dead_letters.payload_of(kept)
    try:
        job = decode_job(TaskMessage, payload)
    except (MalformedBody, UnknownForm):
        hints = decode_job(Changes, payload).hints
        refs = {ref for hint in hints if (ref := mailbox_of_key(hint.mailbox_key)) is not None}
        swept = [await _is_swept(s, ref, letter.at) for ref in refs]
        return State.DONE if all(swept) else State.OPEN
    return await _judge_task(s, MailboxRef(job.tenant_id, job.mailbox_id), job.task, letter.at)


async def _judge_endpoint(s: Services, tenant_id: str) -> State:
    try:
        tenant = (await s.tenants.get(tenant_id)).value
    except NotFound:
        return State.ENDED
    return State.DONE if tenant.endpoint_off_at is None else State.OPEN


async def _judge_task(s: Services, ref: MailboxRef, task: Task, at: datetime) -> State:
    match task.kind:
        case TaskKind.SEND:
            return await _judge_send(s, ref, task.ref)
        case TaskKind.DELIVER:
            event = await s.ledger.find(ref, Event, task.ref)
            if event is None or event.value.delivered_at is not None:
                return State.DONE
            return State.ENDED if event.value.erased else State.OPEN
        case TaskKind.LOOK_AGAIN | TaskKind.RETRY_IMPORT:
            seen = await s.ledger.find(ref, Seen, task.ref)
            return State.DONE if seen is None or seen.value.held is None else State.OPEN
        case TaskKind.SWEEP | TaskKind.RENEW | TaskKind.AUDIT:
            return await _judge_upkeep(s, ref, task.kind, at)
        case _:
            standing = await s.ledger.tasks(ref, s.clock.now() + EVER, None)
            return State.OPEN if any(row.value.kind is task.kind for row in standing) else State.DONE


async def _judge_send(s: Services, ref: MailboxRef, key: str) -> State:
    item = await s.ledger.find(ref, OutboxItem, key)
    if item is None or item.value.phase is Phase.SENT:
        return State.DONE
    return State.ENDED if item.value.phase.final else State.OPEN


async def _judge_upkeep(s: Services, ref: MailboxRef, kind: TaskKind, at: datetime) -> State:
    """It comes again by itself: done is what has gone well since."""
    mailbox = await _mailbox(s, ref)
    if mailbox is None:
        return State.DONE
    match kind:
        case TaskKind.SWEEP:
            return State.DONE if await _is_swept(s, ref, at) else State.OPEN
        case TaskKind.RENEW:
            return State.OPEN if mailbox.renew_failures else State.DONE
        case _:
            ended_at = mailbox.audited.ended_at if mailbox.audited is not None else None
            return State.DONE if ended_at is not None and ended_at > at else State.OPEN


async def _is_swept(s: Services, ref: MailboxRef, at: datetime) -> bool:
    """Whether a sweep has gone well since; of a mailbox that is closed nothing is swept any more."""
    mailbox = await _mailbox(s, ref)
    if mailbox is None:
        return True
    failing = mailbox.sweep_failures or mailbox.sweep_deaths
    return mailbox.sweep_cursor is not None and mailbox.sweep_cursor > at and not failing


async def _mailbox(s: Services, ref: MailboxRef) -> Mailbox | None:
    stored = await s.ledger.mailbox(ref)
    return stored.value if stored is not None and stored.value.state is not FenceState.CLOSED else None
