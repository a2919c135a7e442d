"""What is known of the copies of a mail: each message is told once, by whichever of them can be read (E-15)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.domain import copies
from shared.domain.held import holds_on
from shared.domain.model import MessageRecord, Outline, Seen
from shared.mailbox_context import MailboxContext
from shared.state.codec import Stored
from shared.sync.inbound.held_rows import Known, message_id_of


@dataclass(frozen=True, slots=True)
class Copies:
    """Copies of a mail. `settled`: what was told of one is all that there is to tell.

    `unread`: the seen row of one that was told as one that nobody could read; the mail may take its place, under its
    message_id. `same`: the ids of their messages.
    """

    settled: bool = False
    unread: Stored[Seen] | None = None
    same: tuple[str, ...] = ()


async def find_copies(ctx: MailboxContext, outline: Outline, known: Known, authors: Sequence[str]) -> Copies:
    """The copies that are known of a mail by one of these authors. Costs reads only where there are any."""
    index, own_id = (
        known.own.value if known.own is not None else None,
        message_id_of(ctx, outline, known.held),
    )
    same = copies.find_same(index, authors, outline.received_at, own_id)
    unread = None
    for message_id in same:
        record = await ctx.find(MessageRecord, message_id) if message_id else None
        if record is None and copies.NOBODY in authors:
            continue  # it is held as well, and nobody was told of it
        unread = await _find_unread(ctx, record.value) if record is not None else None
        if unread is None:
            return Copies(settled=True, same=same)
    return Copies(unread=unread, same=same)


async def _find_unread(ctx: MailboxContext, record: MessageRecord) -> Stored[Seen] | None:
    """The seen row of a message that was told as unreadable, whether it is still looked at or not."""
    if record.held_as is None or record.reason is None or not holds_on(record.reason):
        return None
    return await ctx.find(Seen, record.held_as)
