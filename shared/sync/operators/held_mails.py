"""The held mails of a tenant, by ids alone: listed, shown, and looked at again at once (R14, E-30).

One of which nobody knows whose it is has neither message nor thread; the CRM never sees it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from shared.domain import ids
from shared.domain.errors import NotFound, RowChanged, RowMissing, UnknownForm
from shared.domain.held import asked_for
from shared.domain.model import MailboxRef, MessageRecord, Reason, Seen, TaskKind
from shared.domain.reasons import reason_data
from shared.mailbox_context import MailboxContext
from shared.services import Services
from shared.state.codec import Stored
from shared.sync.mailbox.grant import EVER
from shared.sync.mailbox.unit_of_work import write
from shared.sync.operators.times import to_the_second

LOOKED_WITHIN_SECONDS: Final = 30


@dataclass(frozen=True, slots=True)
class HeldMail:
    """A held mail and where it lies."""

    mailbox: MailboxRef
    seen: Stored[Seen]

    @property
    def is_of_a_thread(self) -> bool:
        """Whether it is known to belong to a thread; else it may be foreign."""
        return bool(self.seen.value.thread_id)

    def is_called(self, name: str) -> bool:
        """Whether this is one of its ids: Graph's, or ours of its message."""
        return name in {self.seen.value.graph_message_id, self.seen.value.message_id}


async def find_held(s: Services, tenant_id: str) -> list[HeldMail]:
    """All of a tenant, by mailbox and the time of the next look; reads every task of the tenant once, for commands."""
    found: list[HeldMail] = []
    async for ref, task in s.ledger.tasks_of_tenant(tenant_id):
        if task.kind is TaskKind.LOOK_AGAIN:
            found += await _held_as(s, ref, task.ref)
    return found


async def list_told_held(s: Services, tenant_id: str, after: str, limit: int) -> dict[str, Any]:
    """A page of those that are of a thread, by mailbox and message, as the API shows them."""
    page: list[HeldMail] = []
    for mailbox_id in sorted(await s.tenants.mailboxes(tenant_id)):
        ref = MailboxRef(tenant_id, mailbox_id)
        if len(page) <= limit and _place(ref, "~") > after:
            held = [mail for mail in await _held_of(s, ref) if mail.is_of_a_thread]
            page += [mail for mail in held if _place_of(mail) > after]
    page = sorted(page, key=_place_of)
    more = len(page) > limit
    return {
        "held_messages": [show_told_held(mail) for mail in page[:limit]],
        "next": _place_of(page[limit - 1]) if more else None,
    }


async def find_all_told_held(s: Services, tenant_id: str) -> list[HeldMail]:
    """All of a tenant that are of a thread; those of nobody are passed over."""
    refs = [MailboxRef(tenant_id, mailbox_id) for mailbox_id in await s.tenants.mailboxes(tenant_id)]
    return [mail for ref in refs for mail in await _held_of(s, ref) if mail.is_of_a_thread]


async def find_told_held(s: Services, tenant_id: str, message_id: str) -> HeldMail:
    """The held mail that is this message of a thread. Raises NotFound, also for a message that is not held (X-5)."""
    mailbox_id = ids.mailbox_of(message_id, "msg")
    found = await _held_of(s, MailboxRef(tenant_id, mailbox_id)) if mailbox_id is not None else []
    for mail in found:
        if mail.is_of_a_thread and mail.seen.value.message_id == message_id:
            return mail
    raise NotFound


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


async def wait_for_looks(s: Services, made_due: Sequence[HeldMail]) -> list[dict[str, Any]]:
    """What has become of them once a worker has looked at each, or after half a minute."""
    for _ in range(LOOKED_WITHIN_SECONDS):
        present = [await _present(s, mail) for mail in made_due]
        if all(_was_looked_at(mail, now) for mail, now in zip(made_due, present, strict=True)):
            break
        await s.sleep(1.0)
    return [
        {**describe_held(mail, now), "outcome": await _outcome(s, mail, now)}
        for mail, now in [(mail, await _present(s, mail)) for mail in made_due]
    ]


async def _present(s: Services, mail: HeldMail) -> Seen | None:
    stored = await MailboxContext(s, mail.mailbox).find(Seen, mail.seen.value.graph_message_id)
    return stored.value if stored is not None else None


def _was_looked_at(mail: HeldMail, now: Seen | None) -> bool:
    before = mail.seen.value.held
    return now is None or now.held is None or before is None or now.held != before


async def _outcome(s: Services, mail: HeldMail, now: Seen | None) -> str:
    """In words for people: how it stands now."""
    if now is None:
        return "forgotten: it belongs to no thread, or is gone"
    if now.held is not None:
        return "still held" if _was_looked_at(mail, now) else "not looked at yet: do the workers run?"
    record = await MailboxContext(s, mail.mailbox).find(MessageRecord, now.message_id or "-")
    return record.value.status.value if record is not None else "decided"


def describe_held(mail: HeldMail, now: Seen | None = None) -> dict[str, Any]:
    """What an operator sees of it: ids, times and the reason, never a word of the mail. `now`: as it was read anew."""
    seen = now or mail.seen.value
    return {
        "mailbox_id": mail.mailbox.mailbox_id,
        "graph_message_id": seen.graph_message_id,
        "message_id": seen.message_id or None,
        "thread_id": seen.thread_id or None,
        "reason": seen.reason.value if seen.reason else None,
        "since": to_the_second(seen.held.since) if seen.held else None,
        "looks": seen.held.looks if seen.held else None,
        "next_look_at": to_the_second(seen.held.look_at) if seen.held else None,
    }


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


async def _held_of(s: Services, ref: MailboxRef) -> list[HeldMail]:
    tasks = [stored.value for stored in await s.ledger.tasks(ref, s.clock.now() + EVER, None)]
    names = dict.fromkeys(task.ref for task in tasks if task.kind is TaskKind.LOOK_AGAIN)
    return [mail for name in names for mail in await _held_as(s, ref, name)]


async def _held_as(s: Services, ref: MailboxRef, graph_message_id: str) -> list[HeldMail]:
    """The mail held under this id; none where it is held no more, or only a newer version reads its row."""
    try:
        stored = await s.ledger.find(ref, Seen, graph_message_id)
    except UnknownForm:
        return []
    return [HeldMail(ref, stored)] if stored is not None and stored.value.held is not None else []


def _place(ref: MailboxRef, name: str) -> str:
    return f"{ref.mailbox_id}|{name}"


def _place_of(mail: HeldMail) -> str:
    return _place(mail.mailbox, mail.seen.value.message_id)
