"""Work that nobody could do: a dead letter, written before the work ends (E-29)."""

from __future__ import annotations

from shared.domain.model import Task
from shared.domain.retries import Failed, GiveUp, PutOff
from shared.hashing import digest
from shared.mailbox_context import MailboxContext
from shared.state.dead_letters import DeadLetter, stack_of
from shared.sync.queueing.jobs import QUEUE_OF, TaskMessage, encode_job
from shared.telemetry import log


async def decide_verdict(ctx: MailboxContext, task: Task, failed: Failed, attempts: int) -> PutOff | GiveUp:
    """Whether to try again, after `attempts` failures that counted; the dead letter of what ends is then written."""
    verdict = failed.verdict(attempts)
    if isinstance(verdict, GiveUp):
        await add_dead_letter(ctx, task, failed.error)
    return verdict


async def add_dead_letter(ctx: MailboxContext, task: Task, error: Exception) -> None:
    """Keep work that is given up where a person finds it; the same work is one row, however often (E-29).

    To be written before the work ends: where it cannot be, the work is still due and comes again.
    """
    tenant_id, mailbox_id, kind = ctx.ref.tenant_id, ctx.ref.mailbox_id, task.kind
    cause = f"given_up:{type(error).__name__}"
    payload = encode_job(TaskMessage(tenant_id, mailbox_id, task))
    letter_id = digest("work", tenant_id, mailbox_id, kind.value, task.ref)
    stack = stack_of(error)
    letter = DeadLetter(QUEUE_OF[kind], cause, ctx.now(), tenant_id, mailbox_id, kind.value, stack)
    await ctx.services.dead_letters.add(letter_id, letter, payload)
    log.error("work.given_up", error=type(error).__name__, work=kind.value, mailbox=mailbox_id)
