"""Send an accepted message through the user's mailbox: at most once, and never without knowing (E-10 to E-14)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never

from shared.content import prepend_html
from shared.domain import outbound
from shared.domain.attachments import canonical_type, judge_content, judge_outbound
from shared.domain.errors import (
    Ambiguous,
    CrmUnavailable,
    GateShut,
    InvalidRequest,
    ItemGone,
    MailboxUnusable,
    MessageRefused,
    RowChanged,
    Throttled,
    TooLarge,
    Unavailable,
)
from shared.domain.model import (
    ConversationLink,
    Draft,
    DraftContent,
    Gate,
    MailboxRef,
    MessageIndex,
    OutboxItem,
    OutgoingFile,
    Phase,
    Reason,
    StagedFile,
    Thread,
    Todo,
    Work,
)
from shared.domain.retries import transient_delay_seconds
from shared.ports import Access
from shared.services import Services
from shared.state.codec import Stored
from shared.state.ledger import Change, Erase, new
from shared.sync.access import access_for
from shared.sync.announce import failed_event, unconfirmed_event
from shared.sync.confirm_send import confirm_send
from shared.sync.deliver_event import deliver_soon
from shared.sync.doorbells import ring
from shared.sync.gatekeeping import through_gate
from shared.sync.staging import stage, unstage, unstage_body
from shared.sync.subscriptions import ensure_subscription

MAX_FILE_BYTES = 3_145_728


@dataclass(slots=True)
class _Sending:
    """One worker's hold on one send: the row as it last wrote it."""

    s: Services
    mailbox: MailboxRef
    stored: Stored[OutboxItem]
    gate: Gate

    @property
    def item(self) -> OutboxItem:
        return self.stored.value

    def access(self) -> Access:
        return access_for(self.s, self.mailbox, self.gate)


async def send_message(s: Services, mailbox: MailboxRef, key: str) -> None:
    """Take the send one step further, as far as it goes without waiting.

    Raises Throttled, Unavailable, GrantDead, StoreUnavailable: the row stays as it is and its todo is moved by the caller.
    """
    stored = await s.ledger.find(mailbox, OutboxItem, key)
    if stored is None:
        return
    gate = await s.ledger.gate(mailbox)
    step = outbound.next_step(stored.value, gate.value if gate else None, s.clock.now())
    match step:
        case outbound.Nothing():
            return
        case outbound.Fail(reason, detail):
            await fail(s, mailbox, stored, reason, detail)
        case outbound.Later(until):
            await postpone(s, mailbox, stored, until)
        case outbound.Build(build):
            assert gate is not None  # noqa: S101 - the rule fails sends without a gate
            await _build(_Sending(s, mailbox, stored, gate.value), build)
        case outbound.Ask():
            assert gate is not None  # noqa: S101 - as above
            await _ask(_Sending(s, mailbox, stored, gate.value))
        case _:
            assert_never(step)


async def _build(work: _Sending, build: int) -> None:
    """A fresh draft with everything in it, then the fenced step to `sending`, then the send."""
    if not await _claim_build(work, build):
        return
    s, mailbox = work.s, work.mailbox
    work.gate = await ensure_subscription(s, mailbox, work.gate)
    try:
        files = await _files(work)
        draft = await _draft(work, files)
    except MessageRefused as err:
        await fail(s, mailbox, work.stored, _reason(err), err.detail)
        return
    except MailboxUnusable:
        await fail(s, mailbox, work.stored, Reason.MAILBOX_UNUSABLE)
        return
    except Ambiguous:
        await _build_later(work)
        return
    if draft is not None and await _to_sending(work, draft):
        await _send(work)


async def _claim_build(work: _Sending, build: int) -> bool:
    """CAS n+1 first: an older worker is fenced by it."""
    now = work.s.clock.now()
    item = replace(
        work.item,
        phase=Phase.BUILDING,
        build=build,
        attempts=work.item.attempts + 1,
        lease_until=now + outbound.LEASE,
        updated_at=now,
    )
    return await _save(work, item)


async def _save(work: _Sending, item: OutboxItem, *changes: Change) -> bool:
    """Write the row under its ETag and hold the new one; False when another worker was faster."""
    try:
        etags = await work.s.ledger.write(work.mailbox, work.stored.changed(item), *changes)
    except RowChanged:
        return False
    work.stored = replace(work.stored, value=item, etag=etags[0])
    return True


