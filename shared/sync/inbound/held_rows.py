"""The seen row of a mail while it is held, and what becomes of it (R14)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from shared.domain import ids
from shared.domain.held import first_held, holds_on, is_final, looked
from shared.domain.model import Held, Mailbox, MessageIndex, MessageRecord, Outline, Seen, Thread
from shared.mailbox_context import MailboxContext
from shared.state.codec import Stored
from shared.state.ledger import Change, new
from shared.sync.inbound.look_back import NOTHING_MISSED, LookBack
from shared.sync.mailbox.thread_rows import find_index


@dataclass(frozen=True, slots=True)
class Known:
    """What was read of a mail when it was traced: whose its Message-ID was, its thread, its seen row if it is held.

    `look_back`: where mails may lie that answer it and came before it was known. `copies`: ids of the messages that it
    was found to be a copy of.
    """

    own: Stored[MessageIndex] | None
    thread: Stored[Thread] | None
    held: Stored[Seen] | None = None
    look_back: LookBack = NOTHING_MISSED
    copies: tuple[str, ...] = ()


async def read_again(ctx: MailboxContext, outline: Outline, known: Known) -> Known | None:
    """What is known, read anew; None where somebody else has decided on the mail meanwhile."""
    held = await ctx.find(Seen, held_as(known.held, outline))
    same = known.held is not None and held is not None and held.etag == known.held.etag
    if held is not None and held.value.held is None and not same:
        return None
    own = await find_index(ctx, outline.internet_message_id)
    return replace(known, own=own, thread=None, held=held)


def held_as(held: Stored[Seen] | None, outline: Outline) -> str:
    """The graph_message_id that names the mail's seen row: that of its first look, whatever it is called by now."""
    return held.value.graph_message_id if held is not None else outline.graph_message_id


def message_id_of(ctx: MailboxContext, outline: Outline, held: Stored[Seen] | None) -> str:
    """Our id of the message: the one it was told with, where it was."""
    known = held.value.message_id if held is not None else ""
    return known or ids.inbound_message_id(ctx.ref.mailbox_id, outline.graph_message_id)


def looks_are_over(held: Stored[Seen] | None) -> bool:
    """Whether what this look finds is told."""
    return held is not None and held.value.held is not None and is_final(held.value.held.looks)


async def was_told(ctx: MailboxContext, held: Stored[Seen] | None) -> bool:
    """Whether the CRM knows of it already."""
    message_id = held.value.message_id if held is not None else ""
    return bool(message_id) and await ctx.find(MessageRecord, message_id) is not None


async def plan_seen_rows(
    ctx: MailboxContext, mailbox: Mailbox, seen: Seen, outline: Outline, held: Stored[Seen] | None
) -> list[Change]:
    """The seen row of what is told now: what may become readable stays held.

    A mail that has another id by now than it was held under has a row under each, so that nobody looks at it again.
    """
    name = held_as(held, outline)
    row = replace(seen, graph_message_id=name)
    if seen.reason is not None and holds_on(seen.reason):
        row = replace(row, held=next_held(ctx, mailbox, outline, held))
    rows: list[Change] = [held.changed(row) if held is not None else new(row)]
    if name == outline.graph_message_id:
        return rows
    other = await ctx.find(Seen, outline.graph_message_id)
    if other is None:
        rows.append(new(seen))
    elif other.value.held is not None:
        rows.append(other.changed(seen))
    return rows


def next_held(ctx: MailboxContext, mailbox: Mailbox, outline: Outline, held: Stored[Seen] | None) -> Held:
    """After one more look at it in vain."""
    before = held.value.held if held is not None else None
    if before is None:
        return first_held(ctx.now(), mailbox.generation, outline.internet_message_id)
    return replace(looked(before, ctx.now()), internet_message_id=outline.internet_message_id)
