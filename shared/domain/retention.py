"""How long the words and files of mails are kept here; the CRM and the mailbox are where they live (D-1, F-5).

Five weeks after its event the people on a mail go as well. A hash stays in the place of each address that may still be
evidence: whoever took part in a thread is known when an answer comes years later.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from shared.domain.addresses import hidden_address
from shared.domain.copies import NOBODY, THE_USER
from shared.domain.model import (
    Event,
    MessageIndex,
    MessageRecord,
    OutboxItem,
    Phase,
    Reason,
    StagedFile,
    Task,
    TaskKind,
    Thread,
)
from shared.hashing import digest

KEPT_ONCE_TOLD: Final = timedelta(days=7)  # the links in an event are good as long
KEPT_AT_MOST: Final = timedelta(days=35)
ACTIVITY_KEPT: Final = timedelta(days=90)
SUBSCRIPTION_NOTES_KEPT: Final = timedelta(days=30)
UNNAMED_AFTER: Final = timedelta(days=1)  # no request and no job takes as long from its bytes to their row
LOOK_EVERY: Final = timedelta(days=1)
LEAVES_ITS_DRAFT: Final = frozenset({Reason.LEFT_IN_DRAFTS, Reason.WAITED_TOO_LONG})
SALT_CHARACTERS: Final = 8


def content_until(event: Event) -> datetime:
    """Until when the content of a mail's event is kept: a week after the CRM has it, five weeks if it never took it."""
    latest = people_until(event)
    return min(event.delivered_at + KEPT_ONCE_TOLD, latest) if event.delivered_at is not None else latest


def people_until(event: Event) -> datetime:
    """Until when the people on its mail are kept, and whatever else of it is no id, time or reason."""
    return event.at + KEPT_AT_MOST


def is_needed(item: OutboxItem) -> bool:
    """Whether body and files of a send may still be asked for: it may yet leave, or its user may send its draft."""
    return not item.phase.final or (item.phase is Phase.FAILED and item.reason in LEAVES_ITS_DRAFT)


def is_under_way(item: OutboxItem) -> bool:
    """Whether a send has work before it, so that it needs all that it has, however old it is."""
    return not item.phase.final and item.due_at is not None


def bare_send(item: OutboxItem) -> OutboxItem:
    """A send without its people and words."""
    return replace(
        item,
        to=(),
        cc=(),
        bcc=(),
        subject="",
        files=_bare_files(item.files),
        crm_context="{}",
        contact_ids=(),
        detail=None,
        warnings=(),
    )


def bare_record(record: MessageRecord) -> MessageRecord:
    """A message's record without names of files, and without whom its bounces are about."""
    bounces = (replace(bounce, recipient=None, diagnostic_code=None) for bounce in record.bounces)
    return replace(record, files=_bare_files(record.files), detail=None, bounces=tuple(bounces))


def bare_thread(thread: Thread) -> Thread:
    """A thread in which nobody wrote for long: its people are hidden, its subject goes. The CRM's own ids stay."""
    return replace(thread, participants=tuple(_hidden(thread.participants, thread.thread_id)), subject="")


def bare_index(index: MessageIndex) -> MessageIndex:
    """What a Message-ID leads to, with hidden authors."""
    others = (replace(each, author=_hidden_author(each.author, index)) for each in index.others)
    return replace(index, author=_hidden_author(index.author, index), others=tuple(others))


def _bare_files(files: tuple[StagedFile, ...]) -> tuple[StagedFile, ...]:
    return tuple(replace(file, name="", content_id=None, url=None) for file in files)


def _hidden_author(author: str, index: MessageIndex) -> str:
    if author in {THE_USER, NOBODY}:
        return author
    return next(iter(_hidden([author], index.thread_id)))


def _hidden(addresses: Iterable[str], thread_id: str) -> Iterable[str]:
    """One salt for a thread: who takes part in two threads is not seen to be the same."""
    salt = digest("salt", thread_id)[:SALT_CHARACTERS]
    return (hidden_address(address, salt) for address in addresses)


def next_look(now: datetime, *ends: datetime | None) -> datetime:
    """When to look again: as soon as the first of what is kept is over, but not more often than once a day.

    After a week in any case: what is told from now on is over then at the earliest.
    """
    return max(now + LOOK_EVERY, min([now + KEPT_ONCE_TOLD, *filter(None, ends)]))


def first_erasure(now: datetime) -> Task:
    """The walk that begins with a mailbox's first connection; from then on there is always one planned."""
    return Task(now + KEPT_ONCE_TOLD, TaskKind.ERASE, "")
