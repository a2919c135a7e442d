"""What a job works with: one mailbox, and all that may be reached for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from shared.domain.model import Mailbox, MailboxRef
from shared.ports import Access
from shared.services import Services
from shared.state.codec import Stored
from shared.state.mailbox_rows import StoredMailbox
from shared.turns import Turn

R = TypeVar("R")


@dataclass(slots=True)
class MailboxContext:
    """One mailbox for the length of one job: where its rows lie, the rows as last read, the access that was opened.

    `stored` is None before the first read and where the mailbox was never connected. `claimed_build`: the number of the
    build of a send that this job has claimed. `turn`: this process's writers take turns at the mailbox; `read_after`
    counts those that had written the fence by the time of the read.
    """

    services: Services
    ref: MailboxRef
    stored: StoredMailbox | None = None
    access: Access | None = field(default=None, repr=False)
    claimed_build: int | None = None
    turn: Turn = field(init=False, repr=False)
    read_after: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.turn = self.services.turns.of(self.ref)

    @property
    def mailbox(self) -> Mailbox | None:
        """The mailbox as last read."""
        return self.stored.value if self.stored is not None else None

    async def read(self) -> Mailbox | None:
        """Read the mailbox's rows anew. Raises StoreUnavailable."""
        self.read_after = self.turn.commits
        self.stored = await self.services.ledger.mailbox(self.ref)
        return self.mailbox

    async def find(self, kind: type[R], identity: str) -> Stored[R] | None:
        """One record of the mailbox by its natural id (see `Ledger.find`)."""
        return await self.services.ledger.find(self.ref, kind, identity)

    def now(self) -> datetime:
        """Aware UTC."""
        return self.services.clock.now()

    def graph_now(self) -> datetime:
        """Aware UTC, by Graph's clock: what times of mails are compared with."""
        return self.by_graph(self.now())

    def by_graph(self, at: datetime) -> datetime:
        """A time of ours by Graph's clock, as answers in this process tell it, or as the last sweep noted."""
        noted = self.mailbox.graph_ahead_seconds if self.mailbox is not None else 0
        return at + self.services.graph_clock.ahead_or(timedelta(seconds=noted))