async def _build_later(work: _Sending) -> None:
    """An unknown outcome before `sending`: the draft is left alone, another is made later."""
    seconds = transient_delay_seconds(work.item.attempts, work.s.chance.fraction())
    await postpone(
        work.s, work.mailbox, work.stored, work.s.clock.now() + timedelta(seconds=max(5.0, seconds))
    )


async def _files(work: _Sending) -> list[OutgoingFile]:
    """Every file's bytes; linked ones are fetched, judged and kept now. Raises MessageRefused."""
    item = work.item
    if any(one.blob is None for one in item.files):
        fetched = tuple([await _fetched(work, one) for one in item.files])
        problems = judge_outbound([(one.name, one.size_bytes) for one in fetched])
        if problems:
            raise MessageRefused(problems[0].reason.value, problems[0].name)
        if not await _save(work, replace(item, files=fetched)):
            raise Ambiguous
    return [
        OutgoingFile(one.name, one.content_type, await unstage(work.s, one.blob or ""))
        for one in work.item.files
    ]


async def _fetched(work: _Sending, file: StagedFile) -> StagedFile:
    if file.blob is not None or file.url is None:
        return file
    try:
        content = await work.s.fetcher.fetch(file.url, MAX_FILE_BYTES)
    except TooLarge as err:
        raise MessageRefused(Reason.ATTACHMENT_TOO_LARGE.value, file.name) from err
    except InvalidRequest as err:
        raise MessageRefused(Reason.ATTACHMENT_NOT_FETCHED.value, err.detail) from err
    except CrmUnavailable as err:
        if work.item.attempts >= 3:  # noqa: PLR2004 - three tries
            raise MessageRefused(Reason.ATTACHMENT_NOT_FETCHED.value, file.name) from err
        raise Ambiguous from err
    problem = judge_content(file.name, content)
    if problem is not None:
        raise MessageRefused(problem.value, file.name)
    blob = await stage(work.s, work.mailbox.tenant_id, content, canonical_type(file.name))
    return replace(file, size_bytes=len(content), blob=blob, content_type=canonical_type(file.name))


async def _draft(work: _Sending, files: Sequence[OutgoingFile]) -> Draft | None:
    item = work.item
    body = await unstage_body(work.s, item.body_blob)
    content = DraftContent(item.key, item.to, item.cc, item.bcc, item.subject, body.html, tuple(files))
    thread = await work.s.ledger.find(work.mailbox, Thread, item.thread_id) if item.reply else None
    parent = thread.value.newest_graph_message_id if thread else None
    if parent is None:
        return await work.s.mail.create_draft(work.access(), content)
    return await _reply_draft(work, parent, content)


async def _reply_draft(work: _Sending, parent: str, content: DraftContent) -> Draft | None:
    """CreateReply sets the threading headers; body and files follow, and what arrived is compared with what was meant."""
    mail, access = work.s.mail, work.access()
    try:
        draft = await mail.create_reply(access, parent, content)
    except ItemGone:
        return await mail.create_draft(access, content)
    html = prepend_html(content.html, draft.html)
    await mail.fill_reply(access, draft.graph_message_id, content, html)
    for file in content.files:
        await mail.attach(access, draft.graph_message_id, file)
    if content.files and not await _all_there(work, draft, content.files):
        await _build_later(work)
        return None
    return draft


async def _all_there(work: _Sending, draft: Draft, files: Sequence[OutgoingFile]) -> bool:
    """Names and count as meant; sizes at least (Graph counts its overhead in)."""
    found = await work.s.mail.files(work.access(), draft.graph_message_id)
    theirs = sorted((one.name, one.size_bytes) for one in found if not one.inline)
    ours = sorted((one.name, len(one.content)) for one in files)
    return len(theirs) == len(ours) and all(
        name == meant and size >= least for (name, size), (meant, least) in zip(theirs, ours, strict=True)
    )


