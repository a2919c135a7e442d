"""The one way to change a mailbox: read its rows, decide, write them with everything else in one transaction.

    changing = change(ctx, generation)
    async for tx in changing:
        tx.mailbox = replace(tx.mailbox, ...)
        tx.add(new(record), ...)
    if changing.committed: ...

The body runs once for each try. It commits when the loop asks for the next turn, so it may hold neither `return` nor
`break`: `tx.abandon()` says that nothing is to be written. A try that loses a race is repeated on rows read anew;
being fenced out (MailboxClosed) is final. Afterwards new tasks are enqueued, and new events are delivered once.

All that pass write one fence row. So the writers of a process take turns (`shared.turns`), and those of several
processes, of which one wins each race, wait the longer the more often they have lost.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Self

from shared.domain.errors import (
    MailboxClosed,
    OutcomeUnknown,
    PostbraidError,
    RaceLost,
    RowChanged,
    RowExists,
    RowMissing,
    StoreUnavailable,
)
from shared.domain.model import Event, FenceState, Mailbox, TaskKind
from shared.mailbox_context import MailboxContext
from shared.services import Services
from shared.state.codec import Stored
from shared.state.ledger import Change, Written
from shared.state.mailbox_rows import StoredMailbox
from shared.sync.events.deliver_event import deliver, deliver_event, may_tell_at_once
from shared.sync.queueing.jobs import enqueue
from shared.telemetry import log_unexpected

MAX_TRIES: Final = (
    48  # all of them take less than half a minute: a request waits as long, a finished draft as well
)
URGENT_TRIES: Final = 100
TRIES_FOR: Final = timedelta(seconds=60)  # the timers leave a bucket of due work two minutes after its end
SHORTEST_PAUSE_SECONDS: Final = 0.02
LONGEST_PAUSE_SECONDS: Final = 1.0
DELIVERED_AT_ONCE: Final = 1
LOST: Final = (RowChanged, RowExists, RowMissing)

Guard = Callable[[StoredMailbox | None], None]


@dataclass(slots=True)
class Transaction:
    """One try. `mailbox` is what the mailbox is to be, as read until the body says otherwise.

    `first`: no try was lost yet, so that rows which the job holds may still be good.
    """

    stored: StoredMailbox | None
    first: bool
    changes: list[Change] = field(default_factory=list)
    abandoned: bool = False
    rests_on_mailbox: bool = False
    enqueues: bool = True
    _mailbox: Mailbox | None = None

    @property
    def before(self) -> Mailbox | None:
        """The mailbox as it was read; None where it was never connected."""
        return self.stored.value if self.stored is not None else None

    @property
    def mailbox(self) -> Mailbox:
        """What the mailbox is to be."""
        assert self._mailbox is not None  # noqa: S101 - only `switch` begins without one, and sets it
        return self._mailbox

    @mailbox.setter
    def mailbox(self, value: Mailbox) -> None:
        self._mailbox = value

    def add(self, *changes: Change) -> None:
        """Write these rows in the same transaction: whatever lets something in or out is among them."""
        self.changes += changes

    def abandon(self) -> None:
        """Write nothing, and end the loop."""
        self.abandoned = True

    def rest_on_mailbox(self) -> None:
        """The decision rests on what the mailbox row says of sweep or subscription: it must stand as it was read."""
        self.rests_on_mailbox = True

    def leave_to_timer(self) -> None:
        """Enqueue nothing: the new tasks are far off, and usually done with before."""
        self.enqueues = False


class Changing:
    """The tries of one change. `committed`, `written` and `mailbox` say what came of it."""

    def __init__(
        self,
        ctx: MailboxContext,
        guard: Guard,
        *,
        as_read: bool = False,
        urgent: bool = False,
        most_tries: int = MAX_TRIES,
    ) -> None:
        self.committed = False
        self.written: Written | None = None
        self._ctx = ctx
        self._guard = guard
        self._as_read = as_read
        self._urgent = urgent
        self._most_tries = most_tries
        self._tries = 0
        self._began = ctx.now()
        self._turn = 0
        self._tx: Transaction | None = None

    def __del__(self) -> None:
        """A body that raised has left the loop, which is not told of it: the turn goes with it."""
        self._give_back()

    @property
    def mailbox(self) -> Mailbox:
        """The mailbox as it stands now."""
        assert self._ctx.mailbox is not None  # noqa: S101 - read by the first try
        return self._ctx.mailbox

    def __aiter__(self) -> AsyncIterator[Transaction]:
        return self

    async def __anext__(self) -> Transaction:
        try:
            follows = await self._commit(self._tx) if self._tx is not None else None
            if follows is None:
                self._tries += 1
                self._tx = await self._begin()
                return self._tx
        except BaseException:
            self._give_back()
            raise
        self._give_back()
        await follows()
        raise StopAsyncIteration

    async def _begin(self) -> Transaction:
        """What was read before somebody of this process wrote the fence has lost already, and is read anew."""
        ctx, is_first = self._ctx, self._tries == 1
        if is_first:
            self._turn = await ctx.turn.take(urgent=self._urgent)
        as_read = self._as_read and is_first and ctx.stored is not None
        is_overtaken = as_read and ctx.read_after != ctx.turn.commits
        if not as_read or is_overtaken:
            await ctx.read()
        self._guard(ctx.stored)
        return Transaction(ctx.stored, is_first and not is_overtaken, _mailbox=ctx.mailbox)

    def _give_back(self) -> None:
        self._ctx.turn.give_back(self._turn)

    async def _commit(self, tx: Transaction) -> Callable[[], Awaitable[None]] | None:
        """Commit what the body left; what follows is returned. None: a race was lost, and there are tries left.

        Raises RaceLost.
        """
        ctx = self._ctx
        if tx.abandoned:
            return _nothing_follows
        if not tx.changes and tx.before == tx.mailbox:
            self.committed = True
            return _nothing_follows
        try:
            done = await ctx.services.ledger.commit(
                ctx.ref, tx.stored, tx.mailbox, *tx.changes, marked=tx.rests_on_mailbox
            )
        except LOST as err:
            if self._tries >= self._most_tries or ctx.now() > self._began + TRIES_FOR:
                raise RaceLost from err
            await _wait_a_moment(ctx.services, self._tries, urgent=self._urgent)
            return None
        ctx.stored, self.committed, self.written = done.mailbox, True, done.written
        ctx.turn.commits += bool(tx.changes)
        ctx.read_after = ctx.turn.commits

        async def announce() -> None:
            await _announce(ctx, tx.changes, done.written, enqueues=tx.enqueues)

        return announce


def change(
    ctx: MailboxContext,
    generation: int | None = None,
    connection_id: str | None = None,
    *,
    as_read: bool = False,
) -> Changing:
    """Change an open mailbox, under the expected generation and connection where they are given.

    `as_read`: the first try takes the rows as the job has read them; for changes that the fence alone decides on.
    The loop raises MailboxClosed where the mailbox is closed or another connection's, RaceLost when all tries lost.
    """

    def guard(stored: StoredMailbox | None) -> None:
        if stored is None or stored.value.state is FenceState.CLOSED:
            raise MailboxClosed
        if generation is not None and generation != stored.value.generation:
            raise MailboxClosed
        if connection_id is not None and connection_id != stored.value.connection_id:
            raise MailboxClosed

    return Changing(ctx, guard, as_read=as_read)


def switch(ctx: MailboxContext, *, urgent: bool = False) -> Changing:
    """Open, close or take over a mailbox, whatever its fence says; `tx.before` is None where it was never connected.

    `urgent`: before every other writer, as a person's wish that nothing more pass is.
    """

    def guard(_: StoredMailbox | None) -> None:
        """Everything may be switched."""

    return Changing(ctx, guard, urgent=urgent, most_tries=URGENT_TRIES if urgent else MAX_TRIES)


async def write(ctx: MailboxContext, *changes: Change, enqueues: bool = True) -> Written:
    """Write what lets nothing in or out (attempts, ends of sends), without the fence.

    `enqueues`: whether new tasks are enqueued; not where they are far off, and usually done with before.
    Raises RowChanged, RowExists, RowMissing when somebody was faster, StoreUnavailable, OutcomeUnknown.
    """
    written = await ctx.services.ledger.write(ctx.ref, *changes)
    await _announce(ctx, changes, written, enqueues=enqueues)
    return written


async def _announce(
    ctx: MailboxContext, changes: Sequence[Change], written: Written, *, enqueues: bool
) -> None:
    """What follows a transaction: its tasks are enqueued, its new events delivered, the only place that does so.

    The rows are written. So a failed delivery is no failure of the change: the event's own task repeats it. Of several
    events the first is delivered here, so that who waits for the change waits for one call; the others are enqueued. So
    are all once this invocation has waited for the CRM long enough.
    """
    recorded = list(_new_events(changes, written))
    most = DELIVERED_AT_ONCE if recorded and may_tell_at_once(ctx) else 0
    events, others = recorded[:most], {event.value.ref for event in recorded[most:]}
    delivered = {event.value.ref for event in events}
    for task in written.tasks:
        if task.kind is TaskKind.DELIVER and task.ref in others:
            await enqueue(ctx, task, at_once=not ctx.services.endpoints.is_slow(ctx.ref.tenant_id, ctx.now()))
        elif enqueues and (task.kind is not TaskKind.DELIVER or task.ref not in delivered):
            await enqueue(ctx, task)
    for event in events:
        try:
            await (deliver_event(ctx, event.value.ref) if event.etag is None else deliver(ctx, event))
        except (StoreUnavailable, OutcomeUnknown):
            raise  # the queue repeats the job, which finds the change made
        except PostbraidError as err:
            log_unexpected(err)


def _new_events(changes: Sequence[Change], written: Written) -> Iterator[Stored[Event]]:
    """The events that a transaction recorded, as they were written where their ETags are known."""
    etags = written.etags or [None] * len(changes)
    for row, etag in zip(changes, etags, strict=True):
        if isinstance(row, Stored) and isinstance(row.value, Event) and row.etag is None:
            yield row if etag is None else row.written(etag)


class Races:
    """For rows of other tables: `async for race in races(s): with race: ...` repeats what lost a race.

    Raises RaceLost when all tries lost.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._tries = 0
        self._lost: Exception | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> AbstractContextManager[None]:
        if self._tries > 0 and self._lost is None:
            raise StopAsyncIteration
        if self._tries == MAX_TRIES:
            raise RaceLost from self._lost
        if self._tries > 0:
            await _wait_a_moment(self._services, self._tries)
        self._tries, self._lost = self._tries + 1, None
        return self._try()

    @contextmanager
    def _try(self) -> Iterator[None]:
        try:
            yield
        except LOST as err:
            self._lost = err


def races(services: Services) -> Races:
    """Tries of a change that others may make at the same time."""
    return Races(services)


async def _wait_a_moment(services: Services, lost: int, *, urgent: bool = False) -> None:
    """So that those who lost together do not meet again; the longer the more races were lost, up to a second."""
    longest = (
        SHORTEST_PAUSE_SECONDS if urgent else min(SHORTEST_PAUSE_SECONDS * 2**lost, LONGEST_PAUSE_SECONDS)
    )
    await services.sleep(longest * (0.1 + 0.9 * services.random.jitter()))


async def _nothing_follows() -> None:
    """Nothing was written."""
