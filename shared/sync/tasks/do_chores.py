"""The chores of the timers, each on its own: one that fails keeps no other from being done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from shared.services import Services
from shared.sync.mailbox.failures import attempt_apart
from shared.sync.silence import log_silent_queues
from shared.sync.tasks.enqueue_due_work import enqueue_due_renewals, enqueue_due_work
from shared.sync.tasks.erase_content import erase_ended, erase_ended_letters
from shared.sync.tasks.store_poison_messages import store_poison_messages
from shared.sync.tasks.sweep_after_outage import note_recovery, sweep_after_outage
from shared.telemetry import log

Counts = Mapping[str, int]
Chore = Callable[[Services], Awaitable[Counts]]

EACH_MINUTE: Final[Mapping[str, Chore]] = {
    "enqueue_due_work": enqueue_due_work,
    "sweep_after_outage": sweep_after_outage,
    "store_poison_messages": store_poison_messages,
    "erase_ended": erase_ended,
    "erase_ended_letters": erase_ended_letters,
    "log_silent_queues": log_silent_queues,
}
OF_RENEWALS: Final[Mapping[str, Chore]] = {"enqueue_due_renewals": enqueue_due_renewals}


@dataclass(frozen=True, slots=True)
class Done:
    """What one tick did: how many of what, by the fields of the log; by chore the class of the error it ended in."""

    counts: Counts
    errors: Mapping[str, str]


async def do_chores(s: Services, chores: Mapping[str, Chore]) -> Done:
    """Do each of them. Raises nothing that a chore raises: it is logged, counted, and kept for health to show."""
    counts: dict[str, int] = {}
    errors: dict[str, str] = {}
    for name, chore in chores.items():
        done = await attempt_apart(partial(chore, s))
        if isinstance(done, Exception):
            errors[name] = type(done).__name__
            log.error("chore.failed", work=name, error=errors[name])
        else:
            counts |= {field: counts.get(field, 0) + number for field, number in done.items()}
    await attempt_apart(partial(_note, s, chores, errors))  # where the store fails, the log says so
    return Done(counts, errors)


async def _note(s: Services, chores: Mapping[str, Chore], errors: Mapping[str, str]) -> None:
    before = [chore for chore in await s.chores.failing() if chore.name in chores]
    await note_recovery(s, [chore for chore in before if chore.name not in errors])
    await s.chores.note(before, errors)
