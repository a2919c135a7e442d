"""For operators: the held mails of a tenant, by ids alone, and a look at all of them now (R14)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

from shared.domain.errors import RowChanged, RowMissing
from shared.domain.model import MailboxRef, Seen, TaskKind
from shared.mailbox_context import MailboxContext
from shared.services import Services
from shared.state.codec import Stored
from shared.sync.events.rendering import iso_time
from shared.sync.mailbox.unit_of_work import write


@dataclass(frozen=True, slots=True)
class HeldMail:
    """A held mail and where it lies."""

    mailbox: MailboxRef
    seen: Stored[Seen]


async def find_held(s: Services, tenant_id: str) -> list[HeldMail]:
    """All of a tenant, by mailbox and the time of the next look; reads every task of the tenant once."""
    found: list[HeldMail] = []
    async for ref, task in s.ledger.tasks_of_tenant(tenant_id):
        if task.kind is TaskKind.LOOK_AGAIN:
            stored = await s.ledger.find(ref, Seen, task.ref)
            found += [HeldMail(ref, stored)] if stored is not None and stored.value.held is not None else []
    return found


async def look_now(s: Services, found: list[HeldMail]) -> None:
    """Make each of them due now; one that a worker has just looked at is left alone."""
    for mail in found:
        ctx, seen = MailboxContext(s, mail.mailbox), mail.seen.value
        if seen.held is None:
            continue
        due = replace(seen, held=replace(seen.held, look_at=ctx.now()))
        with suppress(RowChanged, RowMissing):
            # Loses to the worker that looks at it.
            await write(ctx, mail.seen.changed(due))


def describe_held(mail: HeldMail) -> dict[str, object]:
    """What an operator sees of one: ids, times and the reason, never a word of the mail."""
    seen, held = mail.seen.value, mail.seen.value.held
    return {
        "mailbox_id": mail.mailbox.mailbox_id,
        "graph_message_id": seen.graph_message_id,
        "message_id": seen.message_id or None,
        "thread_id": seen.thread_id or None,
        "reason": seen.reason.value if seen.reason else None,
        "since": iso_time(held.since) if held else None,
        "looks": held.looks if held else 0,
        "next_look_at": iso_time(held.look_at) if held else None,
    }
