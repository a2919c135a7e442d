"""For operators' commands: held mails, and those that are not held yet, shown and looked at again at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from shared.domain.model import MessageRecord, Seen, TaskKind
from shared.mailbox_context import MailboxContext
from shared.services import Services
from shared.sync.mailbox.grant import EVER
from shared.sync.mailbox.task_rows import move_task
from shared.sync.operators.held_mails import AT_ONCE, HeldMail, look_now, walk_held
from shared.sync.operators.pages import take_page
from shared.sync.operators.times import to_the_second

LOOKED_WITHIN_SECONDS: Final = 30
NOT_READ_YET: Final = "not_read_yet"


async def find_held(s: Services, tenant_id: str, mailbox_id: str | None = None) -> list[HeldMail]:
    """All of a tenant or of one mailbox, page by page; those that could not be read and are not held yet as well."""
    found: list[HeldMail] = []
    further: str | None = ""
    while further is not None:
        page, further = await take_page(walk_held(s, tenant_id, further, mailbox_id, tried=True), AT_ONCE)
        found += page
    places = {(mail.mailbox, mail.seen.value.graph_message_id): mail for mail in found}
    return list(places.values())  # one that was looked at meanwhile came twice


def describe_held(mail: HeldMail, now: Seen | None = None) -> dict[str, Any]:
    """What an operator sees of it: ids, times and the reason, never a word of the mail. `now`: as it was read anew."""
    seen = now or mail.seen.value
    reason = seen.reason.value if seen.reason else None
    return {
        "mailbox_id": mail.mailbox.mailbox_id,
        "graph_message_id": seen.graph_message_id,
        "message_id": seen.message_id or None,
        "thread_id": seen.thread_id or None,
        "reason": NOT_READ_YET if mail.task is not None and now is None else reason,
        "since": to_the_second(seen.held.since) if seen.held else None,
        "looks": seen.held.looks if seen.held else None,
        "next_look_at": to_the_second(seen.held.look_at) if seen.held else None,
    }


async def ask_for_looks(s: Services, found: Iterable[HeldMail]) -> list[HeldMail]:
    """Make each of them due now, held or not yet; a look in vain counts for nothing. Returns those that are due."""
    mails = list(found)
    made = await look_now(s, [mail for mail in mails if mail.task is None])
    for mail in mails:
        if mail.task is not None:
            ctx = MailboxContext(s, mail.mailbox)
            due = replace(mail.task, due_at=ctx.now(), attempts=max(mail.task.attempts - 1, 1))
            await move_task(ctx, mail.task, due)
            made.append(replace(mail, task=due))
    return made


async def wait_for_looks(s: Services, made_due: Sequence[HeldMail]) -> list[dict[str, Any]]:
    """What has become of them once a worker has looked at each, or after half a minute."""
    for _ in range(LOOKED_WITHIN_SECONDS):
        looked = [await _was_looked_at(s, mail, await _present(s, mail)) for mail in made_due]
        if all(looked):
            break
        await s.sleep(1.0)
    return [
        {**describe_held(mail, now), "outcome": await _outcome(s, mail, now)}
        for mail, now in [(mail, await _present(s, mail)) for mail in made_due]
    ]


def count_outcomes(shown: Sequence[Mapping[str, object]]) -> str:
    """What came of the looks, in a line."""
    counts = Counter(str(mail["outcome"]).partition(":")[0] for mail in shown)
    if not counts:
        return "nothing was looked at: no mail that is meant is held, or each is being looked at"
    return ", ".join(f"{number} {outcome}" for outcome, number in counts.items())


async def _present(s: Services, mail: HeldMail) -> Seen | None:
    stored = await MailboxContext(s, mail.mailbox).find(Seen, mail.seen.value.graph_message_id)
    return stored.value if stored is not None else None


async def _was_looked_at(s: Services, mail: HeldMail, now: Seen | None) -> bool:
    if mail.task is not None:
        return now is not None or await s.ledger.task(mail.mailbox, mail.task) is None
    before = mail.seen.value.held
    return now is None or now.held is None or before is None or now.held != before


async def _outcome(s: Services, mail: HeldMail, now: Seen | None) -> str:
    """In words for people: how it stands now."""
    if not await _was_looked_at(s, mail, now):
        return "not looked at yet: do the workers run?"
    if now is None and mail.task is not None and await _is_still_tried(s, mail):
        return "still not read"
    if now is None:
        return "forgotten: it belongs to no thread, or is gone"
    if now.held is not None:
        return "still held"
    record = await MailboxContext(s, mail.mailbox).find(MessageRecord, now.message_id or "-")
    return record.value.status.value if record is not None else "decided"


async def _is_still_tried(s: Services, mail: HeldMail) -> bool:
    name = mail.seen.value.graph_message_id
    tasks = await s.ledger.tasks(mail.mailbox, s.clock.now() + EVER, None)
    return any(task.value.kind is TaskKind.RETRY_IMPORT and task.value.ref == name for task in tasks)
