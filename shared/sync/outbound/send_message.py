"""Send an accepted message through the user's mailbox: at most once, and never without knowing (E-10 to E-14)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import assert_never

from shared.domain import outbound
from shared.domain.errors import MailboxUnusable, MessageRefused
from shared.domain.model import MailboxRef, OutboxItem, Phase, Reason, Right
from shared.services import Services
from shared.sync.mailbox.grant import note_grant_alive
from shared.sync.mailbox.subscriptions import ensure_subscription
from shared.sync.outbound.ask_mailbox import ask_mailbox, stop_looking, tell_unknown
from shared.sync.outbound.draft_message import make_draft, outgoing_files
from shared.sync.outbound.known_sends import waits_for_original
from shared.sync.outbound.send_row import Sending, fail, postpone, refusal_reason, save
from shared.sync.outbound.submit_draft import submit, to_sending
from shared.sync.outbound.tidy_drafts import tidy_drafts


async def send_message(s: Services, mailbox: MailboxRef, key: str, due_at: datetime | None = None) -> None:
    """Take the send one step further, as far as it goes without waiting.

    `due_at` is the time that was rung for: when the row has another by now, somebody was faster, and its own ring
    comes.
    Raises what the provider and the store raise: the caller sets the send back (`reschedule_send`).
    """
    stored = await s.ledger.find(mailbox, OutboxItem, key)
    if stored is None or (due_at is not None and due_at != stored.value.due_at):
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
        case outbound.Tidy():
            await tidy_drafts(s, mailbox, stored, gate.value if gate else None)
        case _:
            assert gate is not None  # noqa: S101 - without a gate the rule fails sends, or leaves them alone
            await _go_on(Sending(s, mailbox, stored, gate.value), step)


async def _go_on(
    work: Sending, step: outbound.Build | outbound.Ask | outbound.TellUnknown | outbound.StopLooking
) -> None:
    match step:
        case outbound.Build(build):
            until = await waits_for_original(work.s, work.mailbox, work.gate, work.item)
            if until is not None:
                await postpone(work.s, work.mailbox, work.stored, until)
                return
            await _build(work, build)
        case outbound.Ask():
            await ask_mailbox(work)
        case outbound.TellUnknown():
            await tell_unknown(work)
        case outbound.StopLooking():
            await stop_looking(work)
        case _:
            assert_never(step)


async def _build(work: Sending, build: int) -> None:
    """A fresh draft with everything in it, then the fenced step to `sending`, then the send."""
    if not await _claim_build(work, build):
        return
    s, mailbox = work.s, work.mailbox
    try:
        work.gate = await ensure_subscription(s, mailbox, work.gate)
        files = await outgoing_files(work)
        draft = await make_draft(work, files)
    except MessageRefused as err:
        await fail(s, mailbox, work.stored, refusal_reason(err), err.detail)
        return
    except MailboxUnusable:
        await fail(s, mailbox, work.stored, Reason.MAILBOX_UNUSABLE)
        return
    if work.gate.grant_dead:
        await note_grant_alive(s, mailbox, work.gate.connection_id, Right.WRITE)
    if await to_sending(work, draft):
        await submit(work)


async def _claim_build(work: Sending, build: int) -> bool:
    """CAS n+1 first: an older worker is fenced by it."""
    now = work.s.clock.now()
    item = replace(
        work.item,
        phase=Phase.BUILDING,
        build=build,
        lease_until=now + outbound.LEASE,
        updated_at=now,
    )
    return await save(work, item)
