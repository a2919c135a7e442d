"""All that one imported mail changes, for the one transaction that brings it in (E-16)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from shared.domain import admission, ids, inbound
from shared.domain.model import (
    Direction,
    Evidence,
    FetchedMessage,
    Mailbox,
    MailboxRef,
    MessageIndex,
    MessageRecord,
    Origin,
    Outline,
    Reason,
    Seen,
    Thread,
)
from shared.domain.reply_targets import with_newest
from shared.domain.thread_growth import with_conversation, with_people
from shared.services import Services
from shared.state.codec import Stored
from shared.state.ledger import Change, new
from shared.sync.events.announce import Recorded, activity, not_synced_event, synced_event
from shared.sync.inbound.judge_files import Judged
from shared.sync.mailbox.thread_rows import conversation_rows, index_rows


@dataclass(frozen=True, slots=True)
class Known:
    """What was read of a mail when it was traced: it was not seen, whose its Message-ID was, and its thread."""

    own: MessageIndex | None
    thread: Stored[Thread] | None


async def imported(
    s: Services,
    mailbox: MailboxRef,
    gate: Mailbox,
    message: FetchedMessage,
    judged: Judged,
    belongs: admission.Belongs,
    known: Known | None = None,
) -> tuple[list[Change], Recorded] | None:
    """Everything that one mail changes, for one transaction; None when somebody else brought it in.

    With `known` these rows are not read anew: the transaction finds out if they have changed (RowExists, RowChanged).
    """
    outline, now = message.outline, s.clock.now()
    if known is None and await s.ledger.find(mailbox, Seen, outline.graph_message_id):
        return None
    read = known.thread if known is not None else None
    stored = read or await s.ledger.find(mailbox, Thread, belongs.thread_id)
    if stored is None or not admission.thread_is_active(stored.value, gate):
        return None
    message_id = ids.inbound_message_id(mailbox.mailbox_id, outline.graph_message_id)
    direction = inbound.direction_of(message.sender, gate)
    thread = _thread_after(stored.value, message, synced=not judged.problems, now=now)
    recorded = await _record(
        s, mailbox, gate, thread, message, judged, belongs.evidence, message_id, direction
    )
    reason = judged.problems[0].reason if judged.problems else None
    at = outline.received_at or message.received_at or now
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
        *await conversation_rows(s, mailbox, stored.value, thread),
        *await _index(s, mailbox, outline, thread.thread_id, message_id, at, reason, known),
        *recorded.changes,
        activity(s, status, thread.thread_id, message_id, reason),
    ]
    return changes, recorded


async def _index(
    s: Services,
    mailbox: MailboxRef,
    outline: Outline,
    thread_id: str,
    message_id: str,
    at: datetime,
    reason: Reason | None,
    known: Known | None,
) -> list[Change]:
    internet_message_id, synced = outline.internet_message_id, reason is None
    if known is None:
        return await index_rows(s, mailbox, internet_message_id, thread_id, message_id, at, synced=synced)
    if known.own is not None or not internet_message_id:
        return []
    return [new(MessageIndex(internet_message_id, thread_id, message_id, synced, at))]


async def _record(
    s: Services,
    mailbox: MailboxRef,
    gate: Mailbox,
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
    grown = with_people(replace(thread, sequence=thread.sequence + 1), [one.address for one in people if one])
    grown = with_conversation(grown, message.outline.conversation_id)
    if not synced:
        return grown
    at = message.received_at or message.sent_at or now
    return with_newest(grown, message.outline.graph_message_id, message.outline.internet_message_id, at)
