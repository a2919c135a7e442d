"""A send whose outcome is unknown or unconfirmed: ask the mailbox first, then decide (E-7, E-10)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

from shared.domain import outbound
from shared.domain.errors import ItemGone, MailboxClosed, RowChanged
from shared.domain.model import Located, Mailbox, OutboxItem, Phase, Reason
from shared.state.ledger import Change
from shared.sync.events.announce import unconfirmed_event
from shared.sync.events.deliver_event import deliver_now
from shared.sync.mailbox.unit_of_work import through_gate
from shared.sync.outbound.confirm_send import confirm_send
from shared.sync.outbound.send_row import Sending, fail, moved_send, postpone, save
from shared.sync.outbound.submit_draft import submit


async def ask_mailbox(work: Sending) -> None:
    """Ask the mailbox what became of the send."""
    s, access = work.s, work.access()
    try:
        by_id = await s.mail.locate(access, work.item.draft_graph_message_id or "")
    except ItemGone:
        by_id = None
    by_key = await _elsewhere(work) if by_id is None else ()
    now = s.clock.now()
    if work.item.awaited_since is None:  # the grant was dead, or Graph asked for a pause
        work.stored = work.stored.changed(replace(work.item, awaited_since=now))
    item = work.item
    answer = outbound.by_whereabouts(item, by_id, by_key, now)
    match answer:
        case outbound.Confirm(located):
            await confirm_send(s, work.mailbox, item.key, located.outline)
        case outbound.Fail(reason, detail):
            await fail(s, work.mailbox, work.stored, reason, detail)
        case outbound.Later(until):
            await postpone(s, work.mailbox, work.stored, until)
        case outbound.TellUnknown():
            await tell_unknown(work)
        case outbound.StopLooking():
            await stop_looking(work)
        case outbound.SendAgain():
            await _send_again(work)
        case _:
            assert_never(answer)


async def _elsewhere(work: Sending) -> tuple[Located, ...]:
    """Whatever carries our key; without any, what has the draft's Message-ID (E-12)."""
    mail, access, item = work.s.mail, work.access(), work.item
    if found := await mail.find_by_key(access, item.key):
        return found
    if item.draft_internet_message_id is None:
        return ()
    same = await mail.find_by_message_id(access, item.draft_internet_message_id)
    return tuple(one for one in same if one.outline.internet_message_id == item.draft_internet_message_id)


async def stop_looking(work: Sending) -> None:
    """It stays unknown; a copy that is seen by random still turns it into sent."""
    item = replace(work.item, due_at=None, updated_at=work.s.clock.now())
    await save(work, item, *moved_send(work.item, None))


async def _send_again(work: Sending) -> None:
    """CAS the time of this try through the fence, then send the very same draft."""
    now = work.s.clock.now()
    check_at = now + outbound.ASK_AGAIN_AFTER
    item = replace(work.item, send_tried_at=now, due_at=check_at, updated_at=now)

    async def make(gate: Mailbox) -> tuple[Mailbox, Sequence[Change]]:
        return gate, [work.stored.changed(item), *moved_send(work.item, check_at)]

    try:
        await through_gate(work.s, work.mailbox, item.generation, make)
    except (MailboxClosed, RowChanged):
        return
    fresh = await work.s.ledger.find(work.mailbox, OutboxItem, item.key)
    if fresh is not None and fresh.value == item:
        work.stored = fresh
        await submit(work)


async def tell_unknown(work: Sending) -> None:
    """Tell the CRM once that nobody knows; the search goes on, and a copy that turns up is still announced as sent."""
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
    if await save(work, item, *moved_send(work.stored.value, until), *recorded.changes):
        await deliver_now(work.s, work.mailbox, recorded)
