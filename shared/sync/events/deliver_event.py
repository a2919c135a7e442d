"""Tell the CRM: at once after recording, then by schedule until it says yes (C-7, C-8)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import assert_never

from shared.domain.errors import CrmUnavailable, InvalidRequest, RowChanged, RowMissing
from shared.domain.ids import digest
from shared.domain.model import Event, MailboxRef, Task, TaskKind, Tenant
from shared.domain.retries import REFUSALS, Delivered, EndpointOff, GiveUp, Park, RetryAt, judge_answer
from shared.services import Services
from shared.state import keys
from shared.state.codec import Stored
from shared.state.dead_letters import DeadLetter
from shared.state.tenants import webhook_secret_place
from shared.sync.events.announce import Recorded
from shared.sync.events.endpoint import release_event, turn_off
from shared.sync.mailbox.failures import Failed
from shared.sync.queueing.jobs import TaskMessage, encode_job, enqueue, moved
from shared.sync.staging import event_body
from shared.telemetry import log


async def deliver_now(s: Services, mailbox: MailboxRef, recorded: Recorded) -> None:
    """The first attempt, in the worker that recorded the event."""
    await deliver_event(s, mailbox, recorded.ref)


async def deliver_event(s: Services, mailbox: MailboxRef, ref: str, due_at: datetime | None = None) -> None:
    """One attempt for one recorded event; whatever comes of it is written on its row.

    `due_at` is the time that was rung for: when the event has another by now, somebody was faster, and its own ring
    comes. Also after Disconnect: recorded events are still delivered (R5), so there is no fence here.
    """
    stored = await s.ledger.find(mailbox, Event, ref)
    if stored is None or stored.value.delivered_at is not None or stored.value.parked:
        return
    if due_at is not None and due_at != stored.value.due_at:
        return
    event, tenant = stored.value, (await s.tenants.get(mailbox.tenant_id)).value
    body = await event_body(s, event)
    if body is None:
        await _finish(s, mailbox, stored, replace(event, parked=True, due_at=None))
        return
    if tenant.endpoint_off_at is not None:
        await _hold(s, mailbox, stored, event)
        return
    status, retry_after = await _attempt(s, tenant, event, body)
    refusals = event.equal_refusals + 1 if status == event.last_status else 1
    verdict = judge_answer(status, retry_after, event.attempts + 1, refusals, s.random.jitter())
    now = s.clock.now()
    counted = replace(event, attempts=event.attempts + 1, last_status=status, equal_refusals=refusals)
    match verdict:
        case Delivered():
            await _finish(s, mailbox, stored, replace(counted, delivered_at=now, due_at=None))
        case Park():
            if status in REFUSALS:
                await _bury(s, mailbox, event, status)
            await _finish(s, mailbox, stored, replace(counted, parked=True, due_at=None))
        case EndpointOff():
            await turn_off(s, mailbox.tenant_id)
            await _hold(s, mailbox, stored, counted)
        case RetryAt(seconds):
            await _finish(s, mailbox, stored, replace(counted, due_at=now + timedelta(seconds=seconds)))
        case _:
            assert_never(verdict)


async def reschedule_delivery(s: Services, mailbox: MailboxRef, ref: str, failed: Failed) -> None:
    """The attempt itself failed in a way of ours: try later, or park the event; it stays in the feed."""
    stored = await s.ledger.find(mailbox, Event, ref)
    if stored is None or stored.value.due_at is None:
        return
    if isinstance(failed.verdict, GiveUp):
        await _finish(s, mailbox, stored, replace(stored.value, parked=True, due_at=None))
        return
    event = replace(stored.value, due_at=failed.until)
    await _finish(s, mailbox, stored, event, failed.verdict.attempts)


async def _hold(s: Services, mailbox: MailboxRef, stored: Stored[Event], event: Event) -> None:
    """Park it until the endpoint is on again.

    Whoever switched it on meanwhile may have looked for held events before this one was: so the tenant is read anew.
    """
    await _finish(s, mailbox, stored, replace(event, parked=True, held=True, due_at=None))
    if (await s.tenants.get(mailbox.tenant_id)).value.endpoint_off_at is not None:
        return
    held = await s.ledger.find(mailbox, Event, event.ref)
    if held is not None:
        await release_event(s, mailbox, held)


async def _bury(s: Services, mailbox: MailboxRef, event: Event, status: int | None) -> None:
    """An event that the CRM keeps refusing is a fault of one side or the other; the same event is one letter."""
    job = TaskMessage(mailbox.tenant_id, mailbox.mailbox_id, TaskKind.DELIVER, event.ref)
    letter = DeadLetter(keys.DELIVERIES, encode_job(job), f"refused:{status}", s.clock.now())
    await s.dead_letters.add(digest("event", mailbox.tenant_id, mailbox.mailbox_id, event.ref), letter)
    log.error("event.refused", status=status, tenant=mailbox.tenant_id, mailbox=mailbox.mailbox_id)


async def _attempt(s: Services, tenant: Tenant, event: Event, body: bytes) -> tuple[int | None, float | None]:
    """HTTP status and Retry-After; no status where no answer came."""
    secrets = await _secrets(s, tenant.tenant_id)
    try:
        answer = await s.crm.deliver(tenant.webhook_url, event.event_id, body, secrets, s.clock.now())
    except (CrmUnavailable, InvalidRequest):
        return None, None
    return answer.status, answer.retry_after_seconds


async def _secrets(s: Services, tenant_id: str) -> list[bytes]:
    kept = await s.tenants.webhook_secret(tenant_id)
    former = kept.previous_until is None or kept.previous_until > s.clock.now()
    sealed = [kept.sealed, *([kept.previous_sealed] if kept.previous_sealed and former else [])]
    return [await s.sealer.unseal(tenant_id, webhook_secret_place(tenant_id), one) for one in sealed]


async def _finish(
    s: Services, mailbox: MailboxRef, stored: Stored[Event], event: Event, failures: int = 0
) -> None:
    """Write the outcome and move the task with it; a faster worker's outcome is as good."""
    old_due = stored.value.due_at
    changes = moved(TaskKind.DELIVER, event.ref, old_due, event.due_at, failures)
    try:
        await s.ledger.write(mailbox, stored.changed(event), *changes)
    except (RowChanged, RowMissing):
        return
    if event.due_at is not None:
        await enqueue(s, mailbox, Task(event.due_at, TaskKind.DELIVER, event.ref, failures))
