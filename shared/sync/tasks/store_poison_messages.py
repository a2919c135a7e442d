"""Poison messages expire after seven days; as dead-letter rows they stay until somebody looks (E-29)."""

from __future__ import annotations

from functools import partial
from typing import Final

from shared.hashing import digest
from shared.services import Services
from shared.state import keys
from shared.state.dead_letters import DeadLetter
from shared.sync.mailbox.failures import attempt_apart

VISIBILITY_SECONDS: Final = 60
MOST_A_QUEUE: Final = 32


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
    messages = await s.queues.receive(f"{queue}-poison", MOST_A_QUEUE, VISIBILITY_SECONDS)
    for message in messages:
        letter = DeadLetter(queue, message.text, "crashed_workers", s.clock.now())
        await s.dead_letters.add(digest("poison", queue, message.id), letter)
        await s.queues.delete(f"{queue}-poison", message)
    return len(messages)
