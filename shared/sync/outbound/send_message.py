"""Send an accepted message through the user's mailbox: at most once, and never without knowing (E-10 to E-14)."""

from __future__ import annotations

from typing import assert_never

from shared.domain import leftovers, outbound, waiting
from shared.domain.connection import probe_at, respect_pause
from shared.domain.model import FenceState, Mailbox, OutboxItem, Reason, Thread
from shared.domain.threads import takes_no_send
from shared.mailbox_context import MailboxContext
from shared.state.codec import Stored
from shared.sync.mailbox.grant import take_probe
from shared.sync.outbound.ask_mailbox import ask_mailbox
from shared.sync.outbound.build_send import build_send
from shared.sync.outbound.lost_sends import give_up_lost, leave_to_holder, rest
from shared.sync.outbound.send_row import Sending, fail, finish, postpone
from shared.sync.outbound.submit import submit
from shared.sync.outbound.unknown_sends import stop_looking, tell_unknown
from shared.sync.outbound.waiting_sends import tell_waiting


async def send_message(ctx: MailboxContext, stored: Stored[OutboxItem]) -> None:
    """Take the send one step further, as far as it goes without waiting.

    Raises what the provider and the store raise: the caller reschedules the send (`reschedule_send`).
    """
    mailbox, work = await ctx.read(), Sending(ctx, stored)
    if not await _is_told_to_wait(work, mailbox):
        await _carry_out(work, mailbox, outbound.decide_next_step(work.item, mailbox, ctx.now()))


async def _carry_out(work: Sending, mailbox: Mailbox | None, step: outbound.Step) -> None:
    match step:
        case outbound.Nothing():
            return
        case outbound.Later(until):
            await postpone(work, until, waiting.find_waiting(work.item, mailbox, work.ctx.now()))
        case outbound.Held() | outbound.Rest() | outbound.GiveUp():
            await _leave_alone(work, step)
        case outbound.Build() | outbound.Ask():
            assert mailbox is not None  # noqa: S101 - without a mailbox the rule fails sends
            if await _may_try(work, mailbox):
                await _try(work, mailbox, step)
        case outbound.Tidy():
            await _remove_left_drafts(work, mailbox)
        case outbound.Fail() | outbound.TellUnknown() | outbound.StopLooking():
            await _end(work, step)
        case _:
            assert_never(step)


async def _leave_alone(work: Sending, step: outbound.Held | outbound.Rest | outbound.GiveUp) -> None:
    """What other workers are at, or died over."""
    match step:
        case outbound.Held(until):
            await leave_to_holder(work, until)
        case outbound.Rest(deaths):
            await rest(work, deaths)
        case outbound.GiveUp():
            await give_up_lost(work)
        case _:
            assert_never(step)


async def _end(work: Sending, step: outbound.Fail | outbound.TellUnknown | outbound.StopLooking) -> None:
    """What is decided without asking anybody."""
    match step:
        case outbound.Fail(reason, detail):
            await fail(work, reason, detail)
        case outbound.TellUnknown():
            await tell_unknown(work)
        case outbound.StopLooking():
            await stop_looking(work)
        case _:
            assert_never(step)


async def _try(work: Sending, mailbox: Mailbox, step: outbound.Build | outbound.Ask) -> None:
    """What asks Graph: a draft and its send, or what became of them."""
    if isinstance(step, outbound.Build):
        await build_send(work, mailbox, step)
    elif await ask_mailbox(work):
        await submit(work)


async def _is_told_to_wait(work: Sending, mailbox: Mailbox | None) -> bool:
    """Tell the CRM that the send waits, if that is due. True: nothing more is to be done now.

    What wakes many sends for this asks Entra nothing. A send into a thread that was stopped meanwhile ends.
    """
    now, lease = work.ctx.now(), work.item.lease_until
    waits = waiting.find_waiting(work.item, mailbox, now)
    is_held = lease is not None and lease > now
    if waits is None or is_held or not waiting.is_to_be_told(work.item, waits, now):
        return False
    thread = await work.ctx.find(Thread, work.item.thread_id)
    if thread is not None and takes_no_send(thread.value, work.item):
        await fail(work, Reason.THREAD_STOPPED)
        return True
    return not await tell_waiting(work, waits)


async def _may_try(work: Sending, mailbox: Mailbox) -> bool:
    """With a dead consent one send a day tries for all that wait; False: it was another one."""
    if not mailbox.grant_dead or await take_probe(work.ctx):
        return True
    now = work.ctx.now()
    known = work.ctx.mailbox or mailbox
    await postpone(work, probe_at(known) or now, waiting.find_waiting(work.item, known, now))
    return False


async def _remove_left_drafts(work: Sending, mailbox: Mailbox | None) -> None:
    """Look once for what carries the send's key, delete the drafts among it that nobody needs (E-11).

    Raises what the provider raises: the caller reschedules the send.
    """
    ctx, item = work.ctx, work.item
    is_open = mailbox is not None and mailbox.state is FenceState.OPEN
    if mailbox is not None and is_open and mailbox.generation == item.generation:
        respect_pause(mailbox, ctx.now())
        for located in await ctx.services.mail.find_by_key(work.access, item.key):
            if leftovers.is_left_over(item, located):
                await ctx.services.mail.delete_draft(work.access, located.outline.graph_message_id)
    await finish(work)
