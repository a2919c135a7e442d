"""A send whose outcome is unknown or unconfirmed: ask the mailbox first, then decide (E-7, E-10)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

from shared.domain import outbound
from shared.domain.errors import GateShut, ItemGone, RowChanged
from shared.domain.model import Gate, OutboxItem, Phase, Reason
from shared.state.ledger import Change
from shared.sync.announce import unconfirmed_event
from shared.sync.confirm_send import confirm_send
from shared.sync.deliver_event import deliver_soon
from shared.sync.gatekeeping import through_gate
from shared.sync.send_row import Sending, fail, moved_send, postpone, save
from shared.sync.submit_draft import submit


async def ask_mailbox(work: Sending) -> None:
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


async def _send_again(work: Sending) -> None:
    """CAS the time of this try through the fence, then send the very same draft."""
    now = work.s.clock.now()
    if outbound.send_again_is_late(work.item, now):
        await _tell_unknown(work)
        return
    check_at = now + outbound.ASK_AGAIN_AFTER
    item = replace(work.item, send_tried_at=now, due_at=check_at, updated_at=now)

    async def make(gate: Gate) -> tuple[Gate, Sequence[Change]]:
        return gate, [work.stored.changed(item), *moved_send(work.item, check_at)]

    try:
        await through_gate(work.s, work.mailbox, item.generation, make)
    except (GateShut, RowChanged):
        return
    fresh = await work.s.ledger.find(work.mailbox, OutboxItem, item.key)
    if fresh is not None and fresh.value == item:
        work.stored = fresh
        await submit(work)


async def _tell_unknown(work: Sending) -> None:
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
    if await save(work, item, *moved_send(work.stored.value, until), *recorded.changes):
        await deliver_soon(work.s, work.mailbox, recorded)
