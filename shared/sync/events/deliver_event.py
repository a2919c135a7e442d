"""Tell the CRM: at once after recording, then by schedule until it says yes (C-7, C-8)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, Final, assert_never

import msgspec

from shared.domain.errors import CrmUnavailable, InvalidRequest, RowChanged, RowMissing
from shared.domain.model import Event, Task, TaskKind, Tenant
from shared.domain.retries import (
    REFUSALS,
    Delivered,
    EndpointOff,
    Failed,
    GiveUp,
    RetryAt,
    StopTelling,
    decide_after_answer,
)
from shared.hashing import digest
from shared.invocation import this_invocation
from shared.mailbox_context import MailboxContext
from shared.services import Services
from shared.state import keys
from shared.state.codec import Stored
from shared.state.dead_letters import DeadLetter
from shared.sync.events.endpoint import note_answer, release_event, turn_off
from shared.sync.queueing.given_up import decide_verdict
from shared.sync.queueing.jobs import TaskMessage, encode_job, enqueue_all
from shared.telemetry import log

TOGETHER_SECONDS: Final = 20.0
ONE_TRY_SECONDS: Final = 15.0  # what the adapter gives one try (`shared.crm.generic`)


def may_tell_at_once(ctx: MailboxContext) -> bool:
    """Whether this invocation may still wait for the CRM: for so long that all its tries stay within 20 s together.

    Not at all for an endpoint that is slow: who waits for the change would wait for nothing.
    """
    left = TOGETHER_SECONDS - this_invocation().telling_seconds
    return left >= ONE_TRY_SECONDS and not ctx.services.endpoints.is_slow(ctx.ref.tenant_id, ctx.now())


async def deliver_event(ctx: MailboxContext, ref: str) -> None:
    """One attempt for a recorded event; an event that is gone was erased."""
    stored = await ctx.find(Event, ref)
    if stored is not None:
        await deliver(ctx, stored)


async def deliver(ctx: MailboxContext, stored: Stored[Event]) -> None:
    """One attempt for an event as it was read or has just been written; what comes of it is written on its row.

    Also after Disconnect: recorded events are still delivered (R5), so there is no fence here. An endpoint that is slow
    gets one call at a time from each process; what else is due for it waits for its turn, and no attempt counts.
    """
    event = stored.value
    if event.delivered_at is not None or event.undelivered:
        return
    tenant = await ctx.services.tenants.remembered(ctx.ref.tenant_id)
    body = await read_event_body(ctx.services, event)
    if body is None:
        await _save(ctx, stored, replace(event, undelivered=True, due_at=None))
        return
    if tenant.endpoint_off_at is not None:
        await _hold(ctx, stored, event)
        return
    if not ctx.services.endpoints.may_call(ctx.ref.tenant_id, ctx.now()):
        turn = ctx.services.endpoints.next_turn(ctx.ref.tenant_id, ctx.now())
        await _save(ctx, stored, replace(event, due_at=turn))
        return
    status, retry_after = await _call_endpoint(ctx, tenant, event, body)
    refusals = event.equal_refusals + 1 if status == event.last_status else 1
    jitter = ctx.services.random.jitter()
    verdict = decide_after_answer(status, retry_after, event.attempts + 1, refusals, jitter)
    now = ctx.now()
    counted = replace(
        event, attempts=event.attempts + 1, failures=0, last_status=status, equal_refusals=refusals
    )
    match verdict:
        case Delivered():
            await _save(ctx, stored, replace(counted, delivered_at=now, due_at=None))
        case StopTelling():
            if status in REFUSALS:
                await _keep_refused(ctx, event, status)
            await _save(ctx, stored, replace(counted, undelivered=True, due_at=None))
        case EndpointOff():
            await turn_off(ctx.services, ctx.ref.tenant_id)
            await _hold(ctx, stored, counted)
        case RetryAt(seconds):
            await _save(ctx, stored, replace(counted, due_at=now + timedelta(seconds=seconds)))
        case _:
            assert_never(verdict)
    await note_answer(ctx.services, tenant, event, taken=isinstance(verdict, Delivered))


async def reschedule_delivery(ctx: MailboxContext, task: Task, failed: Failed) -> None:
    """The attempt itself failed in a way of ours: try later, or give the delivery up; the event stays in the feed."""
    stored = await ctx.find(Event, task.ref)
    if stored is None or stored.value.due_at is None:
        return
    verdict = await decide_verdict(ctx, task, failed, stored.value.failures)
    if isinstance(verdict, GiveUp):
        await _save(ctx, stored, replace(stored.value, undelivered=True, due_at=None))
    else:
        until = failed.until(verdict)
        await _save(ctx, stored, replace(stored.value, due_at=until, failures=verdict.attempts))


async def _hold(ctx: MailboxContext, stored: Stored[Event], event: Event) -> None:
    """Keep it until the endpoint is on again.

    Whoever switched it on meanwhile may have looked for held events before this one was: so the tenant is read anew.
    """
    await _save(ctx, stored, replace(event, undelivered=True, held=True, due_at=None))
    if (await ctx.services.tenants.get(ctx.ref.tenant_id)).value.endpoint_off_at is not None:
        return
    held = await ctx.find(Event, event.ref)
    if held is not None:
        await release_event(ctx, held)


async def _keep_refused(ctx: MailboxContext, event: Event, status: int | None) -> None:
    """An event that the CRM keeps refusing is a fault of one side or the other; the same event is one dead letter."""
    tenant_id, mailbox_id = ctx.ref.tenant_id, ctx.ref.mailbox_id
    job = TaskMessage(tenant_id, mailbox_id, Task(ctx.now(), TaskKind.DELIVER, event.ref))
    work = TaskKind.DELIVER.value
    letter = DeadLetter(keys.DELIVERIES, f"refused:{status}", ctx.now(), tenant_id, mailbox_id, work)
    letter_id = digest("event", tenant_id, mailbox_id, event.ref)
    await ctx.services.dead_letters.add(letter_id, letter, encode_job(job))
    log.error("event.refused", status=status, tenant=tenant_id, mailbox=mailbox_id)


async def _call_endpoint(
    ctx: MailboxContext, tenant: Tenant, event: Event, body: bytes
) -> tuple[int | None, float | None]:
    """HTTP status and Retry-After; no status where no answer came."""
    s = ctx.services
    secrets = await s.tenants.signing_secrets(tenant.tenant_id, s.sealer)
    began, spent = ctx.now(), this_invocation()
    with s.endpoints.calling(tenant.tenant_id, began) as ended:
        try:
            answer = await s.crm.deliver(tenant.webhook_url, event.event_id, body, secrets, began)
        except (CrmUnavailable, InvalidRequest):
            return None, None
        finally:
            ended.append(ctx.now())
            spent.telling_seconds += (ended[-1] - began).total_seconds()
    return answer.status, answer.retry_after_seconds


async def _save(ctx: MailboxContext, stored: Stored[Event], event: Event) -> None:
    """Write what came of an attempt; a faster worker's outcome is as good."""
    try:
        # Loses to another worker at the same event.
        written = await ctx.services.ledger.write(ctx.ref, stored.changed(event))
    except (RowChanged, RowMissing):
        return
    await enqueue_all(ctx, written.tasks)


async def read_event_body(s: Services, event: Event) -> bytes | None:
    """An event as it was rendered, or None when its content is no longer kept."""
    if event.body is not None:
        return event.body.encode()
    blob = await s.blobs.get(keys.STAGING, event.body_blob) if event.body_blob else None
    return blob.data if blob else None


async def read_event_data(s: Services, event: Event) -> dict[str, Any] | None:
    """The `data` of a recorded event, or None when it is no longer kept."""
    body = await read_event_body(s, event)
    data: dict[str, Any] | None = msgspec.json.decode(body)["data"] if body is not None else None
    return data
