"""Bring one mail of the mailbox into its CRM thread, or record why not.

In this order, and nothing is read before it is needed: the gate and the seen row, the outline, the evidence, only
then the mail itself, its files' metadata, their bytes; one transaction; the CRM is told at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

from shared.domain import admission, inbound
from shared.domain.errors import ItemGone, MailboxClosed, RowExists
from shared.domain.model import (
    Direction,
    FetchedMessage,
    Mailbox,
    MailboxRef,
    Outline,
    Reason,
    Seen,
    Task,
    TaskKind,
)
from shared.ports import Access
from shared.services import Services
from shared.state.ledger import Change, new
from shared.sync.events.announce import Recorded
from shared.sync.events.deliver_event import deliver_now
from shared.sync.inbound.judge_files import Judged, judge_files
from shared.sync.inbound.record_import import Known, imported
from shared.sync.inbound.trace_thread import evidence_for, index_of
from shared.sync.mailbox.access import access_for
from shared.sync.mailbox.unit_of_work import through_gate
from shared.sync.outbound.confirm_send import confirm_send, unfinished_send
from shared.sync.outbound.known_sends import copies_unseen_since


@dataclass(frozen=True, slots=True)
class Found:
    """A mail that a notification or a sweep pointed at; `outline` is there when it was read already.

    `hinted`: a notification alone says so, and a sweep will come upon it as well.
    """

    graph_message_id: str
    generation: int | None = None
    outline: Outline | None = None
    looks: int = 0
    hinted: bool = False


Decision = inbound.Skip | inbound.Wait | inbound.Import


async def import_message(s: Services, mailbox: MailboxRef, found: Found) -> Decision:
    """Decide on one mail and carry the decision out.

    Raises Throttled, Unavailable, GrantDead, MailboxUnusable, StoreUnavailable: nothing was recorded, try again.
    """
    stored = await s.ledger.gate(mailbox)
    seen = await s.ledger.find(mailbox, Seen, found.graph_message_id)
    first = inbound.before_looking(
        stored.value if stored else None,
        found.generation,
        seen.value if seen else None,
        s.clock.now(),
        hinted=found.hinted,
    )
    if not isinstance(first, inbound.Look) or stored is None:
        return first if not isinstance(first, inbound.Look) else inbound.Skip(Reason.DISCONNECTED)
    access = access_for(s, mailbox, stored.value)
    try:
        return await _looked_at(s, mailbox, stored.value, access, found)
    except ItemGone:
        # A draft of ours that has left: its send looks for what became of it.
        if await unfinished_send(s, mailbox, found.graph_message_id):
            return inbound.Skip(Reason.DRAFT)
        return inbound.when_missing(found.looks, s.clock.now())
    except MailboxClosed:
        return inbound.Skip(Reason.DISCONNECTED)


async def _looked_at(
    s: Services, mailbox: MailboxRef, gate: Mailbox, access: Access, found: Found
) -> Decision:
    outline = found.outline or await s.mail.outline(access, found.graph_message_id)
    decision = inbound.by_outline(outline)
    match decision:
        case inbound.Skip():
            return decision
        case inbound.Echo(key):
            return await confirm_send(s, mailbox, key, outline)
        case inbound.Trace():
            return await _traced(s, mailbox, gate, access, outline, found.looks)
        case _:
            assert_never(decision)


async def _traced(
    s: Services, mailbox: MailboxRef, gate: Mailbox, access: Access, outline: Outline, looks: int
) -> Decision:
    own = await index_of(s, mailbox, outline.internet_message_id)
    if inbound.is_copy(outline, own):
        key = await unfinished_send(s, mailbox, outline.graph_message_id, outline.internet_message_id)
        return await confirm_send(s, mailbox, key, outline) if key else inbound.Skip(Reason.COPY)
    traced = await evidence_for(s, mailbox, gate, access, outline)
    if traced is None:
        now = s.clock.now()
        asked = inbound.may_answer_an_unseen_copy(outline, gate, looks, now)
        since = await copies_unseen_since(s, mailbox) if asked else None
        return inbound.when_unknown(outline, looks, now, since)
    if not traced.syncs:
        return inbound.Skip(Reason.THREAD_STOPPED)
    return await _bring_in(s, mailbox, gate, access, outline, traced.belongs, Known(own, traced.thread))


async def _bring_in(
    s: Services,
    mailbox: MailboxRef,
    gate: Mailbox,
    access: Access,
    outline: Outline,
    belongs: admission.Belongs,
    read: Known,
) -> Decision:
    """The mail whole, its files, one transaction; the user's own may still turn out to be a send of ours."""
    message = await s.mail.fetch(access, outline.graph_message_id)
    if inbound.direction_of(message.sender, gate) is Direction.OUTBOUND:
        key = await unfinished_send(s, mailbox, outline.graph_message_id, outline.internet_message_id)
        if key is not None:
            return await confirm_send(s, mailbox, key, outline)
    judged = await judge_files(s, mailbox, access, message)
    await _record_and_tell(s, mailbox, gate, message, judged, belongs, read)
    return inbound.Import(belongs.thread_id, belongs.evidence)


async def _record_and_tell(
    s: Services,
    mailbox: MailboxRef,
    gate: Mailbox,
    message: FetchedMessage,
    judged: Judged,
    belongs: admission.Belongs,
    read: Known,
) -> None:
    """One transaction, then the CRM.

    What was read on the way is good for one try, while the gate stands as it stood then; after that all is read anew.
    """
    known: Known | None = read
    recorded: Recorded | None = None

    async def make(now_gate: Mailbox) -> tuple[Mailbox, Sequence[Change]] | None:
        nonlocal known, recorded
        taken, known = known if now_gate == gate else None, None
        made = await imported(s, mailbox, now_gate, message, judged, belongs, taken)
        if made is None:
            return None
        changes, recorded = made
        return replace(now_gate, last_thread_activity_at=s.clock.now()), changes

    try:
        passed = await through_gate(s, mailbox, gate.generation, make)
    except RowExists:
        try:
            passed = await through_gate(s, mailbox, gate.generation, make)
        except RowExists:
            return  # somebody else has just brought it in
    if passed is not None and recorded is not None:
        await deliver_now(s, mailbox, recorded)


async def import_later(
    s: Services, mailbox: MailboxRef, found: Found, until: datetime, attempts: int = 0, looks: int = 0
) -> Task:
    """Note that a mail is to be looked at again; the row is the alarm (E-1)."""
    task = Task(until, TaskKind.RETRY_IMPORT, found.graph_message_id, attempts, s.clock.now(), looks)
    with suppress(RowExists):
        await s.ledger.write(mailbox, new(task))
    return task
