"""What a bounce of a thread says, and which message of the thread it is about."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from shared.domain import admission, bounces, inbound
from shared.domain.addresses import among, is_hidden
from shared.domain.errors import AccessRefused, ItemGone, ItemUnreadable, TooLarge
from shared.domain.message_kinds import kind_of
from shared.domain.model import (
    Bounce,
    Evidence,
    FetchedMessage,
    Mailbox,
    MessageIndex,
    MessageKind,
    MessageRecord,
    OutboxItem,
    Reason,
    RemoteFile,
    Thread,
)
from shared.html import html_to_text
from shared.mailbox_context import MailboxContext
from shared.state.codec import Stored
from shared.state.ledger import Change
from shared.sync.events.announce import bounced_data
from shared.sync.mailbox.access import access_of
from shared.sync.outbound.known_sends import find_oldest_unseen_copy


@dataclass(frozen=True, slots=True)
class ReadBounce:
    """A bounce as it was read, before its original is known; `text` is its words as plain text."""

    report: bounces.Report
    text: str


@dataclass(frozen=True, slots=True)
class Bounced:
    """A bounce and what it is about: the original's record, and the send of the CRM that it was."""

    bounces: tuple[Bounce, ...]
    original: Stored[MessageRecord] | None = None
    item: OutboxItem | None = None

    def data(self) -> dict[str, Any]:
        """What the CRM is told of it."""
        original_id = self.original.value.message_id if self.original is not None else None
        return bounced_data(self.bounces, original_id, self.item.crm_message_id if self.item else None)

    def changes(self, report_id: str, at: datetime) -> list[Change]:
        """The original's record with what was reported of its recipients."""
        if self.original is None:
            return []
        told = [replace(bounce, reported_by=report_id, at=at) for bounce in self.bounces]
        record = self.original.value
        return [self.original.changed(replace(record, bounces=bounces.after_report(record.bounces, told)))]


async def read_bounce(ctx: MailboxContext, message: FetchedMessage) -> ReadBounce | None:
    """What a bounce says; None for every other mail. Costs a call for each report part that Graph shows, two at most.

    Raises what reading a file raises, but for one that is gone, unreadable or too large: it says nothing.
    """
    if kind_of(message) is not MessageKind.BOUNCE:
        return None
    status, headers = bounces.wanted_parts(message.files)
    text = message.text or html_to_text(message.html or "")
    report = bounces.read_report(
        message, await _read(ctx, message, status), await _read(ctx, message, headers), text
    )
    return ReadBounce(report, text)


async def _read(ctx: MailboxContext, message: FetchedMessage, file: RemoteFile | None) -> bytes | None:
    if file is None:
        return None
    try:
        return await ctx.services.mail.file_content(
            access_of(ctx), message.outline.graph_message_id, file, 2 * bounces.MOST_PART_BYTES
        )
    except (AccessRefused, ItemGone, ItemUnreadable, TooLarge):
        return None


async def find_bounced(
    ctx: MailboxContext, thread: Thread, message: FetchedMessage, read: ReadBounce
) -> Bounced:
    """The bounce with its original, as far as one of the Message-IDs that it names is known in its thread."""
    original = await _find_original(ctx, thread, read.report.original_ids)
    key = original.value.key if original is not None else None
    stored = await ctx.find(OutboxItem, key) if key is not None else None
    item = stored.value if stored is not None else None
    addressed = [person.address for person in (*item.to, *item.cc, *item.bcc)] if item is not None else []
    if not addressed:
        addressed = [address for address in thread.participants if not is_hidden(address)]
    found = bounces.with_recipients(read.report, message, read.text, addressed)
    return Bounced(found, original, item)


async def _find_original(
    ctx: MailboxContext, thread: Thread, named: Iterable[str]
) -> Stored[MessageRecord] | None:
    for internet_message_id in named:
        index = await ctx.find(MessageIndex, internet_message_id)
        if index is not None and index.value.thread_id == thread.thread_id:
            return await ctx.find(MessageRecord, index.value.message_id)
    return None


async def _find_thread_of_original(
    ctx: MailboxContext,
    mailbox: Mailbox,
    belongs: admission.Belongs,
    message: FetchedMessage,
    read: ReadBounce,
) -> admission.Belongs | None:
    """Threads may share the conversation that led here: of these it is the one whose mail the bounce names.

    None where that one takes no mail.
    """
    if belongs.evidence is not Evidence.CONVERSATION:
        return belongs
    for internet_message_id in read.report.original_ids:
        index = await ctx.find(MessageIndex, internet_message_id)
        thread = await ctx.find(Thread, index.value.thread_id) if index is not None else None
        if thread is None or message.outline.conversation_id not in thread.value.conversation_ids:
            continue
        takes = admission.thread_takes(thread.value, mailbox, message.outline.received_at)
        return admission.Belongs(thread.value.thread_id, belongs.evidence) if takes else None
    return belongs


async def judge_bounce(
    ctx: MailboxContext,
    mailbox: Mailbox,
    belongs: admission.Belongs,
    message: FetchedMessage,
    read: ReadBounce,
    looks: int | None,
) -> admission.Belongs | inbound.Wait | inbound.Skip:
    """The thread in which a bounce is told; or it is looked at again, or is foreign.

    A fast one is here before the sent copy whose Message-ID it names; with `looks` None it waits no more. And the
    conversation that alone led here may hold a private mail too: what names only people who are not of the thread, and
    no message of it, is about such a one.
    """
    of_original = await _find_thread_of_original(ctx, mailbox, belongs, message, read)
    if of_original is None:
        return inbound.Skip(Reason.THREAD_TAKES_NO_MAIL)
    belongs = of_original
    stored = await ctx.find(Thread, belongs.thread_id)
    if stored is None:
        return belongs
    bounced = await find_bounced(ctx, stored.value, message, read)
    if bounced.original is not None:
        return belongs
    if read.report.original_ids and looks is not None:
        since = await find_oldest_unseen_copy(ctx)
        decision = inbound.decide_unknown(message.outline, looks, ctx.now(), since)
        if isinstance(decision, inbound.Wait):
            return decision
    named = [bounce.recipient for bounce in bounced.bounces if bounce.recipient]
    is_of_thread = bool(among(named, stored.value.participants))
    if belongs.evidence is Evidence.CONVERSATION and named and not is_of_thread:
        return inbound.Skip(Reason.FOREIGN)
    return belongs
