"""The sent copy of a CRM send was found in the mailbox: the send is done, and the CRM is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from shared.domain import outbound, renewals
from shared.domain.errors import MailboxClosed, RowExists
from shared.domain.inbound import Skip
from shared.domain.model import (
    Mailbox,
    MailboxRef,
    OutboxItem,
    Outline,
    Phase,
    Reason,
    Seen,
    Thread,
)
from shared.domain.reply_targets import with_newest
from shared.domain.thread_growth import with_conversation
from shared.services import Services
from shared.state.ledger import Change, new
from shared.sync.events.announce import Recorded, activity, sent_event
from shared.sync.events.deliver_event import deliver_now
from shared.sync.mailbox.thread_rows import begun_by, conversation_rows, index_rows
from shared.sync.mailbox.unit_of_work import through_gate
from shared.sync.outbound.known_sends import unfinished_sends
from shared.sync.outbound.send_row import moved_send
from shared.sync.staging import kept_body


async def unfinished_send(
    s: Services, mailbox: MailboxRef, graph_message_id: str, internet_message_id: str | None = None
) -> str | None:
    """The key of a send that has left and whose draft this mail was: by id, or by Message-ID.

    For a sent copy that has lost our key (Outlook extended properties: nothing promises that they survive sending).
    """
    unfinished = await unfinished_sends(s, mailbox)
    ours = (one.key for one in unfinished if outbound.is_its_copy(one, graph_message_id, internet_message_id))
    return next(ours, None)


async def confirm_send(s: Services, mailbox: MailboxRef, key: str, outline: Outline) -> Skip:
    """Record the send as sent with the sent copy's real Message-ID, announce it once, deliver at once.

    An echo of a finished send, or of one nobody knows, changes nothing.
    """
    recorded: Recorded | None = None

    async def make(gate: Mailbox) -> tuple[Mailbox, Sequence[Change]] | None:
        nonlocal recorded
        stored = await s.ledger.find(mailbox, OutboxItem, key)
        if stored is None or stored.value.generation != gate.generation:
            return None
        if not outbound.may_turn_out_sent(stored.value):
            return None
        changes, recorded = await _confirmed(s, mailbox, gate, stored.value, outline)
        now = s.clock.now()
        item = replace(
            stored.value,
            phase=Phase.SENT,
            sent_at=now,
            due_at=outbound.tidy_at(stored.value, now),
            lease_until=None,
            attempts=0,
            event_ref=recorded.ref,
            reason=None,
            updated_at=now,
        )
        moved = moved_send(replace(stored.value, attempts=0), item.due_at)
        unknown_since = outbound.answers_unknown_since(stored.value, outline, now)
        swept = renewals.swept_again_from(gate, unknown_since)
        return replace(swept, last_thread_activity_at=now), [stored.changed(item), *moved, *changes]

    try:
        passed = await through_gate(s, mailbox, None, make)
    except (MailboxClosed, RowExists):
        return Skip(Reason.ALREADY_SEEN)
    if passed is not None and recorded is not None:
        await deliver_now(s, mailbox, recorded)
    return Skip(Reason.ECHO)


async def _confirmed(
    s: Services, mailbox: MailboxRef, gate: Mailbox, item: OutboxItem, outline: Outline
) -> tuple[list[Change], Recorded]:
    now = s.clock.now()
    stored = await s.ledger.find(mailbox, Thread, item.thread_id)
    old = stored.value if stored else begun_by(gate, item, now)
    grown = with_conversation(replace(old, sequence=old.sequence + 1), outline.conversation_id)
    thread = with_newest(
        grown,
        outline.graph_message_id,
        outline.internet_message_id or item.draft_internet_message_id,
        outline.received_at or item.send_started_at or now,
    )
    changes: list[Change] = [
        stored.changed(thread) if stored else new(thread),
        *await conversation_rows(s, mailbox, stored.value if stored else None, thread),
        # The sent copy's real Message-ID, where it differs from the draft's (desktop clients change it).
        *await index_rows(
            s,
            mailbox,
            outline.internet_message_id,
            item.thread_id,
            item.message_id,
            outline.received_at or now,
        ),
    ]
    # The draft's id too, where sending changed it: what is still notified of the draft then costs no call.
    ids = sorted({outline.graph_message_id, item.draft_graph_message_id or outline.graph_message_id})
    unseen = [one for one in ids if not await s.ledger.find(mailbox, Seen, one)]
    changes += [new(Seen(one, item.message_id, item.thread_id, None, now)) for one in unseen]
    body = await kept_body(s, item.body_blob)
    recorded = await sent_event(s, mailbox, gate, thread, item, outline, body)
    changes += [*recorded.changes, activity(s, "sent", thread.thread_id, item.message_id)]
    return changes, recorded
