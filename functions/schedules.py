"""Timers: renewals, and everything else that is due. Both only enqueue; any run may be missed.

Their use cases are imported by the first tick (see `workers.py`).
"""

from __future__ import annotations

import azure.functions as func

from shared.bootstrap import services
from shared.telemetry import canonical_line

bp = func.Blueprint()


@bp.timer_trigger(arg_name="timer", schedule="0 */15 * * * *", run_on_startup=False, use_monitor=True)
async def renew_subscriptions(timer: func.TimerRequest) -> None:
    """Enqueue the renewals that are due."""
    from shared.sync.tasks.enqueue_due_work import enqueue_due_renewals

    with canonical_line("renew_subscriptions") as line:
        line["past_due"] = timer.past_due
        line["enqueued"] = await enqueue_due_renewals(services())


@bp.timer_trigger(arg_name="timer", schedule="0 * * * * *", run_on_startup=False, use_monitor=True)
async def enqueue_due_work(timer: func.TimerRequest) -> None:
    """Enqueue due work, store poison messages where they cannot expire (E-29), erase what has ended."""
    from shared.sync.tasks.enqueue_due_work import enqueue_due_work as enqueue_all_due_work
    from shared.sync.tasks.erase_content import erase_ended
    from shared.sync.tasks.store_poison_messages import store_poison_messages

    with canonical_line("enqueue_due_work") as line:
        line["past_due"] = timer.past_due
        line["enqueued"] = await enqueue_all_due_work(services())
        line["poison"] = await store_poison_messages(services())
        line["erased"] = await erase_ended(services())
