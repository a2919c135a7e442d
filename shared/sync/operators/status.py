"""The state of a whole installation, for the operator's first look: what is silent, failing, late or incomplete."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from shared.domain.connection_status import find_trouble
from shared.domain.model import Audit, FenceState, Mailbox, MailboxRef, Tenant, Trouble
from shared.services import Services
from shared.state import keys
from shared.state.due import RENEWAL_TIMER, WORK_TIMER
from shared.sync.operators.asked_looks import find_held
from shared.sync.operators.open_letters import State, judge_letter
from shared.sync.operators.tenants import describe_tenants
from shared.sync.operators.times import to_the_second
from shared.sync.silence import find_silent_queues, find_silent_timers

# The user alone can mend these, and the CRM was told.
FOR_THE_USER: Final = (Trouble.CONSENT_REFUSED, Trouble.RIGHT_DENIED)
HELD_IS_NEW_FOR: Final = timedelta(days=7)
ENDED_IS_NEW_FOR: Final = timedelta(days=1)
SILENT: Final = "docs/runbook.md, Something is silent"
COMMAND: Final = "python -m shared.ops"


@dataclass(frozen=True, slots=True)
class Line:
    """What is shown of one thing, and what an operator is to do about it; None where nothing."""

    shown: dict[str, Any]
    to_do: str | None = None


async def describe_installation(s: Services) -> list[Line]:
    """A line for each timer and queue, and one for each chore, endpoint, mailbox and lot of work with trouble.

    Reads every tenant and mailbox; for commands.
    """
    return [
        *await _timers(s),
        *await _queues(s),
        *[
            Line(
                {
                    "chore": each.name,
                    "state": f"fails since {to_the_second(each.since)}",
                    "error": each.error,
                },
                f"chore {each.name} fails: see its lines chore.failed ({SILENT})",
            )
            for each in await s.chores.failing()
        ],
        *[_endpoint(tenant) for tenant in await describe_tenants(s) if tenant["endpoint"] != "open"],
        *[line async for line in _mailboxes(s)],
        *[line async for tenant in s.tenants.all() for line in await _held(s, tenant)],
        *await _dead_letters(s),
    ]


async def _timers(s: Services) -> list[Line]:
    """One that never ran is trouble where no timer has: the slower one may have had no time yet."""
    silent = {each.what.removeprefix("timer ") for each in await find_silent_timers(s)}
    timers = (("enqueue_due_work", WORK_TIMER), ("renew_subscriptions", RENEWAL_TIMER))
    passed = {name: await s.due.passed_until(timer) for name, timer in timers}
    lines = []
    for name, until in passed.items():
        state = "never ran" if until is None else "silent" if name in silent else "runs"
        shown = {"timer": name, "state": state, "done_until": to_the_second(until) if until else None}
        to_do = f"timer {name}, {state}: is the app up, does its host start ({SILENT})"
        is_amiss = name in silent or not any(passed.values())
        lines.append(Line(shown, to_do if is_amiss else None))
    return lines


async def _queues(s: Services) -> list[Line]:
    silent = {each.what.removeprefix("queue "): each.since for each in await find_silent_queues(s)}
    lines = []
    for queue in keys.QUEUES:
        state = f"nothing taken since {to_the_second(silent[queue])}" if queue in silent else "in time"
        shown = {"queue": queue, "state": state, "messages": await s.queues.count(queue)}
        to_do = f"queue {queue}, {state}: see the lines of its worker ({SILENT})"
        lines.append(Line(shown, to_do if queue in silent else None))
    return lines


def _endpoint(tenant: dict[str, Any]) -> Line:
    tenant_id, state = tenant["tenant_id"], f"endpoint {tenant['endpoint']}"
    then = f", then {COMMAND} open-endpoint {tenant_id}" if state.startswith("endpoint off") else ""
    return Line(
        {"tenant_id": tenant_id, "state": state}, f"{state} of {tenant_id}: tell the CRM's people{then}"
    )


async def _mailboxes(s: Services) -> AsyncIterator[Line]:
    async for tenant in s.tenants.all():
        for mailbox_id in await s.tenants.mailboxes(tenant.tenant_id):
            stored = await s.ledger.mailbox(MailboxRef(tenant.tenant_id, mailbox_id))
            if stored is None or stored.value.state is FenceState.CLOSED:
                continue
            shown = {"mailbox_id": mailbox_id, "tenant_id": tenant.tenant_id}
            for line in _of_mailbox(s, stored.value, shown):
                yield line


def _of_mailbox(s: Services, mailbox: Mailbox, shown: dict[str, Any]) -> list[Line]:
    """What is amiss with an open mailbox."""
    lines, trouble, audit = [], find_trouble(mailbox, s.clock.now()), mailbox.audited
    if trouble is not None:
        to_do = f"mailbox {shown['mailbox_id']} is late, {trouble.value}: docs/problems.md, Connections"
        lines.append(Line({**shown, "state": trouble.value}, None if trouble in FOR_THE_USER else to_do))
    if audit is not None and (audit.missing or audit.found_late):
        state = _incomplete(audit)
        to_do = f"mailbox {shown['mailbox_id']}, {state}: docs/runbook.md, Is everything there"
        lines.append(Line({**shown, "state": state}, to_do))
    return lines


def _incomplete(audit: Audit) -> str:
    """The figure is that of the last audit, so its time is said with it."""
    at = to_the_second(audit.ended_at or audit.began_at)
    return f"{audit.missing} of {audit.in_mailbox} mails missing, {audit.found_late} found late, audited {at}"


async def _held(s: Services, tenant: Tenant) -> list[Line]:
    """How many held mails a tenant has. One that is held for long is looked at daily, and the CRM knows of it."""
    tenant_id, now = tenant.tenant_id, s.clock.now()
    found = await find_held(s, tenant_id)
    held = [mail.seen.value.held for mail in found if mail.task is None]
    new = sum(1 for each in held if each is not None and now - each.since < HELD_IS_NEW_FOR)
    shown = {"held": len(held), "new": new, "not_read_yet": len(found) - len(held), "tenant_id": tenant_id}
    to_do = (
        f"{counted(new, 'held mail')} of {tenant_id}: {COMMAND} list-held {tenant_id}, mend, then replay-held"
    )
    return [Line(shown, to_do if new else None)] if found else []


async def _dead_letters(s: Services) -> list[Line]:
    """How many of each cause are still to be done; what has ended for good is news for a day."""
    counts: Counter[tuple[str, str]] = Counter()
    async for kept in s.dead_letters.all():
        state = await judge_letter(s, kept)
        is_news = s.clock.now() - kept.letter.at < ENDED_IS_NEW_FOR
        if state is State.OPEN or (state is State.ENDED and is_news):
            counts[kept.letter.cause, state.value] += 1
    return [
        Line(
            {"dead_letters": number, "cause": cause, "state": state},
            f"{counted(number, 'dead letter')}, {cause}, {state}: {COMMAND} list-dead-letters --cause '{cause}'"
            + (", mend, then replay-dead-letter" if state == State.OPEN else ""),
        )
        for (cause, state), number in sorted(counts.items())
    ]


def counted(number: int, name: str) -> str:
    """A number with its noun."""
    return f"{number} {name}" if number == 1 else f"{number} {name}s"
