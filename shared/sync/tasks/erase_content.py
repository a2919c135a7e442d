"""Erase the words and files of a mailbox's mails when their time is over; ids, times and reasons stay (D-1, F-5).

One walk a day through the events that are old enough, instead of an alarm for each: so keeping nothing costs no
transaction when a mail is synced, and a few for each hundred mails afterwards. The walk's own alarm says in `ref`
behind which event the next one begins.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from shared.domain import retention
from shared.domain.errors import RowExists, RowMissing
from shared.domain.model import Event, MailboxRef, MessageRecord, OutboxItem, StagedFile, Task, TaskKind
from shared.domain.retries import PutOff
from shared.services import Services
from shared.state import keys
from shared.state.codec import Stored
from shared.state.ledger import Erase, new
from shared.sync.events.announce import FAILED, NOT_SYNCED, RECEIVED, SENT
from shared.sync.mailbox.failures import Failed

PAGE: Final = 50  # of these all fit one transaction
MOST_A_WALK: Final = 200
SOON: Final = timedelta(minutes=1)
OF_MAIL: Final = (SENT, RECEIVED, NOT_SYNCED)


def first_look(now: datetime) -> Task:
    """The alarm that begins with a mailbox's first connection; from then on there is always one."""
    return Task(now + retention.KEPT_ONCE_TOLD, TaskKind.ERASE, "")


async def erase_content(s: Services, mailbox: MailboxRef, task: Task) -> None:
    """Walk from where the last walk ended. What is not over yet holds the beginning of the next walk back."""
    if not await s.ledger.has(mailbox, task):
        return
    now, after, begin, erased = s.clock.now(), task.ref, task.ref, 0
    kept: datetime | None = None
    while erased < MOST_A_WALK:
        page = [one for one in await s.ledger.events(mailbox, after, PAGE) if _is_old(one.value, now)]
        if not page:
            due_at = retention.next_look(now, kept, await _youngest(s, mailbox, after))
            await _move(s, mailbox, task, Task(due_at, TaskKind.ERASE, begin))
            return
        full = [one for one in page if one.value.type in (*OF_MAIL, FAILED) and not one.value.erased]
        over = [one for one in full if retention.content_until(one.value) <= now]
        await _erase(s, mailbox, over)
        erased += len(over)
        waits = [retention.content_until(one.value) for one in full if one not in over]
        kept = min([*waits, *([kept] if kept else [])], default=None)
        after = page[-1].value.ref
        begin = after if kept is None else begin
    await _move(s, mailbox, task, Task(now + SOON, TaskKind.ERASE, begin))


def _is_old(event: Event, now: datetime) -> bool:
    return event.at + retention.KEPT_ONCE_TOLD <= now


async def _youngest(s: Services, mailbox: MailboxRef, after: str) -> datetime | None:
    found = await s.ledger.events(mailbox, after, 1)
    return found[0].value.at if found else None


async def reschedule_erasing(s: Services, mailbox: MailboxRef, task: Task, failed: Failed) -> None:
    """Look again later; after a dead letter tomorrow."""
    if isinstance(failed.verdict, PutOff):
        await _move(s, mailbox, task, replace(task, due_at=failed.until, attempts=failed.verdict.attempts))
    else:
        await _move(s, mailbox, task, Task(failed.at + retention.LOOK_EVERY, TaskKind.ERASE, task.ref))


async def _move(s: Services, mailbox: MailboxRef, old: Task, fresh: Task) -> None:
    """Of two workers that were rung for it, one finds it gone."""
    try:
        await s.ledger.write(mailbox, Erase(old), new(fresh))
    except (RowMissing, RowExists):
        return


async def _erase(s: Services, mailbox: MailboxRef, over: list[Stored[Event]]) -> None:
    """Bytes first, rows then: a crash between is done again. What says why a send failed has no words of a mail."""
    for one in over:
        for blob in await _blobs(s, mailbox, one.value):
            await s.blobs.delete(keys.STAGING, blob)
    failed = [one.changed(replace(one.value, erased=True)) for one in over if one.value.type == FAILED]
    told = [
        one.changed(replace(one.value, erased=True, body=None, body_blob=None))
        for one in over
        if one.value.type in OF_MAIL
    ]
    if over:
        await s.ledger.write(mailbox, *failed, *told)


async def _blobs(s: Services, mailbox: MailboxRef, event: Event) -> list[str]:
    record = await s.ledger.find(mailbox, MessageRecord, event.message_id or "")
    found = [event.body_blob, *_of_files(record.value.files if record else ())]
    key = record.value.key if record else None
    item = await s.ledger.find(mailbox, OutboxItem, key) if key is not None else None
    if item is not None and not retention.is_needed(item.value):
        found += [item.value.body_blob, *_of_files(item.value.files)]
    return [one for one in found if one]


def _of_files(files: tuple[StagedFile, ...]) -> list[str | None]:
    return [one.blob for one in files]
