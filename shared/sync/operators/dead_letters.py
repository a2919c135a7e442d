"""Dead letters, listed and shown: to operators whole, to the CRM those of its tenant that hold nothing foreign (E-30).

What a notification or a list pointed at may be foreign mail. The CRM sees work on a mail only where evidence had led it
to a thread.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from shared.domain.errors import KeyUnavailable, MalformedBody, NotFound, SealBroken, UnknownForm
from shared.domain.model import Event, MailboxRef, OutboxItem, Seen, TaskKind
from shared.mailbox_context import MailboxContext
from shared.services import Services
from shared.state.dead_letters import NOBODY, DeadLetter, KeptLetter
from shared.sync.events.endpoint import ENDPOINT
from shared.sync.operators.pages import Walk, take_page
from shared.sync.operators.times import to_the_second
from shared.sync.queueing.jobs import TaskMessage, decode_job

ABOUT_MAIL: Final = (TaskKind.RETRY_IMPORT.value, TaskKind.LOOK_AGAIN.value)
PAGE: Final = 100
OF_THE_MAILBOX: Final = (
    TaskKind.SEND.value,
    TaskKind.DELIVER.value,
    TaskKind.SWEEP.value,
    TaskKind.RENEW.value,
    TaskKind.ENQUEUE_WAITING.value,
    TaskKind.ERASE.value,
    TaskKind.CLOSE.value,
    TaskKind.AUDIT.value,
    ENDPOINT,
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which dead letters are meant: all of these that are given must agree.

    `cause`: its beginning. `since`: it last happened then or later. `again`: those that were replayed already, too.
    """

    tenant_id: str | None = None
    mailbox_id: str | None = None
    work: str | None = None
    cause: str | None = None
    since: datetime | None = None
    again: bool = True

    def holds(self, letter: DeadLetter) -> bool:
        """Whether this dead letter is meant."""
        given = (
            (self.tenant_id, letter.tenant_id),
            (self.mailbox_id, letter.mailbox_id),
            (self.work, letter.work),
        )
        return (
            all(wanted in {None, found} for wanted, found in given)
            and letter.cause.startswith(self.cause or "")
            and (self.since is None or letter.at >= self.since)
            and (self.again or not letter.is_replayed)
        )


ALL: Final = Wanted()


async def find_letters(s: Services, wanted: Wanted) -> list[KeptLetter]:
    """Those dead letters, the oldest first; for commands, since all are read, or all of the tenant that is meant."""
    every = s.dead_letters.all() if wanted.tenant_id is None else _of_tenant(s, wanted.tenant_id)
    found = [kept async for kept in every if wanted.holds(kept.letter)]
    return sorted(found, key=lambda kept: (kept.letter.at, kept.letter_id))


async def _of_tenant(s: Services, tenant_id: str) -> AsyncIterator[KeptLetter]:
    after = ""
    while page := await s.dead_letters.of_tenant(tenant_id, after, PAGE):
        for kept in page:
            yield kept
        after = page[-1].letter_id


async def find_letter(s: Services, letter_id: str) -> KeptLetter:
    """The dead letter with this id, whoever owns it; for commands. Raises NotFound."""
    async for kept in s.dead_letters.all(letter_id):
        return kept
    raise NotFound


def describe_letter(kept: KeptLetter) -> dict[str, Any]:
    """What an operator sees in the list: whose, what, why, when; no word and no id of a mail."""
    letter = kept.letter
    return {
        "id": kept.letter_id,
        "tenant_id": letter.tenant_id if letter.tenant_id != NOBODY else None,
        "mailbox_id": letter.mailbox_id or None,
        "work": letter.work or None,
        "queue": letter.queue,
        "cause": letter.cause,
        "first_at": to_the_second(letter.first_at or letter.at),
        "last_at": to_the_second(letter.at),
        "times": letter.times,
        "replayed_at": to_the_second(letter.replayed_at) if letter.replayed_at else None,
    }


