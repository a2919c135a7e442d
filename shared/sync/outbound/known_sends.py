"""The sends of a mailbox that are not finished, and the one that opens a thread."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from shared.domain import ids, keyless, outbound
from shared.domain.model import FetchedMessage, Mailbox, MessageRecord, OutboxItem, Phase, TaskKind, Thread
from shared.domain.model.sends import SEND_WITHIN_SECONDS
from shared.domain.own_addresses import has_travelled
from shared.domain.reply_targets import wait_until
from shared.html import html_to_text
from shared.mailbox_context import MailboxContext
from shared.state import keys
from shared.sync.staging import read_kept_body

UNFINISHED_ARE_DUE_WITHIN: Final = timedelta(days=2)
MOST_MESSAGES: Final = 200


async def find_unfinished_sends(ctx: MailboxContext) -> list[OutboxItem]:
    """Every send that is still to be built, sent or confirmed: each has its task, behind any amount of other work."""
    found: list[OutboxItem] = []
    until = ctx.now() + UNFINISHED_ARE_DUE_WITHIN
    for task in await ctx.services.ledger.tasks(ctx.ref, until, limit=None):
        if task.value.kind is TaskKind.SEND:
            stored = await ctx.find(OutboxItem, task.value.ref)
            found += [stored.value] if stored is not None and not stored.value.phase.final else []
    return found


async def find_unfinished_send(
    ctx: MailboxContext, graph_message_id: str, internet_message_id: str | None = None
) -> str | None:
    """The key of a send that has left and whose draft this mail was: by id, or by Message-ID.

    For a sent copy that has lost our key (Outlook extended properties: nothing promises that they survive sending).
    """
    unfinished = await find_unfinished_sends(ctx)
    ours = (
        item.key for item in unfinished if outbound.is_its_copy(item, graph_message_id, internet_message_id)
    )
    return next(ours, None)


async def find_send_of_copy(ctx: MailboxContext, thread_id: str, message: FetchedMessage) -> str | None:
    """The key of the unfinished send whose copy this mail of the user's own is, read whole and of that thread.

    Where the copy has no key, and its id and Message-ID are not the draft's, the thread, the people, the time and the
    words tell.
    """
    outline, unfinished = message.outline, await find_unfinished_sends(ctx)
    for item in unfinished:
        if outbound.is_its_copy(item, outline.graph_message_id, outline.internet_message_id):
            return item.key
    for item in sorted(unfinished, key=lambda item: item.created_at):
        if await _has_what_left(ctx, item, thread_id, message):
            return item.key
    return None


async def is_returned_send(ctx: MailboxContext, thread_id: str, message: FetchedMessage) -> bool:
    """Whether a received mail of the user's own, read whole, is a send of this thread that is over and came back.

    A relay may have given it another Message-ID than its sent copy's (microsoft-graph-docs-contrib issue 7700). Costs
    nothing for a mail that was not received.
    """
    at = message.sent_at or message.received_at
    if at is None or not has_travelled(message):
        return False
    after = keys.stamp(at - timedelta(seconds=SEND_WITHIN_SECONDS))
    for listed in await ctx.services.ledger.messages_of_thread(ctx.ref, thread_id, after, MOST_MESSAGES):
        record = await ctx.find(MessageRecord, listed.message_id)
        if record is None or record.value.key is None:
            continue
        stored = await ctx.find(OutboxItem, record.value.key)
        if stored is not None and await _has_what_left(ctx, stored.value, thread_id, message):
            return True
    return False


async def _has_what_left(
    ctx: MailboxContext, item: OutboxItem, thread_id: str, message: FetchedMessage
) -> bool:
    """Whether a mail has the people, the time and the words of a send."""
    now = ctx.now()
    if not keyless.may_be_its_copy(item, thread_id, message, now, ctx.graph_now() - now):
        return False
    body = await read_kept_body(ctx.services, item.body_blob)
    text = message.text or "" if message.html is None else html_to_text(message.html)
    return keyless.has_its_words(html_to_text(body.html), text)


async def find_oldest_unseen_copy(ctx: MailboxContext) -> datetime | None:
    """When the first send left whose copy in Sent Items was not seen yet; None where all were."""
    sends = await find_unfinished_sends(ctx)
    leaving = [item for item in sends if item.phase in {Phase.SENDING, Phase.SUBMITTED}]
    return min((item.send_started_at for item in leaving if item.send_started_at), default=None)


async def find_opening_send(ctx: MailboxContext, thread_id: str) -> OutboxItem | None:
    """The send that begins, or was to begin, this thread."""
    record = await ctx.find(MessageRecord, ids.opening_message_id(thread_id))
    if record is None or record.value.key is None:
        return None
    stored = await ctx.find(OutboxItem, record.value.key)
    return stored.value if stored is not None and stored.value.thread_id == thread_id else None


async def find_wait_for_original(ctx: MailboxContext, mailbox: Mailbox, item: OutboxItem) -> datetime | None:
    """Until when this reply waits, where it has nothing to answer yet because what it would answer is on its way."""
    stored = await ctx.find(Thread, item.thread_id)
    thread = stored.value if stored else None
    if thread is not None and thread.newest_graph_message_id is not None:
        return None
    opening = await find_opening_send(ctx, item.thread_id)
    others = [*([opening] if opening else []), *await find_unfinished_sends(ctx)]
    return wait_until(item, thread, others, ctx.now(), grant_dead=mailbox.grant_dead)
