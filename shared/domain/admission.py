"""Whether a mail belongs to a thread that the CRM began, and by which evidence.

Evidence is taken in one order, strongest first: our own key (an echo), In-Reply-To, References from the newest
back, and last the conversation_id together with somebody we know of the thread. The subject is never evidence:
strangers share subjects (R4). RFC 5322, 3.6.4: References lists the ancestors, the parent last.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from shared.domain.addresses import among
from shared.domain.message_ids import normal_message_id
from shared.domain.message_kinds import is_bounce_class, is_mail_system
from shared.domain.model import Evidence, Mailbox, MessageIndex, Outline, People, Thread
from shared.domain.own_addresses import is_own

MAX_ANCESTORS: Final = 50
# Graph's times are whole seconds of its clock. Nothing can be of a thread before it begins, so there is room for any
# clock; where a thread was stopped before, mail of that time must stay out.
BEFORE_A_BEGIN: Final = timedelta(minutes=2)
BEFORE_A_RESUMPTION: Final = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Ancestor:
    """A Message-ID this mail points back to, and by which tag."""

    internet_message_id: str
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Belongs:
    """The mail is of this thread."""

    thread_id: str
    evidence: Evidence


def ancestors(outline: Outline) -> tuple[Ancestor, ...]:
    """Which Message-IDs to look up, in the order in which they count; each once, at most MAX_ANCESTORS."""
    found: dict[str, Evidence] = {}
    for parent in (outline.in_reply_to, *outline.other_parents):
        if parent:
            found.setdefault(normal_message_id(parent), Evidence.IN_REPLY_TO)
    for internet_message_id in reversed(outline.references):
        found.setdefault(normal_message_id(internet_message_id), Evidence.REFERENCES)
    return tuple(
        Ancestor(internet_message_id, evidence)
        for internet_message_id, evidence in list(found.items())[:MAX_ANCESTORS]
    )


def decide_by_ancestor(ancestor: Ancestor, index: MessageIndex | None) -> Belongs | None:
    """A looked-up ancestor that we know is proof."""
    return Belongs(index.thread_id, ancestor.evidence) if index else None


def stands_alone(index: MessageIndex, outline: Outline, thread: Thread) -> bool:
    """Whether a tag that leads to this row needs nobody of the thread on the mail besides.

    Who sends us mail chooses its Message-ID, and may take that of a private mail: so of a row that such a mail wrote,
    only what stands in a conversation of the thread is known to be no answer to the private one.
    """
    return index.admits_alone or outline.conversation_id in thread.conversation_ids


def has_contact(people: People, mailbox: Mailbox, thread: Thread) -> bool:
    """Whether somebody of the thread is on the mail, the mailbox's own user apart."""
    return bool(among(_others_on(people, mailbox), thread.participants))


def _others_on(people: People, mailbox: Mailbox) -> list[str]:
    return [person.address for person in people.everyone() if not is_own(person.address, mailbox)]


def decide_by_conversation(
    mailbox: Mailbox, people: People, candidates: tuple[Thread, ...], received_at: datetime | None = None
) -> Belongs | None:
    """A known conversation counts only with a known participant other than the mailbox's own user.

    Exchange reports a mail's failure in its conversation, and no participant is on the report: there its class and
    its sender, who is no person or missing, stand for one.

    Two threads may share a conversation_id: one that takes a mail of that time wins over one that was stopped, then the
    one with the most known people, then the newer.
    """
    present = _others_on(people, mailbox)
    ranked = [
        (
            thread_takes(thread, mailbox, received_at),
            len(among(present, thread.participants)),
            thread.active_from,
            thread.thread_id,
        )
        for thread in candidates
    ]
    by_nobody = people.sender is None or is_mail_system(people.sender)
    reported = is_bounce_class(people.message_class) and by_nobody
    best = max((entry for entry in ranked if entry[1] > 0 or reported), default=None)
    return Belongs(best[3], Evidence.CONVERSATION) if best else None


def thread_is_active(thread: Thread, mailbox: Mailbox) -> bool:
    """A thread syncs under the connection and generation it was begun or resumed in, unless stopped (R5, R9, R12)."""
    return thread.stopped_at is None and is_of_connection(thread, mailbox)


def is_of_connection(thread: Thread, mailbox: Mailbox) -> bool:
    """Whether the thread was begun or resumed under the mailbox's present connection."""
    return (thread.connection_id, thread.generation) == (mailbox.connection_id, mailbox.generation)


def thread_takes(thread: Thread, mailbox: Mailbox, received_at: datetime | None) -> bool:
    """Whether a mail of that time syncs: one received while the thread was stopped never does (R9, R12)."""
    if not thread_is_active(thread, mailbox):
        return False
    margin = BEFORE_A_RESUMPTION if thread.resumed else BEFORE_A_BEGIN
    if received_at is None or received_at >= thread.active_from - margin:
        return True
    began, ended = thread.active_before, thread.took_until or thread.last_stopped_at
    return began is not None and ended is not None and began - margin <= received_at < ended - margin
