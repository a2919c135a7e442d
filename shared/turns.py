"""The writers of one process take turns at a mailbox, instead of losing races for its fence to each other.

How many messages it works on for a mailbox is counted too, so that one with a backlog leaves room for the others.

A courtesy, never a guard: that is the fence row's ETag, for other processes know nothing of these turns. So nobody
waits long, and who was left waiting goes without.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final
from weakref import WeakValueDictionary

from shared.domain.model import MailboxRef

LONGEST_WAIT_SECONDS: Final = 10.0


@dataclass(slots=True, eq=False, weakref_slot=True)
class Turn:
    """Whose turn it is at one mailbox. `commits`: how often this process has written the fence.

    A task that takes the turn again while it has it keeps it: what it had begun before was left by an error.
    """

    commits: int = 0
    _number: int = 0
    _taken: bool = False
    _holder: asyncio.Task[object] | None = None
    _waiting: deque[asyncio.Future[None]] = field(default_factory=deque)

    async def take(self, *, urgent: bool = False) -> int:
        """Wait for the turn; the number to give it back with, 0 where it did not come in time.

        `urgent`: before all others that wait.
        """
        task = asyncio.current_task()
        if self._taken and self._holder is not task and not await self._wait(urgent=urgent):
            return 0
        self._number += 1
        self._taken, self._holder = True, task
        return self._number

    def give_back(self, number: int) -> None:
        """Let the next have it; nothing where it was given back, or taken anew, meanwhile."""
        if not self._taken or number != self._number:
            return
        self._taken, self._holder = False, None
        self._number += 1
        self._call_next()

    def _call_next(self) -> None:
        while self._waiting:
            called = self._waiting.popleft()
            if not called.done():
                self._taken = True  # nobody comes between the call and whoever was called
                called.set_result(None)
                return

    async def _wait(self, *, urgent: bool) -> bool:
        called: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if urgent:
            self._waiting.appendleft(called)
        else:
            self._waiting.append(called)
        try:
            async with asyncio.timeout(LONGEST_WAIT_SECONDS):
                await called
        except TimeoutError:
            self._pass_on(called)
            return False
        except asyncio.CancelledError:
            self._pass_on(called)
            raise
        return True

    def _pass_on(self, called: asyncio.Future[None]) -> None:
        """Whoever was called just when he had gone leaves the turn to the next."""
        if called.done() and not called.cancelled():
            self._taken = False
            self._call_next()


class Turns:
    """The turns of one process. A turn lives as long as a job that works at its mailbox."""

    def __init__(self) -> None:
        self._turns: WeakValueDictionary[MailboxRef, Turn] = WeakValueDictionary()
        self._at_work: Counter[str] = Counter()

    def of(self, mailbox: MailboxRef) -> Turn:
        """The turn at that mailbox, the same for all jobs of this process."""
        found = self._turns.get(mailbox)
        if found is None:
            self._turns[mailbox] = found = Turn()
        return found

    @contextmanager
    def at_work(self, mailbox: str) -> Iterator[int]:
        """One more message of that mailbox, whatever it is named by, is worked on; how many were already."""
        others = self._at_work[mailbox]
        self._at_work[mailbox] += 1
        try:
            yield others
        finally:
            self._at_work[mailbox] -= 1
            if not self._at_work[mailbox]:
                del self._at_work[mailbox]
