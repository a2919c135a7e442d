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

from shared.content import find_cids
from shared.domain import admission, ids, inbound
from shared.domain.attachments import (
    MAX_FILE_BYTES,
    InboundFiles,
    canonical_type,
    clean_name,
    judge_content,
    judge_inbound,
)
from shared.domain.errors import GateShut, ItemGone, RowExists, TooLarge
from shared.domain.model import (
    ConversationLink,
    Direction,
    Evidence,
    FetchedMessage,
    Gate,
    MailboxRef,
    MessageIndex,
    MessageRecord,
    Origin,
    Outline,
    Reason,
    RemoteFile,
    Seen,
    StagedFile,
    Thread,
    Todo,
    Work,
)
from shared.domain.reply_targets import with_newest
from shared.ports import Access
from shared.services import Services
from shared.state.ledger import Change, new
from shared.sync.access import access_for
from shared.sync.announce import Recorded, activity, not_synced_event, synced_event
from shared.sync.confirm_send import confirm_send, unfinished_send
from shared.sync.deliver_event import deliver_now
from shared.sync.gatekeeping import through_gate
from shared.sync.staging import stage


@dataclass(frozen=True, slots=True)
class Found:
    """A mail that a notification or a sweep pointed at; `outline` is there when it was read already."""

    graph_message_id: str
    generation: int | None = None
    outline: Outline | None = None
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class FileProblem:
    """A file that keeps its message from syncing."""

    name: str
    size_bytes: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class Judged:
    """A mail's files after R7 and R8: what is staged, what is left out, what blocks."""

    files: tuple[StagedFile, ...] = ()
    problems: tuple[FileProblem, ...] = ()


Decision = inbound.Skip | inbound.Wait | inbound.Import


