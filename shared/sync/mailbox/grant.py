"""A consent that works again: the gap is swept, the subscription looked after, and all parked work woken (R9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from shared.domain.connection import proves_alive
from shared.domain.errors import MailboxClosed, RowChanged, RowMissing
from shared.domain.model import Mailbox, MailboxRef, Right, Task, TaskKind
from shared.services import Services
from shared.state.ledger import Change, Erase, new
from shared.sync.events.announce import connection_event
from shared.sync.mailbox.unit_of_work import through_gate
from shared.sync.queueing.jobs import enqueue, moved

# Deliveries wait for the CRM, not for the mailbox.
WAITING: Final = (TaskKind.SEND, TaskKind.SWEEP, TaskKind.RENEW, TaskKind.RETRY_IMPORT)
PAGE: Final = 100
EVER: Final = timedelta(days=400)


def revived(s: Services, gate: Mailbox) -> tuple[Mailbox, list[Change], Task]:
    """The gate with a living consent, the changes that belong to it, and the task to ring for when they stand.

    Waking is work of its own with its own row, so that a crash forgets nobody. A dead grant may have cost the
    subscription too (Graph drops it with the token), hence the renewal.
    """
    now = s.clock.now()
    wake = Task(now, TaskKind.WAKE, s.random.token(6))
    sweep_at = now if gate.sweep_at is not None else None
    renew_at = now if gate.renew_at is not None else None
    value = replace(
        gate,
        grant_dead=False,
        denied_by_graph=False,
        denied_right=None,
        revived_at=now,
        sweep_at=sweep_at,
        renew_at=renew_at,
    )
    changes = [
        new(wake),
        *moved(TaskKind.SWEEP, "", gate.sweep_at, sweep_at),
        *moved(TaskKind.RENEW, "", gate.renew_at, renew_at),
    ]
    return value, changes, wake


async def note_grant_alive(
    s: Services, mailbox: MailboxRef, connection_id: str, used: Right | None = None
) -> None:
    """A refresh, or a call that `used` this right, has just worked: a gate that says otherwise is set right."""
    wake: Task | None = None

    async def make(gate: Mailbox) -> tuple[Mailbox, Sequence[Change]] | None:
        nonlocal wake
        if not proves_alive(gate, used):
            return None
        connection = await s.connections.get(mailbox.tenant_id, gate.user_id, connection_id)
        if connection is None:
            return None
        value, changes, wake = revived(s, gate)
        return value, [*changes, *connection_event(s, mailbox, connection.value, value).changes]

    try:
        passed = await through_gate(s, mailbox, None, make, connection_id)
    except (MailboxClosed, RowChanged):
        return  # the next refresh, or sweep, says it again
    if passed is not None and wake is not None:
        await enqueue(s, mailbox, wake)


async def enqueue_waiting(s: Services, mailbox: MailboxRef, wake: Task) -> None:
    """Ring for all that was parked; what is rung twice is done once."""
    for task in await _waiting(s, mailbox):
        await enqueue(s, mailbox, task, at_once=True)
    try:
        await s.ledger.write(mailbox, Erase(wake))
    except RowMissing:
        return


async def _waiting(s: Services, mailbox: MailboxRef) -> list[Task]:
    """Read whole before the first ring: work that fails anew moves back in the list, and would be met again."""
    found: list[Task] = []
    after: Task | None = None
    while page := await s.ledger.tasks(mailbox, s.clock.now() + EVER, PAGE, after):
        found += [one.value for one in page if one.value.kind in WAITING]
        after = page[-1].value
    return found
