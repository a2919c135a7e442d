"""The daily audit of a mailbox: what was received is listed anew, by outlines alone, against what was told (E-25).

What is missing goes through the ordinary path: evidence first, and nothing is read before it. The mailbox keeps the
figure. A slice makes a few calls, so that people's sends never wait for it.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Final, assert_never

from shared.domain import audits, inbound
from shared.domain.connection import respect_pause
from shared.domain.errors import (
    MailboxClosed,
    PostbraidError,
    ProviderUnavailable,
    Throttled,
    UpstreamSurprise,
    WorkersDied,
)
from shared.domain.model import (
    Audit,
    Mailbox,
    MessageRecord,
    MessageStatus,
    OutboxItem,
    Outline,
    Reason,
    Seen,
    Task,
)
from shared.domain.outbound import may_turn_out_sent
from shared.domain.retries import Failed, PutOff, waits_for_somebody
from shared.mailbox_context import MailboxContext
from shared.sync.inbound.import_message import Found, import_later, import_message
from shared.sync.mailbox.access import access_of
from shared.sync.mailbox.failures import attempt
from shared.sync.mailbox.thread_rows import find_index
from shared.sync.mailbox.unit_of_work import change
from shared.sync.queueing.given_up import decide_verdict
from shared.telemetry import log

# One corrupt item makes its page a 500 (microsoft-graph-docs issue 2913): pages grow smaller, and the row is left out.
SIZES: Final = (audits.PAGE, 10, 1)
MOST_LEFT_OUT: Final = 2  # in a row: more is an outage


class _Slice:
    """One slice: the mailbox when it began, the counts as far as they are, the calls that it has made."""

    def __init__(self, ctx: MailboxContext, mailbox: Mailbox) -> None:
        self.ctx = ctx
        self.mailbox = mailbox
        self.audit = audits.begin_audit(mailbox, ctx.now())
        self.calls = 0
        self.counted: set[str] = set()

    def count(self, *, told: bool, late: bool = False, synced: bool = True) -> None:
        """One more mail of a thread; `synced`: it was not told as one that does not sync."""
        audit = self.audit
        self.audit = replace(
            audit,
            in_mailbox=audit.in_mailbox + 1,
            told=audit.told + told,
            not_synced=audit.not_synced + (told and not synced),
            found_late=audit.found_late + late,
        )


async def audit_if_due(ctx: MailboxContext, *, again: bool = False) -> None:
    """One slice of the audit, unless somebody did it: a doubled message costs one read.

    `again`: the worker before died in it, which is a failure of the slice. Raises WorkersDied, and what the provider
    raises.
    """
    mailbox = ctx.mailbox
    if mailbox is not None and mailbox.audit_at is not None and mailbox.audit_at <= ctx.now():
        if again:
            raise WorkersDied
        respect_pause(mailbox, ctx.now())
        await _audit(_Slice(ctx, mailbox))


async def _audit(part: _Slice) -> None:
    """Page by page, as far as a slice has calls. Raises what the provider raises; what was counted before is kept."""
    ledger, ref = part.ctx.services.ledger, part.ctx.ref
    threads, indexes = await ledger.threads(ref, None), await ledger.message_indexes(ref)
    known = audits.known_threads(threads, indexes, part.mailbox, part.audit)
    part.audit = replace(part.audit, threads=known.threads)
    while part.calls < audits.CALLS_A_SLICE and known.threads:
        before = part.audit
        try:
            page = await _read_page(part)
            behind = audits.after_page(part.audit, page)
            for outline in page:
                if outline.graph_message_id not in part.counted and known.may_hold(outline):
                    await _judge(part, outline)
                part.counted.add(outline.graph_message_id)
        except PostbraidError:
            part.audit = before  # this page is counted anew
            with suppress(PostbraidError):
                await _finish(part, ended=False)
            raise
        if behind is None:
            break
        part.audit = replace(part.audit, place=behind.place, skip=behind.skip, failures=0)
    else:
        await _finish(part, ended=known.threads == 0)
        return
    await _finish(part, ended=True)


async def _read_page(part: _Slice) -> tuple[Outline, ...]:
    """The next rows; of those that make a page be refused, the one alone is left out."""
    left_out = 0
    while True:
        for size in SIZES:
            part.calls += 1
            audit = part.audit = replace(part.audit, calls=part.audit.calls + 1)
            try:
                return await part.ctx.services.mail.received(
                    access_of(part.ctx), audit.place, audits.until(audit), audit.skip, size
                )
            except (ProviderUnavailable, UpstreamSurprise):
                if size == 1 and left_out == MOST_LEFT_OUT:
                    raise
        left_out += 1
        part.audit = replace(part.audit, skip=part.audit.skip + 1)


async def _judge(part: _Slice, outline: Outline) -> None:
    """Count a mail that is known; one that is not goes through the ordinary path."""
    ctx = part.ctx
    seen = await ctx.find(Seen, outline.graph_message_id)
    if seen is not None:
        if seen.value.thread_id:
            await _count_seen(part, seen.value)
        return
    if audits.was_judged(outline, part.mailbox):
        return
    if outline.key is None:
        index = await find_index(ctx, outline.internet_message_id)
        if audits.is_copy(outline, index.value if index is not None else None):
            return
    elif not await _may_be_confirmed(ctx, outline.key):
        return
    await _bring_in(part, outline)


async def _count_seen(part: _Slice, seen: Seen, *, late: bool = False) -> None:
    """Only of one that did not sync, or is held, anything further is read: whether the CRM was told, and how."""
    if seen.reason is None and seen.held is None:
        part.count(told=True, late=late)
        return
    record = await part.ctx.find(MessageRecord, seen.message_id)
    status = record.value.status if record is not None else None
    told = seen.held is None or record is not None
    part.count(told=told, late=late, synced=status is not MessageStatus.NOT_SYNCED)


async def _may_be_confirmed(ctx: MailboxContext, key: str) -> bool:
    item = await ctx.find(OutboxItem, key)
    return item is not None and may_turn_out_sent(item.value)


async def _bring_in(part: _Slice, outline: Outline) -> None:
    """Nothing has brought it so far. Trouble of all mail ends the slice; a mail's own gets work of its own (E-30).

    So does each mail of a page at which the slice before failed: workers may die over one of them.
    """
    ctx = part.ctx
    part.calls += 1
    found = Found(outline.graph_message_id, part.mailbox.generation, outline)
    if part.audit.failures:
        await import_later(ctx, found, ctx.now())
        return
    decision = await attempt(ctx, lambda: import_message(ctx, found))
    match decision:
        case Failed():
            verdict = decision.verdict(attempts=0)
            if waits_for_somebody(decision.error) or not isinstance(verdict, PutOff):
                raise decision.error
            await import_later(ctx, found, decision.until(verdict), verdict.attempts)
        case inbound.Wait(until, 0):
            raise Throttled((until - ctx.now()).total_seconds())
        case inbound.Wait(until, counts):
            await import_later(ctx, found, until, looks=counts)
        case inbound.Import() | inbound.Hold() | inbound.Skip(Reason.ECHO):
            seen = await ctx.find(Seen, outline.graph_message_id)
            if seen is not None:
                await _count_seen(part, seen.value, late=True)
            else:
                part.count(told=not isinstance(decision, inbound.Hold), late=True)
        case inbound.Skip():
            pass
        case _:
            assert_never(decision)


async def _finish(part: _Slice, *, ended: bool) -> None:
    """Keep the counts; what has ended is the mailbox's figure, and a line of the log."""
    ctx, audit = part.ctx, part.audit
    # Loses to sweeps and pauses, which change other things.
    changing = change(ctx, part.mailbox.generation)
    async for tx in changing:
        if tx.mailbox.audit_at != part.mailbox.audit_at:
            tx.abandon()  # another worker has done this slice
        else:
            tx.mailbox = audits.after_slice(tx.mailbox, audit, ctx.now(), ended=ended)
    if ended and changing.committed:
        _log(ctx, audit)


def _log(ctx: MailboxContext, audit: Audit) -> None:
    log.info(
        "audit.finished",
        mailbox=ctx.ref.mailbox_id,
        tenant=ctx.ref.tenant_id,
        threads=audit.threads,
        in_mailbox=audit.in_mailbox,
        told=audit.told,
        not_synced=audit.not_synced,
        found_late=audit.found_late,
    )


async def reschedule_audit(ctx: MailboxContext, task: Task, failed: Failed) -> None:
    """A failed slice is tried again, as seldom as slices follow each other; a given up audit begins anew tomorrow."""
    with suppress(MailboxClosed):
        # Loses to another worker that has done this slice.
        async for tx in change(ctx):
            due_at, under_way = tx.mailbox.audit_at, tx.mailbox.auditing
            if due_at is None:
                tx.abandon()
                continue
            failures = under_way.failures if under_way is not None else 0
            verdict = await decide_verdict(ctx, task, failed, failures)
            until = failed.until(verdict) if isinstance(verdict, PutOff) else None
            counted = verdict.attempts if isinstance(verdict, PutOff) else 0
            tx.mailbox = audits.after_failure(tx.mailbox, until, counted, failed.at)
