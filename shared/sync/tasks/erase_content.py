"""Erase the words and files of a mailbox's mails when their time is over; ids, times and reasons stay (D-1, F-5).

One walk a day through the events that are old enough, instead of a task for each: so keeping nothing costs no
transaction when a mail is synced, and a few for each hundred mails afterwards. The walk's own task says in `ref`
behind which event the next one begins, then after semicolons the same of the walk that erases people (`erase_people`)
and up to which time bytes were looked at that no row may name (`erase_unnamed`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from shared.domain import retention
from shared.domain.model import Event, MessageRecord, OutboxItem, StagedFile, Task, TaskKind
from shared.mailbox_context import MailboxContext
from shared.services import Services
from shared.state import keys
from shared.state.codec import Stored
from shared.state.sessions import Upload
from shared.sync.events.announce import BOUNCED, FAILED, NOT_SYNCED, RECEIVED, SENT
from shared.sync.mailbox.task_rows import move_task
from shared.sync.mailbox.unit_of_work import write
from shared.sync.tasks.erase_people import erase_people, find_old_events, is_history_erased
from shared.sync.tasks.erase_unnamed import erase_unnamed, is_taken

PAGE: Final = 50  # of these all fit one transaction
MOST_A_WALK: Final = 200
MOST_A_RUN: Final = 200
SOON: Final = timedelta(minutes=1)
OF_MAIL: Final = (SENT, RECEIVED, NOT_SYNCED, BOUNCED)


@dataclass(frozen=True, slots=True)
class _Walk:
    """How far a walk came: where the next begins, when the first of what is kept is over; or it stopped half-way."""

    begin: str
    ends: tuple[datetime | None, ...] = ()
    half_way: bool = False


async def erase_content(ctx: MailboxContext, task: Task) -> None:
    """All walks, each from where its last one ended, and the lines that only tell what happened."""
    told, old, looked, *_ = *task.ref.split(";"), "", ""
    content = await _walk(ctx, told)
    people, people_end, people_left = await erase_people(ctx, old)
    looked, blobs_end, blobs_left = await erase_unnamed(ctx, looked)
    done = await is_history_erased(ctx)
    ref = f"{content.begin};{people};{looked}"
    if content.half_way or people_left or blobs_left or not done:
        await move_task(ctx, task, Task(ctx.now() + SOON, TaskKind.ERASE, ref))
        return
    due_at = retention.next_look(ctx.now(), *content.ends, people_end, blobs_end)
    await move_task(ctx, task, Task(due_at, TaskKind.ERASE, ref))


async def _walk(ctx: MailboxContext, begin: str) -> _Walk:
    """Walk from where the last walk ended. What is not over yet holds the beginning of the next walk back."""
    now, after, erased = ctx.now(), begin, 0
    kept: datetime | None = None
    while erased < MOST_A_WALK:
        page, youngest = await find_old_events(ctx, after, retention.KEPT_ONCE_TOLD, PAGE)
        if not page:
            return _Walk(begin, (kept, youngest))
        full = [event for event in page if event.value.type in (*OF_MAIL, FAILED) and not event.value.erased]
        over = [event for event in full if retention.content_until(event.value) <= now]
        await _erase(ctx, over)
        erased += len(over)
        waits = [retention.content_until(event.value) for event in full if event not in over]
        kept = min([*waits, *([kept] if kept else [])], default=None)
        after = page[-1].value.ref
        begin = after if kept is None else begin
    return _Walk(begin, half_way=True)


async def _erase(ctx: MailboxContext, over: list[Stored[Event]]) -> None:
    """Bytes first, rows then: a crash between is done again. What says why a send failed has no words of a mail."""
    for event in over:
        for blob in await _find_blobs(ctx, event.value):
            await ctx.services.blobs.delete(keys.STAGING, blob)
    failed = [
        event.changed(replace(event.value, erased=True)) for event in over if event.value.type == FAILED
    ]
    told = [
        event.changed(replace(event.value, erased=True, body=None, body_blob=None))
        for event in over
        if event.value.type in OF_MAIL
    ]
    if over:
        # Loses to a delivery of one of these events; the walk is then repeated.
        await write(ctx, *failed, *told)


async def _find_blobs(ctx: MailboxContext, event: Event) -> list[str]:
    """The blobs of an event's mail: its body, its files, and those of its send where nobody needs them any more."""
    record = await ctx.find(MessageRecord, event.message_id or "")
    # What is told again later has an event of its own, and the files are that one's.
    told_here = record is not None and record.value.event_ref in {None, event.ref}
    found = [event.body_blob, *_of_files(record.value.files if record and told_here else ())]
    key = record.value.key if record else None
    item = await ctx.find(OutboxItem, key) if key is not None else None
    if item is not None and not retention.is_needed(item.value):
        found += [item.value.body_blob, *_of_files(item.value.files)]
    return [blob for blob in found if blob]


def _of_files(files: tuple[StagedFile, ...]) -> list[str | None]:
    return [file.blob for file in files]


async def erase_ended(s: Services) -> dict[str, int]:
    """One slice of the short-lived rows whose time is over; returns how many were `erased`.

    What nobody came for: unconfirmed sign-ins with their tokens, uploads with their bytes, all that ended.
    """

    async def release(tenant_id: str, upload: Upload) -> None:
        if upload.file.blob and not await is_taken(s, tenant_id, upload):
            await s.blobs.delete(keys.STAGING, upload.file.blob)

    return {"erased": await s.sessions.erase_ended(MOST_A_RUN, release)}


async def erase_ended_letters(s: Services) -> dict[str, int]:
    """One slice of the dead letters whose 30 days are over; returns how many notes of ends were read, as `erased`."""
    return {"erased": await s.dead_letters.erase_ended(s.clock.now(), MOST_A_RUN)}
