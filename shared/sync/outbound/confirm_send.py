"""The sent copy of a CRM send was found in the mailbox: the send is done, and the CRM is told."""

from __future__ import annotations

from dataclasses import replace

from shared.domain import leftovers, outbound, renewals
from shared.domain.errors import MailboxClosed
from shared.domain.inbound import Skip
from shared.domain.model import Event, Mailbox, OutboxItem, Outline, Phase, Reason, Seen, Thread
from shared.domain.threads import begun_by, with_conversation, with_newest
from shared.mailbox_context import MailboxContext
from shared.state.ledger import Change, new
from shared.sync.events.announce import activity, render_sent
from shared.sync.mailbox.thread_rows import plan_conversation_rows, plan_index_rows
from shared.sync.mailbox.unit_of_work import switch
from shared.sync.staging import read_kept_body


async def confirm_send(ctx: MailboxContext, key: str, outline: Outline) -> Skip:
    """Record the send as sent with the sent copy's real Message-ID, announce it once, deliver at once.

    An echo of a finished send, or of one nobody knows, changes nothing. Also where the mailbox was closed meanwhile:
    the send had left before (R5).
    """
    try:
        # Loses to other writes of the fence, of the thread, and to another sight of the same copy.
        async for tx in switch(ctx):
            stored = await ctx.find(OutboxItem, key)
            if stored is None or tx.before is None or not _is_of_user(stored.value, tx.before):
                tx.abandon()
                continue
            if not outbound.may_turn_out_sent(stored.value):
                tx.abandon()
                continue
            now = ctx.now()
            event, rows = await _plan_rows(ctx, tx.mailbox, stored.value, outline)
            started = stored.value.send_started_at
            by_graph = replace(stored.value, send_started_at=ctx.by_graph(started) if started else None)
            unknown_since = outbound.answers_unknown_since(by_graph, outline, ctx.graph_now())
            if unknown_since is not None:
                tx.rest_on_mailbox()
            swept = renewals.with_sweep_again_from(tx.mailbox, unknown_since, now)
            tx.mailbox = renewals.with_activity(swept, now)
            item = replace(
                stored.value,
                phase=Phase.SENT,
                sent_at=now,
                due_at=leftovers.tidy_at(stored.value, now),
                lease_until=None,
                attempts=0,
                event_ref=event.ref,
                reason=None,
                updated_at=now,
            )
            tx.add(stored.changed(item), new(event), *rows)
    except MailboxClosed:
        return Skip(Reason.ALREADY_SEEN)
    return Skip(Reason.ECHO)


def _is_of_user(item: OutboxItem, mailbox: Mailbox) -> bool:
    """A send of an earlier connection is told as well, unless the mailbox is another user's by now."""
    return item.generation <= mailbox.generation and item.user_id == mailbox.user_id


async def _plan_rows(
    ctx: MailboxContext, mailbox: Mailbox, item: OutboxItem, outline: Outline
) -> tuple[Event, list[Change]]:
    """What the CRM is told, and the rows of thread, index and seen mails."""
    now = ctx.now()
    stored = await ctx.find(Thread, item.thread_id)
    old = stored.value if stored else begun_by(mailbox, item, ctx.graph_now())
    grown = with_conversation(replace(old, sequence=old.sequence + 1), outline.conversation_id)
    thread = with_newest(
        grown,
        outline.graph_message_id,
        outline.internet_message_id or item.draft_internet_message_id,
        outline.received_at or item.send_started_at or now,
    )
    # The draft's id too, where sending changed it: what is still notified of the draft then costs no call.
    ids = sorted({outline.graph_message_id, item.draft_graph_message_id or outline.graph_message_id})
    unseen = [graph_message_id for graph_message_id in ids if not await ctx.find(Seen, graph_message_id)]
    event = await render_sent(
        ctx, mailbox, thread, item, outline, await read_kept_body(ctx.services, item.body_blob)
    )
    at = outline.received_at or now
    return event, [
        stored.changed(thread) if stored else new(thread),
        *await plan_conversation_rows(ctx, stored.value if stored else None, thread),
        # The sent copy's real Message-ID, where it differs from the draft's (desktop clients change it).
        *await plan_index_rows(ctx, outline.internet_message_id, item.thread_id, item.message_id, at),
        *(new(Seen(seen_id, item.message_id, item.thread_id, None, now)) for seen_id in unseen),
        activity(ctx, "sent", thread.thread_id, item.message_id),
    ]
