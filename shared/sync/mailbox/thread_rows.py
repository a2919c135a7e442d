"""The rows by which later mail finds its thread."""

from __future__ import annotations

from datetime import datetime

from shared.domain import copies
from shared.domain.model import ConversationLink, Draft, Mailbox, MessageIndex, OutboxItem, Thread
from shared.domain.threads import begun_by, continued_by, with_conversation
from shared.mailbox_context import MailboxContext
from shared.state.codec import Stored
from shared.state.ledger import Change, new


async def plan_opening_rows(
    ctx: MailboxContext, mailbox: Mailbox, item: OutboxItem, draft: Draft
) -> list[Change]:
    """The thread of a send, its conversation and its draft's Message-ID: written before the mail leaves.

    So the fastest reply finds them.
    """
    now, began = ctx.now(), ctx.graph_now()
    stored = await ctx.find(Thread, item.thread_id)
    thread = continued_by(stored.value, mailbox, item, began) if stored else begun_by(mailbox, item, began)
    thread = with_conversation(thread, draft.conversation_id)
    return [
        stored.changed(thread) if stored else new(thread),
        *await plan_conversation_rows(ctx, stored.value if stored else None, thread),
        *await plan_index_rows(ctx, draft.internet_message_id, item.thread_id, item.message_id, now),
    ]


async def plan_conversation_rows(ctx: MailboxContext, before: Thread | None, thread: Thread) -> list[Change]:
    """The link from a conversation that the thread has just grown by; a link may be there from long ago."""
    known = before.conversation_ids if before else ()
    fresh = [conversation for conversation in thread.conversation_ids if conversation not in known]
    links = [ConversationLink(conversation, thread.thread_id) for conversation in fresh]
    return [new(link) for link in links if not await ctx.services.ledger.has(ctx.ref, link)]


async def find_index(ctx: MailboxContext, internet_message_id: str | None) -> Stored[MessageIndex] | None:
    """What is known of a Message-ID in this mailbox."""
    return await ctx.find(MessageIndex, internet_message_id) if internet_message_id else None


async def plan_index_rows(
    ctx: MailboxContext, internet_message_id: str | None, thread_id: str, message_id: str, at: datetime
) -> list[Change]:
    """The row from the Message-ID of a send of ours to its thread."""
    if not internet_message_id:
        return []
    fresh = MessageIndex(internet_message_id, thread_id, message_id, at)
    return plan_index_row(await find_index(ctx, internet_message_id), fresh)


def plan_index_row(known: Stored[MessageIndex] | None, fresh: MessageIndex) -> list[Change]:
    """The row of a mail's Message-ID, new or one mail richer; nothing where it knows the mail or there is no id."""
    if not fresh.internet_message_id:
        return []
    if known is None:
        return [new(fresh)]
    grown = copies.with_further_mail(known.value, fresh)
    return [known.changed(grown)] if grown is not None else []
