"""Queues: hints of notifications, sends, deliveries, maintenance of subscriptions and sweeps.

The use cases are imported by the first message: the processes that answer HTTP import this file as well, and should
not pay for them when they start.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType

import azure.functions as func

from shared.bootstrap import services
from shared.domain.errors import OutcomeUnknown, StoreUnavailable, UnknownForm
from shared.state import keys
from shared.state.keys import mailbox_of_key
from shared.sync.queueing.jobs import Changes, TaskMessage, decode_job
from shared.telemetry import canonical_line

bp = func.Blueprint()


@bp.queue_trigger(arg_name="msg", queue_name="changes", connection="DataStorage")
async def work_changes(msg: func.QueueMessage) -> None:
    """Look at each message that Graph pointed at."""
    from shared.sync.inbound.receive_change import receive_changes

    with canonical_line("work_changes") as line:
        decided: dict[str, int] = {}
        line["decided"] = decided
        async with left_to_newer(keys.CHANGES, msg), put_back_where_a_store_fails(keys.CHANGES, msg, decided):
            hints = decode_job(Changes, msg.get_body()).hints
            again = (msg.dequeue_count or 1) > 1
            if len(hints) > 1 and again:
                from shared.sync.queueing.put_back import split_hints

                await split_hints(services(), msg.get_body().decode())  # a worker died over one of them
                return
            mailbox = mailbox_of_key(hints[0].mailbox_key) if hints else None
            line["mailbox"] = mailbox and mailbox.mailbox_id
            await receive_changes(services(), msg.get_body().decode(), hints, decided, again=again)


@bp.queue_trigger(arg_name="msg", queue_name="outbox", connection="DataStorage")
async def work_outbox(msg: func.QueueMessage) -> None:
    """Take a send one step further."""
    await _work("work_outbox", keys.OUTBOX, msg)


@bp.queue_trigger(arg_name="msg", queue_name="deliveries", connection="DataStorage")
async def work_deliveries(msg: func.QueueMessage) -> None:
    """Tell the CRM again."""
    await _work("work_deliveries", keys.DELIVERIES, msg)


@bp.queue_trigger(arg_name="msg", queue_name="maintenance", connection="DataStorage")
async def work_maintenance(msg: func.QueueMessage) -> None:
    """Renew, recreate, sweep, look again."""
    await _work("work_maintenance", keys.MAINTENANCE, msg)


async def _work(name: str, queue: str, msg: func.QueueMessage) -> None:
    from shared.sync.tasks.do_task import take_task

    with canonical_line(name) as line:
        async with left_to_newer(queue, msg), put_back_where_a_store_fails(queue, msg):
            job = decode_job(TaskMessage, msg.get_body())
            line["mailbox"], line["work"] = job.mailbox_id, job.task.kind.value
            again = (msg.dequeue_count or 1) > 1
            await take_task(services(), queue, msg.get_body().decode(), job, again=again)


@asynccontextmanager
async def left_to_newer(queue: str, msg: func.QueueMessage) -> AsyncIterator[None]:
    """A message that leads to what only a newer version reads waits for it in its queue, and is no failure."""
    try:
        yield
    except UnknownForm:
        from shared.sync.queueing.newer_messages import leave_to_newer

        await leave_to_newer(services(), queue, msg.get_body().decode())


@asynccontextmanager
async def put_back_where_a_store_fails(
    queue: str, msg: func.QueueMessage, decided: Mapping[str, int] = MappingProxyType({})
) -> AsyncIterator[None]:
    """A message whose work met a failing store comes again as a new one; of hints only those not `decided` on.

    So it is no failure, and what the host counts are deaths.
    """
    try:
        yield
    except (StoreUnavailable, OutcomeUnknown):
        from shared.sync.queueing.put_back import put_back

        await put_back(services(), queue, msg.get_body().decode(), done=sum(decided.values()))