async def _to_sending(work: _Sending, draft: Draft) -> bool:
    """The fenced step: the draft to send, the thread and its index rows in one transaction, before the mail leaves."""
    s, now = work.s, work.s.clock.now()
    check_at = now + outbound.ASK_AGAIN_AFTER
    item = replace(
        work.item,
        phase=Phase.SENDING,
        draft_graph_message_id=draft.graph_message_id,
        draft_internet_message_id=draft.internet_message_id,
        send_started_at=now,
        send_tried_at=now,
        due_at=check_at,
        updated_at=now,
    )

    async def make(gate: Gate) -> tuple[Gate, Sequence[Change]]:
        changes = [work.stored.changed(item), *_moved_send(work.item, check_at)]
        changes += await thread_changes(s, work.mailbox, gate, item, draft)
        return replace(gate, last_thread_activity_at=now), changes

    try:
        await through_gate(s, work.mailbox, item.generation, make)
    except (GateShut, RowChanged):
        return False
    fresh = await s.ledger.find(work.mailbox, OutboxItem, item.key)
    if fresh is None or fresh.value != item:
        return False
    work.stored = fresh
    return True


async def thread_changes(
    s: Services, mailbox: MailboxRef, gate: Gate, item: OutboxItem, draft: Draft
) -> list[Change]:
    """Rows that make later mail find this thread: the thread itself, its conversation, the draft's Message-ID."""
    now = s.clock.now()
    stored = await s.ledger.find(mailbox, Thread, item.thread_id)
    people = tuple(dict.fromkeys(one.address for one in (*item.to, *item.cc, *item.bcc)))
    thread = _thread(stored, gate, item, people, draft.conversation_id, now)
    changes: list[Change] = [stored.changed(thread) if stored else new(thread)]
    known = stored.value.conversation_ids if stored else ()
    if draft.conversation_id and draft.conversation_id not in known:
        changes.append(new(ConversationLink(draft.conversation_id, item.thread_id)))
    if draft.internet_message_id and not await s.ledger.find(
        mailbox, MessageIndex, draft.internet_message_id
    ):
        index = MessageIndex(draft.internet_message_id, item.thread_id, item.message_id, synced=True, at=now)
        changes.append(new(index))
    return changes


def _thread(
    stored: Stored[Thread] | None,
    gate: Gate,
    item: OutboxItem,
    people: tuple[str, ...],
    conversation: str | None,
    now: datetime,
) -> Thread:
    """A new thread, or the old one resumed under the present connection (R9)."""
    conversations = (conversation,) if conversation else ()
    if stored is None:
        return Thread(
            item.thread_id,
            gate.connection_id,
            gate.generation,
            now,
            item.crm_thread_id,
            people,
            conversations,
            item.crm_context,
            item.contact_ids,
        )
    old = stored.value
    resumed = old.connection_id != gate.connection_id or old.generation != gate.generation
    return replace(
        old,
        connection_id=gate.connection_id,
        generation=gate.generation,
        active_from=now if resumed else old.active_from,
        participants=tuple(dict.fromkeys((*old.participants, *people))),
        conversation_ids=tuple(dict.fromkeys((*old.conversation_ids, *conversations))),
        crm_context=item.crm_context if item.crm_context != "{}" else old.crm_context,
        contact_ids=item.contact_ids or old.contact_ids,
    )


async def _send(work: _Sending) -> None:
    """Send the recorded draft; whatever is not a plain yes is asked about in five minutes."""
    s, item = work.s, work.item
    try:
        await s.mail.send(work.access(), item.draft_graph_message_id or "")
    except MessageRefused as err:
        await fail(s, work.mailbox, work.stored, _reason(err), err.detail)
        return
    except (Ambiguous, ItemGone, Unavailable, Throttled):
        return
    confirm_at = s.clock.now() + outbound.CONFIRM_AFTER
    done = replace(
        item, phase=Phase.SUBMITTED, due_at=confirm_at, lease_until=None, attempts=0, updated_at=s.clock.now()
    )
    if await _save(work, done, *_moved_send(item, confirm_at)):
        await ring(s, work.mailbox, Todo(confirm_at, Work.SEND, item.key))


