"""Work through the hints of Graph's notifications: each looks at one message, or looks after the subscription."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import timedelta
from typing import Final

import msgspec

from shared.domain import inbound
from shared.domain.errors import MailboxClosed
from shared.domain.model import ChangeHint, FenceState, Mailbox, Reason
from shared.domain.retries import Failed, PutOff
from shared.mailbox_context import MailboxContext
from shared.services import Services
from shared.state import keys
from shared.state.keys import mailbox_of_key
from shared.sync.inbound.import_message import Found, import_later, import_message
from shared.sync.inbound.sweep_mailbox import sweep_if_due
from shared.sync.mailbox.failures import attempt
from shared.sync.mailbox.subscriptions import (
    plan_maintenance,
    recreate_subscription,
    renew_subscription,
    sweep_now,
)
from shared.sync.queueing.jobs import read_envelope
from shared.sync.queueing.put_back import HINTS_LIVE_SECONDS

MAINTENANCE: Final = "maintenance"
NOTHING: Final = "nothing"
LATER: Final = "later"
MOST_MESSAGES_AT_ONCE: Final = 3  # of one mailbox in one process: both of its calls are always under way
COMES_AGAIN_SECONDS: Final = 6
LATEST_AGAIN_SECONDS: Final = 30  # a backlog of thousands would else cost as many messages every few seconds


async def receive_changes(
    s: Services, text: str, hints: Sequence[ChangeHint], decided: dict[str, int], *, again: bool = False
) -> None:
    """The hints of one queue message, whose `text` it is; how often what was `decided` is counted there.

    Where this process is at work on enough messages of the same mailbox, its hints come again after some seconds: a
    mailbox has two calls to Graph at a time in any case, and the others' hints behind it would wait for all of its.
    Not so where the host repeats the message (`again`): as a new one it would begin anew with its deaths (E-30).
    Raises what a store raises; then what `decided` counts is done.
    """
    mailboxes = dict.fromkeys(hint.mailbox_key for hint in hints)
    with ExitStack() as stack:
        others = {key: stack.enter_context(s.turns.at_work(key)) for key in mailboxes}
        crowded = {key for key, count in others.items() if count >= MOST_MESSAGES_AT_ONCE}
        if again or not crowded:
            await _receive_each(s, hints, decided)
            return
    envelope = read_envelope(text)  # as it came: a newer version may have written more than this one reads
    given = list(zip(hints, envelope["job"]["hints"], strict=True))
    times = envelope.get(LATER)
    times = times if type(times) is int else 0
    for key in mailboxes:
        own = [raw for hint, raw in given if hint.mailbox_key == key]
        message = {**envelope, "job": {**envelope["job"], "hints": own}, LATER: times + (key in crowded)}
        delay = comes_again_after(times, s.random.jitter()) if key in crowded else 0
        text = msgspec.json.encode(message).decode()
        await s.queues.put(keys.CHANGES, text, delay_seconds=delay, ttl_seconds=HINTS_LIVE_SECONDS)
    decided[LATER] = len(hints)


def comes_again_after(times: int, jitter: float) -> int:
    """Seconds until what has come so often in vain comes again."""
    return round(min(COMES_AGAIN_SECONDS << min(times, 10), LATEST_AGAIN_SECONDS) * (1 + jitter))


async def _receive_each(s: Services, hints: Sequence[ChangeHint], decided: dict[str, int]) -> None:
    for hint in hints:
        decision = await receive_change(s, hint)
        decided[decision] = decided.get(decision, 0) + 1


async def receive_change(s: Services, hint: ChangeHint) -> str:
    """One hint; returns a word for the log, what was decided.

    A failure becomes a task; only a failing store lets the queue message come again.
    """
    ref = mailbox_of_key(hint.mailbox_key)
    if ref is None:
        return NOTHING
    ctx = MailboxContext(s, ref)
    try:
        if hint.lifecycle_event is not None:
            await _maintain(ctx, hint)
            return MAINTENANCE
        if hint.graph_message_id is not None:
            return await _import(ctx, Found(hint.graph_message_id, hint.generation, hinted=True))
    except MailboxClosed:
        return Reason.DISCONNECTED.value
    return NOTHING


async def _import(ctx: MailboxContext, found: Found) -> str:
    done = await attempt(ctx, lambda: import_message(ctx, found))
    match done:
        case Failed():
            verdict = done.verdict(attempts=0)
            if isinstance(verdict, PutOff):
                await import_later(ctx, found, done.until(verdict), verdict.attempts)
        case inbound.Wait():
            await import_later(ctx, found, done.until, looks=done.counts)
        case inbound.Skip():
            return done.reason.value
        case inbound.Import() | inbound.Hold():
            pass
    return type(done).__name__.lower()


async def _maintain(ctx: MailboxContext, hint: ChangeHint) -> None:
    """`reauthorizationRequired`: one PATCH; `subscriptionRemoved`: a new one and a sweep; `missed`: a sweep.

    Events of a subscription that is no longer ours are ignored (Graph sends them late). What fails is due again
    later: of a subscription that is gone, the renewal finds out.
    """
    mailbox = await ctx.read()
    if mailbox is None or mailbox.state is FenceState.CLOSED or mailbox.generation != hint.generation:
        return
    if mailbox.subscription_id != hint.subscription_id:
        return
    done = await attempt(ctx, lambda: _look_after_subscription(ctx, mailbox, hint.lifecycle_event))
    verdict = done.verdict(attempts=0) if isinstance(done, Failed) else None
    if isinstance(verdict, PutOff):
        await plan_maintenance(ctx, timedelta(seconds=verdict.seconds))


async def _look_after_subscription(ctx: MailboxContext, mailbox: Mailbox, event: str | None) -> None:
    match event:
        case "reauthorizationRequired":
            await renew_subscription(ctx, mailbox)
        case "subscriptionRemoved":
            await recreate_subscription(ctx)
        case _:
            await sweep_now(ctx)
    await sweep_if_due(ctx)
