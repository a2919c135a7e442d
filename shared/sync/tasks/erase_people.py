"""Erase the people on a mailbox's mails five weeks after their events, with whatever else is no id, time or reason.

What stays, and why, is listed in ADR 12. Whoever took part in a thread stays known by a hash, so an answer after months
is still one; a thread in which somebody wrote lately keeps its people.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from shared.domain import retention
from shared.domain.model import Event, MessageIndex, MessageRecord, OutboxItem, Thread
from shared.mailbox_context import MailboxContext
from shared.state import keys
from shared.state.codec import Stored
from shared.sync.mailbox.unit_of_work import write

PAGE: Final = 15  # an event's rows are five, and all of a page are one transaction
MOST_A_WALK: Final = 150
LINES_A_WALK: Final = 90


async def find_old_events(
    ctx: MailboxContext, after: str, age: timedelta, limit: int
) -> tuple[list[Stored[Event]], datetime | None]:
    """Events behind `after` that are at least so old, and when the first younger one will be."""
    page = await ctx.services.ledger.events(ctx.ref, after, limit)
    old = [event for event in page if event.value.at + age <= ctx.now()]
    younger = page[len(old)].value.at + age if len(old) < len(page) else None
    return old, younger


async def erase_people(ctx: MailboxContext, begin: str) -> tuple[str, datetime | None, bool]:
    """Walk on behind the event `begin`.

    Returns behind which event the next walk begins, when there will be something for it, and whether it is to go on
    at once.
    """
    after = begin
    for _ in range(MOST_A_WALK // PAGE):
        page, younger = await find_old_events(ctx, after, retention.KEPT_AT_MOST, PAGE)
        if not page:
            return after, younger, False
        await _erase_page(ctx, page)
        after = page[-1].value.ref
    return after, None, True


@dataclass(slots=True)
class _Page:
    """The rows of some events as they are to be, each once, and the blobs that no row needs any more."""

    rows: dict[str, Stored[Any]] = field(default_factory=dict)
    blobs: list[str | None] = field(default_factory=list)

    def change(self, stored: Stored[Any] | None, bare: Callable[[Any], Any]) -> None:
        """Write the row barer than it was read; nothing where it is so already."""
        if stored is not None and bare(stored.value) != stored.value:
            self.rows[keys.row_of(stored.value)] = stored.changed(bare(stored.value))


async def _erase_page(ctx: MailboxContext, events: list[Stored[Event]]) -> None:
    """Bytes first, rows then: a crash between is done again."""
    page = _Page()
    for stored in events:
        page.blobs.append(stored.value.body_blob)
        page.change(stored, _bare_event)
    for message_id in dict.fromkeys(event.value.message_id for event in events):
        if message_id is not None:
            await _collect(ctx, page, message_id)
    for blob in filter(None, page.blobs):
        await ctx.services.blobs.delete(keys.STAGING, blob)
    if page.rows:
        # Loses to whoever changes one of these rows; the walk is then repeated.
        await write(ctx, *page.rows.values())


async def _collect(ctx: MailboxContext, page: _Page, message_id: str) -> None:
    """The rows that one message left. A send that is still under way has an event to come, and keeps all until then."""
    record = await ctx.find(MessageRecord, message_id)
    if record is None:
        return
    item = await ctx.find(OutboxItem, record.value.key) if record.value.key is not None else None
    if item is not None and retention.is_under_way(item.value):
        return
    if item is not None:
        page.blobs += [item.value.body_blob, *(file.blob for file in item.value.files)]
    page.blobs += [file.blob for file in record.value.files] if _is_told_long_ago(ctx, record.value) else []
    page.change(item, retention.bare_send)
    page.change(record, retention.bare_record)
    thread_id = record.value.thread_id
    if keys.thread_row(thread_id) not in page.rows and await _is_quiet(ctx, thread_id):
        page.change(await ctx.find(Thread, thread_id), retention.bare_thread)
    if record.value.internet_message_id:
        index = await ctx.find(MessageIndex, record.value.internet_message_id)
        page.change(index, retention.bare_index)


def _is_told_long_ago(ctx: MailboxContext, record: MessageRecord) -> bool:
    """Whether its newest event is that old as well: what was told again has files of its own."""
    told_at = record.updated_at or record.created_at
    return told_at + retention.KEPT_AT_MOST <= ctx.now()


async def _is_quiet(ctx: MailboxContext, thread_id: str) -> bool:
    """Whether nobody has written in the thread for as long; whoever does has an event, with which it ends anew."""
    after = keys.stamp(ctx.now() - retention.KEPT_AT_MOST)
    return not await ctx.services.ledger.messages_of_thread(ctx.ref, thread_id, after, 1)


def _bare_event(event: Event) -> Event:
    return replace(event, body=None, body_blob=None, erased=True)


async def is_history_erased(ctx: MailboxContext) -> bool:
    """Erase lines of the activity list and notes of subscriptions that are too old; False where there are more."""
    lines = await ctx.services.ledger.erase_activity(
        ctx.ref, ctx.now() - retention.ACTIVITY_KEPT, LINES_A_WALK
    )
    notes = await ctx.services.subscription_trail.erase(
        ctx.ref, ctx.now() - retention.SUBSCRIPTION_NOTES_KEPT, LINES_A_WALK
    )
    return max(lines, notes) < LINES_A_WALK
