"""Poison messages expire after seven days; as dead-letter rows they stay until somebody looks (E-29)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Final

from shared.domain.errors import (
    MailboxClosed,
    MalformedBody,
    OutcomeUnknown,
    StoreUnavailable,
    UnknownForm,
)
from shared.domain.held import MOST_DEATHS
from shared.domain.ids import is_tenant_id
from shared.domain.model import ChangeHint
from shared.hashing import digest
from shared.mailbox_context import MailboxContext
from shared.services import Services
from shared.state import keys
from shared.state.dead_letters import DeadLetter
from shared.state.keys import mailbox_of_key
from shared.storage.api import QueueMessage
from shared.sync.inbound.deadly_mail import hold_deadly
from shared.sync.mailbox.failures import attempt_apart
from shared.sync.mailbox.subscriptions import sweep_now
from shared.sync.queueing.jobs import Changes, TaskMessage, decode_job
from shared.sync.queueing.put_back import is_given_up

VISIBILITY_SECONDS: Final = 60
MOST_A_QUEUE: Final = 32
MOST_TRIES: Final = 5 * 24 * 60  # one a minute
CRASHED: Final = "crashed_workers"
STORE_FAILS: Final = "store_fails"
HINTS: Final = "hints"


async def store_poison_messages(s: Services) -> dict[str, int]:
    """Drain every poison queue into the table of dead letters; returns how many messages of `poison` were stored.

    Raises what the last queue that failed raised, after the others were drained.
    """
    stored, failed = 0, None
    for queue in keys.QUEUES:
        done = await attempt_apart(partial(_drain, s, queue))
        if isinstance(done, Exception):
            failed = done
        else:
            stored += done
    if failed is not None:
        raise failed
    return {"poison": stored}


async def _drain(s: Services, queue: str) -> int:
    """Store each message on its own: one that cannot be dealt with now stays where it is, and holds up no other."""
    messages = await s.queues.receive(f"{queue}-poison", MOST_A_QUEUE, VISIBILITY_SECONDS)
    done = [await attempt_apart(partial(_store, s, queue, message)) for message in messages]
    failed = [error for error in done if error is not None]
    if failed:
        raise failed[-1]
    return len(messages)


async def _store(s: Services, queue: str, message: QueueMessage) -> None:
    """A failing store may be an outage, after which the mailbox is to be swept; any other trouble of its rows stays.

    A store that fails for days for this mailbox is waited for no longer: the poison queue forgets after a week.
    """
    swept = await attempt_apart(partial(_sweep_for_hints, s, queue, message.text))
    if isinstance(swept, StoreUnavailable | OutcomeUnknown) and message.dequeue_count < MOST_TRIES:
        raise swept
    cause = STORE_FAILS if is_given_up(message.text) else CRASHED
    letter = _describe(DeadLetter(queue, cause, s.clock.now()), message.text)
    await s.dead_letters.add(digest("poison", queue, message.id), letter, message.text)
    await s.queues.delete(f"{queue}-poison", message)


async def _sweep_for_hints(s: Services, queue: str, text: str) -> None:
    """A hint stands nowhere else: what it pointed at is found by a sweep, at once. A single one has its mail held.

    Where its store failed, no worker died: it is looked at soon.
    """
    hints: tuple[ChangeHint, ...] = ()
    if queue == keys.CHANGES:
        with suppress(MalformedBody, UnknownForm):
            hints = decode_job(Changes, text).hints
    single = hints[0].graph_message_id if len(hints) == 1 else None
    for owner in dict.fromkeys(mailbox_of_key(hint.mailbox_key) for hint in hints):
        if owner is None:
            continue
        with suppress(MailboxClosed):
            if single is not None:
                await hold_deadly(MailboxContext(s, owner), single, 1 if is_given_up(text) else MOST_DEATHS)
            await sweep_now(MailboxContext(s, owner))


def _describe(letter: DeadLetter, text: str) -> DeadLetter:
    """Whose work it was, where the message can be read and all of it is of one mailbox."""
    with suppress(MalformedBody, UnknownForm):
        job = decode_job(TaskMessage, text)
        return _owned(letter, job.tenant_id, job.mailbox_id, job.task.kind.value)
    with suppress(MalformedBody, UnknownForm):
        owners = {mailbox_of_key(hint.mailbox_key) for hint in decode_job(Changes, text).hints}
        owner = owners.pop() if len(owners) == 1 else None
        ids = (owner.tenant_id, owner.mailbox_id) if owner is not None else ("", "")
        return _owned(letter, *ids, HINTS)
    return letter


def _owned(letter: DeadLetter, tenant_id: str, mailbox_id: str, work: str) -> DeadLetter:
    if not is_tenant_id(tenant_id):
        return replace(letter, work=work)
    return replace(letter, tenant_id=tenant_id, mailbox_id=mailbox_id, work=work)
