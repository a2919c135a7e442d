"""The chores of the timers, each on its own: one that fails, or over which the process dies, keeps no other undone.

A death leaves no word. That ticks do not end is told by the watermark, which the last chore moves, at no cost; only
from then on it is written which chore a tick is at. Five deaths in a row, and the chore rests (E-28).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from shared.domain.errors import WorkersDied
from shared.domain.held import MOST_DEATHS
from shared.domain.retries import MOST_FAILURES, rest_given_up
from shared.services import Services
from shared.state.chores import FailingChore
from shared.state.due import WORK_TIMER
from shared.sync.mailbox.failures import attempt_apart
from shared.sync.silence import log_silent_queues
from shared.sync.tasks.enqueue_due_work import enqueue_due_renewals, enqueue_due_work, take_off_list
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
    "take_off_list": take_off_list,
}
OF_RENEWALS: Final[Mapping[str, Chore]] = {
    "enqueue_due_renewals": enqueue_due_renewals,
    "take_off_renewals": take_off_list,
}
# Without these nothing is done at all, and each mailbox in them is on its own already.
NEVER_REST: Final = ("enqueue_due_work", "enqueue_due_renewals", "take_off_list", "take_off_renewals")


@dataclass(frozen=True, slots=True)
class Done:
    """What one tick did: how many of what, by the fields of the log; by chore the class of the error it ended in."""

    counts: Counts
    errors: Mapping[str, str]


async def do_chores(s: Services, chores: Mapping[str, Chore]) -> Done:
    """Do each of them. Raises nothing that a chore raises: it is logged, counted, and kept for health to show."""
    counts: dict[str, int] = {}
    errors: dict[str, str] = {}
    failing = await attempt_apart(s.chores.failing)
    known = {} if isinstance(failing, Exception) else {chore.name: chore for chore in failing}
    for name, chore in chores.items():
        done = await attempt_apart(partial(_do, s, name, chore, known.get(name)))
        if isinstance(done, Exception):
            errors[name] = type(done).__name__
            log.error("chore.failed", work=name, error=errors[name])
        else:
            counts |= {field: counts.get(field, 0) + number for field, number in done.items()}
    if not isinstance(failing, Exception):  # where the store fails, the log says so
        await attempt_apart(partial(_note, s, [known[name] for name in chores if name in known], errors))
    return Done(counts, errors)


async def _do(s: Services, name: str, chore: Chore, known: FailingChore | None) -> Counts:
    """One chore; where ticks do not end, it is written before that it is at hand. Raises WorkersDied while it rests."""
    if name in NEVER_REST or not (s.due.is_behind(WORK_TIMER) or (known is not None and known.deaths)):
        return await chore(s)
    deaths = known.deaths if known is not None else 0
    if known is not None and deaths >= MOST_DEATHS:
        rest = rest_given_up(WorkersDied(), deaths - MOST_DEATHS + MOST_FAILURES)
        if s.clock.now() < known.tried_at + rest:
            raise WorkersDied
    await attempt_apart(partial(s.chores.begin, name, known))
    done = await attempt_apart(partial(chore, s))
    await attempt_apart(
        partial(s.chores.survive, name, known, type(done).__name__ if isinstance(done, Exception) else None)
    )
    if isinstance(done, Exception):
        raise done
    return done


async def _note(s: Services, before: list[FailingChore], errors: Mapping[str, str]) -> None:
    await note_recovery(s, [chore for chore in before if chore.name not in errors])
    await s.chores.note(before, errors)
