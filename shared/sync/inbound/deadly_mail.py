"""Mail over which workers die: found out, held after five deaths, and passed by, so that the rest comes in (E-30).

A death leaves no word. A hint that comes again, and the lease of a sweep that ran out, say that there was one, at no
cost; only from then on it is written which mail a worker is at.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from shared.domain.errors import RowChanged, RowExists, RowMissing
from shared.domain.held import MOST_DEATHS, died, first_held
from shared.domain.model import Mailbox, Outline, Reason, Seen
from shared.mailbox_context import MailboxContext
from shared.state.codec import Stored
from shared.state.ledger import Change, new
from shared.sync.events.announce import activity
from shared.sync.mailbox.unit_of_work import change, write
from shared.telemetry import log


async def hold_deadly(ctx: MailboxContext, graph_message_id: str, deaths: int, *with_it: Change) -> None:
    """Hold a mail over which so many workers died; nothing where it was decided on. Nobody knows whose it is.

    `with_it` is written in the same transaction. Raises StoreUnavailable, OutcomeUnknown.
    """
    mailbox, now = await ctx.read(), ctx.now()
    stored = await ctx.find(Seen, graph_message_id)
    if mailbox is None or (stored is not None and stored.value.held is None):
        if with_it:
            with suppress(RowMissing):
                await write(ctx, *with_it)
        return
    before = stored.value.held if stored is not None else None
    held = died(before or first_held(now, mailbox.generation), deaths, now)
    log.error("mail.deadly", mailbox=ctx.ref.mailbox_id, graph_message_id=graph_message_id)
    rows: list[Change] = [activity(ctx, "held", None, None, Reason.MESSAGE_UNREADABLE)]
    if stored is None:
        rows.append(new(Seen(graph_message_id, "", "", Reason.MESSAGE_UNREADABLE, now, held)))
    else:
        rows.append(stored.changed(replace(stored.value, held=held)))
    with suppress(RowChanged, RowExists, RowMissing):
        # Loses to whoever has decided on it.
        await write(ctx, *rows, *with_it)


async def begin_look(ctx: MailboxContext, stored: Stored[Seen], *, again: bool) -> Stored[Seen] | None:
    """The row to look with; None where another worker has it. A look after a death is written before it is made.

    So it kills once, whoever is called for the same look. A look that is survived takes the count back.
    """
    held = stored.value.held
    if held is None or not (again or held.deaths):
        return stored
    counted = stored.changed(replace(stored.value, held=died(held, held.deaths + 1, ctx.now())))
    try:
        written = await write(ctx, counted, enqueues=False)
    except (RowChanged, RowMissing):
        return None
    return counted.written(written.etags[0]) if written.etags else None


def is_deadly(mailbox: Mailbox, outline: Outline) -> bool:
    """Whether the sweep died at this mail, five times in a row."""
    at_it = outline.graph_message_id == mailbox.sweep_at_mail
    return at_it and mailbox.sweep_deaths >= MOST_DEATHS


async def note_mail(ctx: MailboxContext, mailbox: Mailbox, outline: Outline, *, survived: bool) -> None:
    """Write which mail a sweep is at, after a worker died in it; `survived`: it has got past the mail of that death."""
    # Loses to who asks for a sweep or a pause; to a worker that has taken the sweep over.
    async for tx in change(ctx, mailbox.generation):
        if tx.mailbox.sweep_leased_until != mailbox.sweep_leased_until:
            tx.abandon()
            continue
        deaths = min(tx.mailbox.sweep_deaths, 1) if survived else tx.mailbox.sweep_deaths
        tx.mailbox = replace(tx.mailbox, sweep_at_mail=outline.graph_message_id, sweep_deaths=deaths)
