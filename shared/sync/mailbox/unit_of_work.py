"""Passing the fence: load the gate, decide, write under it; when it changed meanwhile, decide anew."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from shared.domain.errors import MailboxClosed, RowChanged, Throttled
from shared.domain.model import FenceState, Mailbox, MailboxRef
from shared.services import Services
from shared.state.codec import Stored
from shared.state.ledger import Change

MAX_TRIES: Final = 8

Making = Callable[[Mailbox], Awaitable[tuple[Mailbox, Sequence[Change]] | None]]


async def through_gate(
    s: Services,
    mailbox: MailboxRef,
    generation: int | None,
    make: Making,
    connection_id: str | None = None,
) -> Mailbox | None:
    """Write what `make` returns while the gate is open with the expected generation (and connection, if known).

    `make` gets the gate as it stands and returns the gate to write and the changes beside it, or None to stop
    (then None is returned). Raises MailboxClosed; RowChanged after eight lost races; what `make` and the store raise.
    """
    for attempt in range(1, MAX_TRIES + 1):
        stored = await s.ledger.gate(mailbox)
        gate = _opened(stored, generation, connection_id)
        made = await make(gate)
        if made is None:
            return None
        value, changes = made
        try:
            assert stored is not None  # noqa: S101 - _opened has raised otherwise
            return (await s.ledger.pass_gate(mailbox, stored.changed(value), *changes)).value
        except RowChanged:
            if attempt == MAX_TRIES:
                raise
            await s.sleep(0.02 + 0.18 * s.random.jitter())
    raise RowChanged


def _opened(stored: Stored[Mailbox] | None, generation: int | None, connection_id: str | None) -> Mailbox:
    if stored is None or stored.value.state is FenceState.CLOSED:
        raise MailboxClosed
    if generation is not None and generation != stored.value.generation:
        raise MailboxClosed
    if connection_id is not None and connection_id != stored.value.connection_id:
        raise MailboxClosed
    return stored.value


def respect_pause(gate: Mailbox, now: datetime) -> None:
    """A worker that read a pause makes no call before its end. Raises Throttled for the rest of it."""
    if gate.paused_until is not None and gate.paused_until > now:
        raise Throttled((gate.paused_until - now).total_seconds())


async def pause(s: Services, mailbox: MailboxRef, seconds: float) -> None:
    """Write a 429's pause where every worker reads it; an earlier end never shortens a later one."""
    until = s.clock.now() + timedelta(seconds=seconds)

    async def make(gate: Mailbox) -> tuple[Mailbox, Sequence[Change]] | None:
        if gate.paused_until is not None and gate.paused_until >= until:
            return None
        return replace(gate, paused_until=until), ()

    try:
        await through_gate(s, mailbox, None, make)
    except MailboxClosed:
        return
