"""Poison messages expire after seven days; as dead-letter rows they stay until somebody looks (E-29)."""

from __future__ import annotations

from typing import Final

from shared.hashing import digest
from shared.services import Services
from shared.state import keys
from shared.state.dead_letters import DeadLetter

VISIBILITY_SECONDS: Final = 60
MOST_A_QUEUE: Final = 32


async def store_poison_messages(s: Services) -> int:
    """Drain every poison queue into the table of dead letters; returns how many."""
    stored = 0
    for queue in keys.QUEUES:
        for message in await s.queues.receive(f"{queue}-poison", MOST_A_QUEUE, VISIBILITY_SECONDS):
            letter = DeadLetter(queue, message.text, "crashed_workers", s.clock.now())
            await s.dead_letters.add(digest("poison", queue, message.id), letter)
            await s.queues.delete(f"{queue}-poison", message)
            stored += 1
    return stored
