"""What a CRM reply answers: the newest synced message of its thread (R7), and when it has to wait for one."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from shared.domain.message_ids import is_same_message_id
from shared.domain.model import Located, OutboxItem, Phase, Thread, Whereabouts

WAIT_FOR_EARLIER: Final = timedelta(seconds=30)
ON_ITS_WAY: Final = frozenset({Phase.NEW, Phase.BUILDING, Phase.SENDING, Phase.SUBMITTED})


def wait_until(
    reply: OutboxItem, thread: Thread | None, others: Iterable[OutboxItem], now: datetime, *, grant_dead: bool
) -> datetime | None:
    """When a reply that has nothing to answer yet, because that is on its way, looks again; None: it need not wait.

    It waits for earlier sends of its thread under the same connection only: one of them failed or stays unknown, and
    the reply opens the conversation itself.
    While the grant is dead nothing moves before its next probe, which the send that is waited for makes; and when the
    grant lives again, all are enqueued.
    """
    waited_for = _waited_for(reply, thread, others)
    if not waited_for:
        return None
    soon = now + WAIT_FOR_EARLIER
    probes = [send.due_at for send in waited_for if send.due_at is not None]
    return max(soon, min(probes)) if grant_dead and probes else soon


def _waited_for(reply: OutboxItem, thread: Thread | None, others: Iterable[OutboxItem]) -> list[OutboxItem]:
    if thread is not None and thread.newest_graph_message_id is not None:
        return []
    return [
        send
        for send in others
        if send.phase in ON_ITS_WAY
        and send.thread_id == reply.thread_id
        and send.generation == reply.generation
        and (send.created_at, send.key) < (reply.created_at, reply.key)
    ]


def original_after_move(thread: Thread, found: Iterable[Located]) -> str | None:
    """The message to answer under the id it has now, among those with its Message-ID.

    Some programs use one Message-ID for many mails, and a reply quotes what it answers: it must be of the thread's own
    conversation, which no move changes.
    """
    same = (
        located.outline.graph_message_id
        for located in found
        if located.whereabouts is Whereabouts.SENT
        and is_same_message_id(located.outline.internet_message_id, thread.newest_internet_message_id)
        and located.outline.conversation_id in thread.conversation_ids
    )
    return next(same, None)