async def import_message(s: Services, mailbox: MailboxRef, found: Found) -> Decision:
    """Decide on one mail and carry the decision out.

    Raises Throttled, Unavailable, GrantDead, MailboxUnusable, StoreUnavailable: nothing was recorded, try again.
    """
    stored = await s.ledger.gate(mailbox)
    seen = await s.ledger.find(mailbox, Seen, found.graph_message_id)
    first = inbound.before_looking(
        stored.value if stored else None, found.generation, seen.value if seen else None, s.clock.now()
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
        return inbound.when_missing(found.attempts, s.clock.now())
    except GateShut:
        return inbound.Skip(Reason.DISCONNECTED)


async def _looked_at(s: Services, mailbox: MailboxRef, gate: Gate, access: Access, found: Found) -> Decision:
    outline = found.outline or await s.mail.outline(access, found.graph_message_id)
    decision = inbound.by_outline(outline)
    match decision:
        case inbound.Skip():
            return decision
        case inbound.Echo(key):
            return await confirm_send(s, mailbox, key, outline)
        case inbound.Trace():
            return await _traced(s, mailbox, gate, access, outline)
        case _:
            assert_never(decision)


async def _traced(s: Services, mailbox: MailboxRef, gate: Gate, access: Access, outline: Outline) -> Decision:
    own = await _index(s, mailbox, outline.internet_message_id)
    if inbound.is_copy(outline, own):
        key = await unfinished_send(s, mailbox, outline.graph_message_id, outline.internet_message_id)
        return await confirm_send(s, mailbox, key, outline) if key else inbound.Skip(Reason.COPY)
    belongs = await _evidence(s, mailbox, gate, access, outline)
    if belongs is None:
        return inbound.Skip(Reason.FOREIGN)
    if not await _syncs(s, mailbox, gate, belongs.thread_id):
        return inbound.Skip(Reason.THREAD_STOPPED)
    return await _bring_in(s, mailbox, gate, access, outline, belongs)


async def _index(s: Services, mailbox: MailboxRef, internet_message_id: str | None) -> MessageIndex | None:
    if internet_message_id is None:
        return None
    stored = await s.ledger.find(mailbox, MessageIndex, internet_message_id)
    return stored.value if stored else None


async def _evidence(
    s: Services, mailbox: MailboxRef, gate: Gate, access: Access, outline: Outline
) -> admission.Belongs | None:
    """Tags first; the people of the mail are asked for only when its conversation_id is known.

    Where tags lead to several threads, one that syncs wins over one that was stopped.
    """
    stopped: admission.Belongs | None = None
    for ancestor in admission.ancestors(outline):
        belongs = admission.by_ancestor(ancestor, await _index(s, mailbox, ancestor.internet_message_id))
        if belongs is None or (stopped is not None and belongs.thread_id == stopped.thread_id):
            continue
        if await _syncs(s, mailbox, gate, belongs.thread_id):
            return belongs
        stopped = stopped or belongs
    if stopped is not None:
        return stopped
    if outline.conversation_id is None:
        return None
    candidates = await s.ledger.threads_of_conversation(mailbox, outline.conversation_id)
    if not candidates:
        return None
    people = await s.mail.people(access, outline.graph_message_id)
    return admission.by_conversation(gate, people, candidates)


async def _syncs(s: Services, mailbox: MailboxRef, gate: Gate, thread_id: str) -> bool:
    thread = await s.ledger.find(mailbox, Thread, thread_id)
    return thread is not None and admission.thread_is_active(thread.value, gate)


async def _bring_in(
    s: Services, mailbox: MailboxRef, gate: Gate, access: Access, outline: Outline, belongs: admission.Belongs
) -> Decision:
    """The mail whole, its files, one transaction; the user's own may still turn out to be a send of ours."""
    message = await s.mail.fetch(access, outline.graph_message_id)
    if inbound.direction_of(message.sender, gate) is Direction.OUTBOUND:
        key = await unfinished_send(s, mailbox, outline.graph_message_id, outline.internet_message_id)
        if key is not None:
            return await confirm_send(s, mailbox, key, outline)
    judged = await _judge_files(s, mailbox, access, message)
    recorded: Recorded | None = None

    async def make(now_gate: Gate) -> tuple[Gate, Sequence[Change]] | None:
        nonlocal recorded
        made = await _changes(s, mailbox, now_gate, message, judged, belongs)
        if made is None:
            return None
        changes, recorded = made
        return replace(now_gate, last_thread_activity_at=s.clock.now()), changes

    done = inbound.Import(belongs.thread_id, belongs.evidence)
    try:
        passed = await through_gate(s, mailbox, gate.generation, make)
    except RowExists:
        return done
    if passed is not None and recorded is not None:
        await deliver_now(s, mailbox, recorded)
    return done


async def _judge_files(s: Services, mailbox: MailboxRef, access: Access, message: FetchedMessage) -> Judged:
    """Metadata first; only when nothing blocks are bytes fetched, judged by content and staged."""
    if not message.has_attachments and not find_cids(message.html or ""):
        return Judged()
    listed = await s.mail.files(access, message.outline.graph_message_id)
    verdict = judge_inbound(listed, find_cids(message.html or ""))
    if verdict.blocking:
        return Judged(
            problems=tuple(FileProblem(one.name, one.size_bytes, reason) for one, reason in verdict.blocking)
        )
    staged: list[StagedFile] = []
    for file in verdict.stage:
        result = await _stage_one(s, mailbox, access, message, file)
        if isinstance(result, FileProblem):
            return Judged(problems=(result,))
        staged.append(result)
    return Judged((*staged, *_omitted(s, verdict)))


async def _stage_one(
    s: Services, mailbox: MailboxRef, access: Access, message: FetchedMessage, file: RemoteFile
) -> StagedFile | FileProblem:
    name = clean_name(file.name)
    try:
        content = await s.mail.file_content(
            access, message.outline.graph_message_id, file.remote_id, MAX_FILE_BYTES
        )
    except TooLarge:
        return FileProblem(name, file.size_bytes, Reason.ATTACHMENT_TOO_LARGE)
    except ItemGone:
        return FileProblem(name, file.size_bytes, Reason.ATTACHMENT_UNREADABLE)
    problem = judge_content(name, content)
    if problem is not None:
        return FileProblem(name, len(content), problem)
    blob = await stage(s, mailbox.tenant_id, content, canonical_type(name))
    attachment_id = f"att_{s.chance.token(12)}"
    return StagedFile(
        attachment_id, name, canonical_type(name), len(content), blob, file.inline, file.content_id
    )


def _omitted(s: Services, verdict: InboundFiles) -> list[StagedFile]:
    """Files that are noted but left out: inline pictures of unlisted types, cloud links, report parts."""
    return [
        StagedFile(
            f"att_{s.chance.token(12)}", clean_name(file.name), file.content_type or "application/octet-stream",
            file.size_bytes, None, file.inline, file.content_id, str(why),
        )
        for file, why in verdict.omitted
    ]  # fmt: skip


async def _changes(
    s: Services,
    mailbox: MailboxRef,
    gate: Gate,
    message: FetchedMessage,
    judged: Judged,
    belongs: admission.Belongs,
) -> tuple[list[Change], Recorded] | None:
    """Everything that one mail changes, for one transaction; None when somebody else brought it in."""
    outline, now = message.outline, s.clock.now()
    if await s.ledger.find(mailbox, Seen, outline.graph_message_id):
        return None
    stored = await s.ledger.find(mailbox, Thread, belongs.thread_id)
    if stored is None or not admission.thread_is_active(stored.value, gate):
        return None
    message_id = ids.inbound_message_id(mailbox.mailbox_id, outline.graph_message_id)
    direction = inbound.direction_of(message.sender, gate)
    thread = _thread_after(stored.value, message, synced=not judged.problems, now=now)
    recorded = await _record(
        s, mailbox, gate, thread, message, judged, belongs.evidence, message_id, direction
    )
    reason = judged.problems[0].reason if judged.problems else None
    status = "not_synced" if reason else ("sent" if direction is Direction.OUTBOUND else "received")
    changes: list[Change] = [
        new(Seen(outline.graph_message_id, message_id, thread.thread_id, reason, now)),
        new(
            MessageRecord(
                message_id,
                thread.thread_id,
                direction,
                Origin.MAILBOX,
                status,
                recorded.ref,
                now,
                reason,
                None,
                judged.files,
            )
        ),
        stored.changed(thread),
        *await _index_changes(s, mailbox, stored.value, message, message_id, synced=reason is None),
        *recorded.changes,
        activity(s, status, thread.thread_id, message_id, reason),
    ]
    return changes, recorded


async def _record(
    s: Services,
    mailbox: MailboxRef,
    gate: Gate,
    thread: Thread,
    message: FetchedMessage,
    judged: Judged,
    evidence: Evidence,
    message_id: str,
    direction: Direction,
) -> Recorded:
    if judged.problems:
        problems = [(one.name, one.size_bytes, one.reason) for one in judged.problems]
        return await not_synced_event(
            s, mailbox, gate, thread, message, problems, evidence, message_id, direction
        )
    return await synced_event(
        s, mailbox, gate, thread, message, judged.files, evidence, message_id, direction
    )


def _thread_after(thread: Thread, message: FetchedMessage, *, synced: bool, now: datetime) -> Thread:
    """A CRM reply answers the newest synced message, so one that did not sync moves nothing but the sequence (R7)."""
    people = [message.sender, *message.to, *message.cc, *message.bcc]
    conversation = message.outline.conversation_id
    grown = replace(
        thread,
        sequence=thread.sequence + 1,
        participants=tuple(dict.fromkeys((*thread.participants, *(one.address for one in people if one)))),
        conversation_ids=tuple(
            dict.fromkeys((*thread.conversation_ids, *((conversation,) if conversation else ())))
        ),
    )
    if not synced:
        return grown
    at = message.received_at or message.sent_at or now
    return with_newest(grown, message.outline.graph_message_id, message.outline.internet_message_id, at)


async def _index_changes(
    s: Services,
    mailbox: MailboxRef,
    thread: Thread,
    message: FetchedMessage,
    message_id: str,
    *,
    synced: bool,
) -> list[Change]:
    """Its Message-ID and its conversation lead to the thread from now on, also when it did not sync."""
    outline = message.outline
    changes: list[Change] = []
    if outline.internet_message_id and not await _index(s, mailbox, outline.internet_message_id):
        at = outline.received_at or message.received_at or s.clock.now()
        changes.append(
            new(MessageIndex(outline.internet_message_id, thread.thread_id, message_id, synced, at))
        )
    if outline.conversation_id and outline.conversation_id not in thread.conversation_ids:
        changes.append(new(ConversationLink(outline.conversation_id, thread.thread_id)))
    return changes


async def import_later(
    s: Services, mailbox: MailboxRef, found: Found, until: datetime, attempts: int = 0
) -> Todo:
    """Note that a mail is to be looked at again; the row is the alarm (E-1)."""
    todo = Todo(until, Work.RETRY_IMPORT, found.graph_message_id, attempts)
    with suppress(RowExists):
        await s.ledger.write(mailbox, new(todo))
    return todo