async def show_letter(s: Services, kept: KeptLetter) -> dict[str, Any]:
    """The same with the payload unsealed, which holds ids alone, and where the error came up."""
    try:
        payload = await s.dead_letters.payload_of(kept)
    except (SealBroken, KeyUnavailable) as err:
        payload = f"cannot be unsealed: {type(err).__name__}"
    return {**describe_letter(kept), "stack": kept.letter.stack or None, "payload": payload}


async def told_letters(
    s: Services, tenant_id: str, after: str, wanted: Wanted = ALL
) -> Walk[tuple[KeptLetter, dict[str, Any]]]:
    """The tenant's dead letters behind that id that are meant, by id, with what the API shows; no foreign ones."""
    while page := await s.dead_letters.of_tenant(tenant_id, after, PAGE):
        for kept in page:
            if wanted.holds(kept.letter):
                told = await tell_letter(s, kept)
                yield kept.letter_id, (kept, told) if told is not None else None
        after = page[-1].letter_id
        yield after, None


async def list_told_letters(s: Services, tenant_id: str, after: str, limit: int) -> dict[str, Any]:
    """A page of them."""
    page, further = await take_page(told_letters(s, tenant_id, after), limit)
    return {"dead_letters": [told for _, told in page], "next": further}


async def find_told_letter(s: Services, tenant_id: str, letter_id: str) -> tuple[KeptLetter, dict[str, Any]]:
    """A dead letter that the CRM may see, and what it sees. Raises NotFound, the same for foreign ones (X-5)."""
    kept = await s.dead_letters.find(tenant_id, letter_id)
    told = await tell_letter(s, kept) if kept is not None else None
    if kept is None or told is None:
        raise NotFound
    return kept, told


async def tell_letter(s: Services, kept: KeptLetter) -> dict[str, Any] | None:
    """What the CRM sees of a dead letter; None where it may be about foreign mail, or nobody can tell."""
    letter = kept.letter
    if letter.work not in (*OF_THE_MAILBOX, *ABOUT_MAIL):
        return None
    concerns = {"message_id": None, "thread_id": None, "event_id": None}
    if letter.work != ENDPOINT:
        found = await find_concerned(s, kept)
        if found is None:
            return None
        concerns |= found
    return {
        "id": kept.letter_id,
        "mailbox_id": letter.mailbox_id or None,
        "work": letter.work,
        "cause": letter.cause,
        **concerns,
        "first_at": letter.first_at or letter.at,
        "last_at": letter.at,
        "times": letter.times,
        "replayed_at": letter.replayed_at,
    }


async def find_concerned(s: Services, kept: KeptLetter) -> dict[str, Any] | None:
    """Which message, thread or event it is about; None where it may be foreign mail, or nobody can read what it is."""
    letter = kept.letter
    try:
        job = decode_job(TaskMessage, await s.dead_letters.payload_of(kept))
        return await _concerned_by(s, letter.work, job)
    except (MalformedBody, UnknownForm, SealBroken, KeyUnavailable):
        return None


async def _concerned_by(s: Services, work: str, job: TaskMessage) -> dict[str, Any] | None:
    """The same of a task. Raises UnknownForm where only a newer version reads its row."""
    ctx, ref = MailboxContext(s, MailboxRef(job.tenant_id, job.mailbox_id)), job.task.ref
    if work in ABOUT_MAIL:
        seen = await ctx.find(Seen, ref)
        if seen is None or not seen.value.thread_id:
            return None
        return {"message_id": seen.value.message_id, "thread_id": seen.value.thread_id}
    if work == TaskKind.SEND:
        item = await ctx.find(OutboxItem, ref)
        return {"message_id": item.value.message_id, "thread_id": item.value.thread_id} if item else {}
    if work == TaskKind.DELIVER:
        event = await ctx.find(Event, ref)
        return {"event_id": event.value.event_id, "message_id": event.value.message_id} if event else {}
    return {}
