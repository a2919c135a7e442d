"""The state of a whole installation, for the operator's first look: what is silent, failing, late or incomplete."""

from __future__ import annotations

from typing import Any

from shared.domain.connection_status import find_trouble
from shared.domain.model import FenceState, Mailbox, MailboxRef
from shared.services import Services
from shared.state import keys
from shared.state.due import RENEWAL_TIMER, WORK_TIMER
from shared.sync.operators.held_mails import find_held
from shared.sync.operators.tenants import describe_tenants
from shared.sync.operators.times import to_the_second
from shared.sync.silence import find_silent_queues, find_silent_timers


async def describe_installation(s: Services) -> list[dict[str, Any]]:
    """A row for each timer and queue, and one for each chore, endpoint, mailbox and lot of dead letters with trouble.

    Reads every tenant and mailbox once; for commands.
    """
    return [
        *await _timers(s),
        *await _queues(s),
        *[
            {"chore": chore.name, "state": f"fails since {to_the_second(chore.since)}", "error": chore.error}
            for chore in await s.chores.failing()
        ],
        *[
            {"tenant_id": tenant["tenant_id"], "state": f"endpoint {tenant['endpoint']}"}
            for tenant in await describe_tenants(s)
            if tenant["endpoint"] != "open"
        ],
        *await _mailboxes(s),
        *await _held(s),
        *await _dead_letters(s),
    ]


async def _timers(s: Services) -> list[dict[str, Any]]:
    silent = {each.what.removeprefix("timer ") for each in await find_silent_timers(s)}
    rows = []
    for name, timer in (("enqueue_due_work", WORK_TIMER), ("renew_subscriptions", RENEWAL_TIMER)):
        until = await s.due.passed_until(timer)
        state = "never ran" if until is None else "silent" if name in silent else "runs"
        rows.append({"timer": name, "state": state, "done_until": to_the_second(until) if until else None})
    return rows


async def _queues(s: Services) -> list[dict[str, Any]]:
    silent = {each.what.removeprefix("queue "): each.since for each in await find_silent_queues(s)}
    return [
        {
            "queue": queue,
            "state": f"nothing taken since {to_the_second(silent[queue])}" if queue in silent else "in time",
            "messages": await s.queues.count(queue),
        }
        for queue in keys.QUEUES
    ]


async def _mailboxes(s: Services) -> list[dict[str, Any]]:
    rows = []
    async for tenant in s.tenants.all():
        for mailbox_id in await s.tenants.mailboxes(tenant.tenant_id):
            stored = await s.ledger.mailbox(MailboxRef(tenant.tenant_id, mailbox_id))
            state = _state_of(s, stored.value) if stored is not None else None
            if state is not None:
                rows.append({"mailbox_id": mailbox_id, "tenant_id": tenant.tenant_id, "state": state})
    return rows


def _state_of(s: Services, mailbox: Mailbox) -> str | None:
    """What is amiss with an open mailbox; None where nothing is."""
    if mailbox.state is FenceState.CLOSED:
        return None
    trouble = find_trouble(mailbox, s.clock.now())
    if trouble is not None:
        return trouble.value
    audit = mailbox.audited
    if audit is None or (audit.told >= audit.in_mailbox and not audit.found_late):
        return None
    return f"{audit.told} of {audit.in_mailbox} mails told, {audit.found_late} found late"


async def _held(s: Services) -> list[dict[str, Any]]:
    """How many held mails each tenant has."""
    found = [
        {"held": len(await find_held(s, tenant.tenant_id)), "tenant_id": tenant.tenant_id}
        async for tenant in s.tenants.all()
    ]
    return [row for row in found if row["held"]]


async def _dead_letters(s: Services) -> list[dict[str, Any]]:
    """How many of each cause wait for somebody."""
    counts: dict[str, int] = {}
    async for kept in s.dead_letters.all():
        if not kept.letter.is_replayed:
            counts[kept.letter.cause] = counts.get(kept.letter.cause, 0) + 1
    return [{"dead_letters": number, "cause": cause} for cause, number in sorted(counts.items())]