async def _ask(work: _Sending) -> None:
    """Ask the mailbox what became of the send."""
    s, item, access = work.s, work.item, work.access()
    try:
        by_id = await s.mail.locate(access, item.draft_graph_message_id or "")
    except ItemGone:
        by_id = None
    by_key = await s.mail.find_by_key(access, item.key) if by_id is None else ()
    answer = outbound.by_whereabouts(item, by_id, by_key, s.clock.now())
    match answer:
        case outbound.Confirm(located):
            await confirm_send(s, work.mailbox, item.key, located.outline)
        case outbound.Fail(reason, detail):
            await fail(s, work.mailbox, work.stored, reason, detail)
        case outbound.Later(until):
            await postpone(s, work.mailbox, work.stored, until)
        case outbound.TellUnknown():
            await _tell_unknown(work)
        case outbound.SendAgain():
            await _send_again(work)
        case _:
            assert_never(answer)


async def _send_again(work: _Sending) -> None:
    """CAS the time of this try through the fence, then send the very same draft."""
    now = work.s.clock.now()
    if outbound.send_again_is_late(work.item, now):
        await _tell_unknown(work)
        return
    check_at = now + outbound.ASK_AGAIN_AFTER
    item = replace(work.item, send_tried_at=now, due_at=check_at, updated_at=now)

    async def make(gate: Gate) -> tuple[Gate, Sequence[Change]]:
        return gate, [work.stored.changed(item), *_moved_send(work.item, check_at)]

    try:
        await through_gate(work.s, work.mailbox, item.generation, make)
    except (GateShut, RowChanged):
        return
    fresh = await work.s.ledger.find(work.mailbox, OutboxItem, item.key)
    if fresh is not None and fresh.value == item:
        work.stored = fresh
        await _send(work)


async def _tell_unknown(work: _Sending) -> None:
    """Tell the CRM once that nobody knows; the search goes on, and a copy that turns up is still announced as sent."""
    if work.item.unconfirmed_told:
        await postpone(work.s, work.mailbox, work.stored, work.s.clock.now() + outbound.LOOK_UP_EVERY)
        return
    now = work.s.clock.now()
    until = now + outbound.LOOK_UP_EVERY
    item = replace(
        work.item,
        phase=Phase.NEEDS_ATTENTION,
        reason=Reason.OUTCOME_UNKNOWN,
        unconfirmed_told=True,
        due_at=until,
        updated_at=now,
    )
    recorded = unconfirmed_event(work.s, work.mailbox, item)
    if await _save(work, item, *_moved_send(work.stored.value, until), *recorded.changes):
        await deliver_soon(work.s, work.mailbox, recorded)


async def fail(
    s: Services, mailbox: MailboxRef, stored: Stored[OutboxItem], reason: Reason, detail: str = ""
) -> None:
    """End a send that will never leave, and tell the CRM why (E-13)."""
    item = replace(
        stored.value,
        phase=Phase.FAILED,
        reason=reason,
        detail=detail,
        due_at=None,
        lease_until=None,
        updated_at=s.clock.now(),
    )
    recorded = failed_event(s, mailbox, item)
    item = replace(item, event_ref=recorded.ref)
    try:
        await s.ledger.write(
            mailbox, stored.changed(item), *_moved_send(stored.value, None), *recorded.changes
        )
    except RowChanged:
        return
    await deliver_soon(s, mailbox, recorded)


async def postpone(s: Services, mailbox: MailboxRef, stored: Stored[OutboxItem], until: datetime) -> None:
    """Move the send's todo; no attempt is counted."""
    item = replace(stored.value, due_at=until, lease_until=None, updated_at=s.clock.now())
    try:
        await s.ledger.write(mailbox, stored.changed(item), *_moved_send(stored.value, until))
    except RowChanged:
        return
    await ring(s, mailbox, Todo(until, Work.SEND, item.key))


def _moved_send(old: OutboxItem, due_at: datetime | None) -> list[Change]:
    """The todo of a send moves with the row that names its time."""
    if old.due_at == due_at:
        return []
    erase: list[Change] = [Erase(Todo(old.due_at, Work.SEND, old.key))] if old.due_at else []
    return erase + ([new(Todo(due_at, Work.SEND, old.key))] if due_at else [])


def _reason(err: MessageRefused) -> Reason:
    return Reason(err.reason) if err.reason in set(Reason) else Reason.REFUSED_BY_PROVIDER
