"""A held mail is looked at again: admission and fence are asked anew each time, and end it where they say no (R14)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import assert_never

from shared.domain import admission, inbound
from shared.domain.connection import lies_in_outage
from shared.domain.errors import RowChanged, RowMissing
from shared.domain.held import DAILY, looked, put_off, waited
from shared.domain.model import Held, MessageRecord, Reason, Seen, Task, Thread
from shared.domain.retries import Failed, PutOff, is_outage, waits_for_somebody
from shared.mailbox_context import MailboxContext
from shared.state.codec import Stored
from shared.state.ledger import Change, Erase
from shared.sync.inbound.hold_mail import tell_vanished
from shared.sync.inbound.import_message import Found, import_message
from shared.sync.mailbox.unit_of_work import write


async def look_again(ctx: MailboxContext, stored: Stored[Seen]) -> None:
    """One look. What it comes to is written with the look itself, or here where nothing was to be decided."""
    seen, held = stored.value, stored.value.held
    if held is None:
        return
    found = Found(seen.graph_message_id, held.generation, looks=held.missing, held=stored)
    decision = await import_message(ctx, found)
    match decision:
        case inbound.Wait(until, counts):
            missing = held.missing + counts
            await _save(
                ctx,
                stored.changed(replace(seen, held=replace(held, look_at=until, missing=missing, deaths=0))),
            )
        case inbound.Skip(Reason.THREAD_TAKES_NO_MAIL) if await _is_stopped_for_now(ctx, seen):
            later = put_off(held, ctx.now() + DAILY)
            await _save(ctx, stored.changed(replace(seen, held=later)))
        case inbound.Skip(reason):
            if reason is Reason.VANISHED:
                await tell_vanished(ctx, stored)
                stored = await ctx.find(Seen, seen.graph_message_id) or stored
            await _end(ctx, stored, reason)
        case inbound.Import() | inbound.Hold():
            pass
        case _:
            assert_never(decision)


async def _is_stopped_for_now(ctx: MailboxContext, seen: Seen) -> bool:
    """Whether its thread may go on (R12): what came before the stop syncs then."""
    thread, mailbox = await ctx.find(Thread, seen.thread_id), ctx.mailbox
    if thread is None or mailbox is None or thread.value.stopped_at is None:
        return False
    return admission.is_of_connection(thread.value, mailbox)


async def reschedule_look(ctx: MailboxContext, task: Task, failed: Failed) -> None:
    """The look itself failed: later, and counted unless it waits for somebody, or nothing else works either."""
    stored = await ctx.find(Seen, task.ref)
    if stored is None or stored.value.held is None:
        return
    mailbox = await ctx.read()
    in_outage = mailbox is not None and is_outage(failed.error) and lies_in_outage(mailbox, failed.at)
    later = _after_failure(stored.value.held, failed, in_outage=in_outage)
    await _save(ctx, stored.changed(replace(stored.value, held=later)))


def _after_failure(held: Held, failed: Failed, *, in_outage: bool) -> Held:
    verdict = failed.verdict(0)
    if waits_for_somebody(failed.error) and isinstance(verdict, PutOff):
        return put_off(held, failed.until(verdict))
    return waited(held, failed.at) if in_outage else looked(held, failed.at)


async def _end(ctx: MailboxContext, stored: Stored[Seen], reason: Reason) -> None:
    """It is looked at no more. Of one that nobody was told of nothing is kept: seen it was not.

    Of one that was told the record goes on to name the row, for a copy of it that comes later and can be read.
    """
    seen = stored.value
    record = await ctx.find(MessageRecord, seen.message_id) if seen.message_id else None
    if record is None and reason not in {Reason.COPY, Reason.ECHO}:
        await _save(ctx, Erase(seen, stored.etag))
        return
    await _save(ctx, stored.changed(replace(seen, held=None)))


async def _save(ctx: MailboxContext, *changes: Change) -> None:
    """Lets nothing in or out, so it needs no fence; what another worker came to is as good."""
    with suppress(RowChanged, RowMissing):
        # Loses to whoever looks at the same mail.
        await write(ctx, *changes)
