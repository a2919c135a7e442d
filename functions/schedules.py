"""Timers: renewals, and everything else that is due. Both only enqueue; any run may be missed.

Their use cases are imported by the first tick (see `workers.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import azure.functions as func

from shared.bootstrap import services
from shared.telemetry import canonical_line

if TYPE_CHECKING:
    from shared.sync.tasks.do_chores import Done

bp = func.Blueprint()


@bp.timer_trigger(arg_name="timer", schedule="0 */15 * * * *", run_on_startup=False, use_monitor=True)
async def renew_subscriptions(timer: func.TimerRequest) -> None:
    """Enqueue the renewals that are due."""
    from shared.sync.tasks.do_chores import OF_RENEWALS, do_chores

    with canonical_line("renew_subscriptions") as line:
        line["past_due"] = timer.past_due
        _tell(line, await do_chores(services(), OF_RENEWALS))


@bp.timer_trigger(arg_name="timer", schedule="0 * * * * *", run_on_startup=False, use_monitor=True)
async def enqueue_due_work(timer: func.TimerRequest) -> None:
    """Enqueue due work, store poison messages where they cannot expire (E-29), erase what has ended.

    Each on its own: what fails is tried again by the next tick, and keeps nothing else from being done.
    """
    from shared.sync.tasks.do_chores import EACH_MINUTE, do_chores

    with canonical_line("enqueue_due_work") as line:
        line["past_due"] = timer.past_due
        _tell(line, await do_chores(services(), EACH_MINUTE))


def _tell(line: dict[str, object], done: Done) -> None:
    """What a tick did, in its canonical line; nothing of a chore that failed but its name."""
    line["enqueued"], line["skipped"] = done.counts.get("enqueued"), done.counts.get("skipped") or None
    line["poison"], line["erased"] = done.counts.get("poison"), done.counts.get("erased")
    line["failed"] = sorted(done.errors) or None
