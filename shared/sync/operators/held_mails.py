"""The held mails of a tenant, by ids alone: listed a page at a time, and looked at again at once (R14, E-30).

One of which nobody knows whose it is has neither message nor thread; the CRM never sees it.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from shared.domain import ids
from shared.domain.errors import NotFound, RowChanged, RowMissing, UnknownForm
from shared.domain.held import asked_for
from shared.domain.model import Held, MailboxRef, MessageRecord, Reason, Seen, Task, TaskKind
from shared.domain.reasons import reason_data
from shared.mailbox_context import MailboxContext
from shared.services import Services
from shared.state.codec import Stored
from shared.sync.mailbox.unit_of_work import write
from shared.sync.operators.pages import Walk, take_page

AT_ONCE: Final = 200
BEHIND_ALL: Final = "~"  # sorts behind every task


@dataclass(frozen=True, slots=True)
class HeldMail:
    """A held mail and where it lies; or, with its `task`, one that could not be read so far and is not held yet."""

    mailbox: MailboxRef
    seen: Stored[Seen]
    task: Task | None = None

    @property
    def is_of_a_thread(self) -> bool:
        """Whether it is known to belong to a thread; else it may be foreign."""
        return bool(self.seen.value.thread_id)

    def is_called(self, name: str) -> bool:
        """Whether this is one of its ids: Graph's, or ours of its message."""
        return bool(name) and name in {self.seen.value.graph_message_id, self.seen.value.message_id}


async def walk_held(
    s: Services, tenant_id: str, after: str = "", mailbox_id: str | None = None, *, tried: bool = False
) -> Walk[HeldMail]:
    """All of a tenant behind that place, or of one mailbox, by mailbox and the time of the next look.

    One that is looked at meanwhile may come a second time. `tried`: with those that could not be read and are not held
    yet, which is for operators alone.
    """
    at, _, behind = after.partition("|")
    while mailboxes := await _mailboxes(s, tenant_id, at, mailbox_id):
        for each in mailboxes:
            ref = MailboxRef(tenant_id, each)
            async for place, mail in _walk_mailbox(s, ref, behind if each == at else "", tried=tried):
                yield f"{each}|{place}", mail
        at = f"{mailboxes[-1]}{BEHIND_ALL}"


async def _mailboxes(s: Services, tenant_id: str, at: str, mailbox_id: str | None) -> list[str]:
    if mailbox_id is None:
        return list(await s.tenants.mailboxes_from(tenant_id, at, AT_ONCE))
    named = await s.tenants.mailboxes_from(tenant_id, mailbox_id, 1) if at <= mailbox_id else []
    return [each for each in named if each == mailbox_id]


async def _walk_mailbox(
    s: Services, ref: MailboxRef, behind: str, *, tried: bool = False, wanted: str | None = None
) -> Walk[HeldMail]:
    """Those of a mailbox; whatever else is due there costs a read for each AT_ONCE of it.

    `wanted`: those alone whose Graph id leads to this id of ours; no other one is read.
    """
    while True:
        tasks = await s.ledger.tasks_behind(ref, behind, AT_ONCE)
        for place, stored in tasks:
            task = stored.value if stored is not None else None
            if task is None or wanted not in {None, ids.inbound_message_id(ref.mailbox_id, task.ref)}:
                continue
            if task.kind is TaskKind.LOOK_AGAIN:
                yield place, await _held_as(s, ref, task.ref, task.due_at)
            elif task.kind is TaskKind.RETRY_IMPORT and tried:
                yield place, await _tried(s, ref, task)
        if len(tasks) < AT_ONCE:
            yield BEHIND_ALL, None
            return
        behind = tasks[-1][0]
        yield behind, None


async def _held_as(
    s: Services, ref: MailboxRef, graph_message_id: str, look_at: datetime | None = None
) -> HeldMail | None:
    """The mail held under this id; None where it is held no more, or only a newer version reads its row.

    `look_at`: only if it is looked at then, for a task may have been left of an earlier time.
    """
    try:
        stored = await s.ledger.find(ref, Seen, graph_message_id)
    except UnknownForm:
        return None
    held = stored.value.held if stored is not None else None
    if stored is None or held is None or look_at not in {None, held.look_at}:
        return None
    return HeldMail(ref, stored)


async def _tried(s: Services, ref: MailboxRef, task: Task) -> HeldMail | None:
    """A mail whose last look failed, shown as if it were held; None where a list has brought it meanwhile."""
    if not task.attempts or await s.ledger.find(ref, Seen, task.ref) is not None:
        return None
    since = task.since or task.due_at
    held = Held(task.due_at, since, 0, looks=task.attempts)
    return HeldMail(ref, Stored(Seen(task.ref, "", "", None, since, held)), task)


async def list_told_held(s: Services, tenant_id: str, after: str, limit: int) -> dict[str, Any]:
    """A page of those that are of a thread, as the API shows them."""
    page, further = await take_page(told_held(s, tenant_id, after), limit)
    return {"held_messages": [show_told_held(mail) for mail in page], "next": further}


async def told_held(s: Services, tenant_id: str, after: str, mailbox_id: str | None = None) -> Walk[HeldMail]:
    """Those that are of a thread; those of nobody are passed over."""
    async for place, mail in walk_held(s, tenant_id, after, mailbox_id):
        yield place, mail if mail is not None and mail.is_of_a_thread else None


async def find_told_held(s: Services, tenant_id: str, message_id: str) -> HeldMail:
    """The held mail that is this message of a thread. Raises NotFound, also for a message that is not held (X-5)."""
    mailbox_id = ids.mailbox_of(message_id, "msg")
    if mailbox_id is None:
        raise NotFound
    ref = MailboxRef(tenant_id, mailbox_id)
    record = await s.ledger.find(ref, MessageRecord, message_id)
    name = record.value.held_as if record is not None else None
    mail = await _held_as(s, ref, name) if name else await _search(s, ref, message_id)
    if mail is None or not mail.is_of_a_thread or mail.seen.value.message_id != message_id:
        raise NotFound
    return mail


async def _search(s: Services, ref: MailboxRef, message_id: str) -> HeldMail | None:
    """One that the CRM was not told of. As a rule its id follows from Graph's, so that no other one is read."""
    for follows in (True, False):
        found, _ = await take_page(_called(s, ref, message_id, follows=follows), 1)
        if found:
            return found[0]
    return None


async def _called(s: Services, ref: MailboxRef, message_id: str, *, follows: bool) -> Walk[HeldMail]:
    """Those of a mailbox with that id; `follows`: only where Graph's id leads to it."""
    wanted = message_id if follows else None
    async for place, mail in _walk_mailbox(s, ref, "", wanted=wanted):
        yield place, mail if mail is not None and mail.is_called(message_id) else None


async def look_now(s: Services, found: Iterable[HeldMail]) -> list[HeldMail]:
    """Make each of them due now, in vain looks of which are not counted. Returns those that this made due.

    One that a worker has just looked at is left alone.
    """
    made: list[HeldMail] = []
    for mail in found:
        ctx, seen = MailboxContext(s, mail.mailbox), mail.seen.value
        if seen.held is None:
            continue
        with suppress(RowChanged, RowMissing):
            # Loses to the worker that looks at it.
            due = mail.seen.changed(replace(seen, held=asked_for(seen.held, ctx.now())))
            await write(ctx, due)
            made.append(HeldMail(mail.mailbox, due))
    return made


def show_told_held(mail: HeldMail) -> dict[str, Any]:
    """What the CRM sees of one of a thread."""
    seen, held = mail.seen.value, mail.seen.value.held
    since: datetime | None = held.since if held else None
    return {
        "message_id": seen.message_id,
        "thread_id": seen.thread_id,
        "mailbox_id": mail.mailbox.mailbox_id,
        "reason": reason_data(seen.reason or Reason.MESSAGE_UNREADABLE),
        "held_since": since,
        "looks": held.looks if held else 0,
        "next_look_at": held.look_at if held else None,
    }
